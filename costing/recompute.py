"""Recomputes a tenant's rollups from what the ledger holds, for rebuild and for verify."""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple
from uuid import UUID

from costing.checkpoints import Checkpoint, check_tombstones, read_checkpoints
from costing.pricing.card import Rates
from costing.rollup import Rater, opening_row, same_figures
from costing.store import read_journal, sum_costed
from ledger.rollups import EMPTY_TALLY, RollupKey, RollupRow, Tally, read_rollups_of
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId


class Change(NamedTuple):
    """A row before and after; without `before` it was not there."""

    before: RollupRow | None
    after: RollupRow


class Recomputed(NamedTuple):
    """The rows as they stand, and what would have to change for them to be right.

    Attributes:
        lost: what rates the rows that are gone; it may be kept no more, either.
    """

    rows: Mapping[RollupKey, RollupRow]
    changes: list[Change]
    lost: list[Rates]


def recompute(
    session: TenantSession | OperatorSession, rater: Rater, *, lost_version: str | None = None
) -> Recomputed:
    """Compare the rollups of the rater's tenant with its checkpoints and the costed raw usage.

    A row is its checkpoint and the raw rows that are still there, rated at its own price version;
    an opening balance keeps its cost. A row that somebody deleted is rated by the version that the
    journal has of it, else its checkpoint, else by `lost_version`, else by the only rates that it
    ever can have had.

    Raises:
        ConflictError: `ambiguous_price_version`, or `lost_checkpoint`: nothing is recomputed from
            less than there was.
        MissingError: `unknown_price_version`.
    """
    tenant_id = rater.tenant.tenant_id
    rows = read_rollups_of(session, tenant_id)
    sums = sum_costed(session, tenant_id)
    checkpoints = read_checkpoints(session, tenant_id)
    check_tombstones(session, tenant_id, checkpoints.values())
    wanted = sums.keys() | checkpoints.keys()
    versions = _journalled_versions(session, tenant_id) if wanted - rows.keys() else {}
    changes: list[Change] = []
    lost: list[Rates] = []
    for key in sorted(rows.keys() | wanted, key=_in_order):
        row, checkpoint = rows.get(key), checkpoints.get(key)
        tally = _sum(sums.get(key), checkpoint)
        if checkpoint is not None and checkpoint.is_opening:
            right = opening_row(row, key, tally, checkpoint.cost)
        elif row is not None:
            right = rater.correct(row, tally)
        else:
            known = lost_version if checkpoint is None else checkpoint.price_version
            version = versions.get((key.date, key.rollup_id), known)
            rates = rater.pricing.lost_rates(key, rater.kept, version)
            lost.append(rates)
            right = rater.new_row(key, tally, rates)
        if row is None or not same_figures(row, right):
            changes.append(Change(row, right))
    return Recomputed(rows, changes, lost)


def _sum(raw: Tally | None, checkpoint: Checkpoint | None) -> Tally:
    tally = EMPTY_TALLY if raw is None else raw
    return tally if checkpoint is None else checkpoint.tally.plus(tally)


def _journalled_versions(
    session: TenantSession | OperatorSession, tenant_id: TenantId
) -> dict[tuple[date, UUID], str]:
    """Return the version that the journal last saw on each row that it has."""
    return {
        (entry.date, entry.rollup_id): entry.after["price_version"]
        for entry in read_journal(session, tenant_id)
    }


def _in_order(key: RollupKey) -> tuple[str, ...]:
    return tuple(str(part or "") for part in key)
