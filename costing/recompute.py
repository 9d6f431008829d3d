"""Recomputes a tenant's rollups from what the ledger holds, for rebuild and for verify."""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple
from uuid import UUID

from costing.rollup import Rater, opening_row, same_figures
from costing.store import read_checkpoints, read_journal, sum_costed
from ledger.models import usage_rollups_daily
from ledger.rollups import EMPTY_TALLY, RollupKey, RollupRow, read_rollups
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId


class Change(NamedTuple):
    """A row before and after; without `before` it was not there."""

    before: RollupRow | None
    after: RollupRow


class Recomputed(NamedTuple):
    """The rows as they stand, and what would have to change for them to be right."""

    rows: Mapping[RollupKey, RollupRow]
    changes: list[Change]


def recompute(
    session: TenantSession | OperatorSession, rater: Rater, *, lost_version: str | None = None
) -> Recomputed:
    """Compare the rollups of the rater's tenant with the costed raw usage and opening balances.

    A row that somebody deleted is rated by the version that the journal has of it, else by
    `lost_version`, else by the only book there ever was.

    Raises:
        ConflictError: `ambiguous_price_version`.
        MissingError: `unknown_price_version`.
    """
    tenant_id = rater.tenant.tenant_id
    rows = read_rollups(session, usage_rollups_daily.c.tenant_id == tenant_id)
    sums = sum_costed(session, tenant_id)
    openings = read_checkpoints(session, tenant_id)
    journalled = _journalled_versions(session, tenant_id) if sums.keys() - rows.keys() else {}
    changes = []
    for key in sorted(rows.keys() | sums.keys() | openings.keys(), key=_in_order):
        row = rows.get(key)
        if key in openings:
            right = opening_row(row, key, *openings[key])
        elif row is not None:
            right = rater.correct(row, sums.get(key, EMPTY_TALLY))
        else:
            version = journalled.get((key.date, key.rollup_id), lost_version)
            right = rater.new_row(key, sums[key], rater.books.of_lost_row(version))
        if row is None or not same_figures(row, right):
            changes.append(Change(row, right))
    return Recomputed(rows, changes)


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
