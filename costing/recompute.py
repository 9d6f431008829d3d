"""Recomputes a tenant's rollups from what the ledger holds, for rebuild and for verify."""

from collections.abc import Mapping
from typing import NamedTuple

from costing.rollup import Rater, opening_row, same_figures
from costing.store import read_checkpoints, sum_costed
from ledger.models import usage_rollups_daily
from ledger.rollups import EMPTY_TALLY, RollupKey, RollupRow, read_rollups
from ledger.session import OperatorSession, TenantSession


class Change(NamedTuple):
    """A row before and after; without `before` it was not there."""

    before: RollupRow | None
    after: RollupRow


class Recomputed(NamedTuple):
    """The rows as they stand, and what would have to change for them to be right."""

    rows: Mapping[RollupKey, RollupRow]
    changes: list[Change]


def recompute(session: TenantSession | OperatorSession, rater: Rater) -> Recomputed:
    """Compare the rollups of the rater's tenant with the costed raw usage and opening balances."""
    tenant_id = rater.tenant.tenant_id
    rows = read_rollups(session, usage_rollups_daily.c.tenant_id == tenant_id)
    sums = sum_costed(session, tenant_id)
    openings = read_checkpoints(session, tenant_id)
    changes = []
    for key in sorted(rows.keys() | sums.keys() | openings.keys(), key=_in_order):
        row = rows.get(key)
        if key in openings:
            right = opening_row(row, key, *openings[key])
        else:
            right = rater.correct(row, key, sums.get(key, EMPTY_TALLY))
        if row is None or not same_figures(row, right):
            changes.append(Change(row, right))
    return Recomputed(rows, changes)


def _in_order(key: RollupKey) -> tuple[str, ...]:
    return tuple(str(part or "") for part in key)
