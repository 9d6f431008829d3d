"""Checkpoints: what a rollup row rests on where raw usage is not there, or not any more.

One is either an opening balance, which SP-3 left and priced, or the sums of raw rows that retention
took. A rollup row is its checkpoint and the raw rows that are there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from ledger.errors import ConflictError
from ledger.measures import MEASURE_COLUMNS, Measures
from ledger.models import usage_checkpoints, usage_tombstones
from ledger.money import Nanos
from ledger.rollups import EMPTY_TALLY, SP3_PRICE_VERSION, RollupKey, Tally
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

_COLUMNS = usage_checkpoints.c


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """What is known of usage without its raw rows.

    Attributes:
        tally: its sums.
        price_version: that of the rollup row when usage was last taken.
        cost: of an opening balance, None: unpriced; any other has none of its own.
        taken: how many raw rows became tombstones. An opening balance never counted those that it
            covers.
    """

    tally: Tally = EMPTY_TALLY
    price_version: str
    cost: Nanos | None = None
    taken: int = 0

    @property
    def is_opening(self) -> bool:
        """Whether it is an opening balance of SP-3."""
        return self.price_version == SP3_PRICE_VERSION

    def plus(self, tally: Tally, *, taken: int) -> "Checkpoint":
        """Return the checkpoint after more raw rows were taken."""
        return replace(self, tally=self.tally.plus(tally), taken=self.taken + taken)


def read_checkpoints(
    session: TenantSession | OperatorSession,
    tenant_id: TenantId,
    *conditions: sa.ColumnElement[bool],
) -> dict[RollupKey, Checkpoint]:
    """Return a tenant's checkpoints by the key of their rollup row."""
    query = sa.select(usage_checkpoints).where(_COLUMNS.tenant_id == tenant_id, *conditions)
    return {
        RollupKey(*(row[name] for name in RollupKey._fields)): Checkpoint(
            tally=Tally(
                row["count"],
                Measures(*(row[name] for name in MEASURE_COLUMNS)),
                row["derived_count"],
                row["provisional_count"],
            ),
            price_version=row["price_version"],
            cost=row["estimated_cost"],
            taken=row["taken_count"],
        )
        for row in session.connection.execute(query).mappings()
    }


def read_checkpoints_of(
    session: TenantSession, keys: Iterable[RollupKey]
) -> dict[RollupKey, Checkpoint]:
    """Return those of a few keys."""
    wanted = set(keys)
    return read_checkpoints(
        session,
        session.tenant_id,
        _COLUMNS.date.in_(sorted({key.date for key in wanted})),
        _COLUMNS.rollup_id.in_(sorted({key.rollup_id for key in wanted})),
    )


def write_checkpoints(session: TenantSession, checkpoints: Mapping[RollupKey, Checkpoint]) -> None:
    """Put these in the place of what was there under their keys."""
    session.connection.execute(
        sa.delete(usage_checkpoints).where(
            _COLUMNS.tenant_id == session.tenant_id,
            _COLUMNS.date == sa.bindparam("of_date"),
            _COLUMNS.rollup_id == sa.bindparam("of_id"),
        ),
        [{"of_date": key.date, "of_id": key.rollup_id} for key in checkpoints],
    )
    session.connection.execute(
        sa.insert(usage_checkpoints),
        [_values(session, key, checkpoint) for key, checkpoint in checkpoints.items()],
    )


def _values(session: TenantSession, key: RollupKey, checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "tenant_id": session.tenant_id,
        "rollup_id": key.rollup_id,
        **key._asdict(),
        "count": checkpoint.tally.events,
        **checkpoint.tally.measures._asdict(),
        "estimated_cost": checkpoint.cost,
        "price_version": checkpoint.price_version,
        "derived_count": checkpoint.tally.derived_count,
        "provisional_count": checkpoint.tally.provisional_count,
        "taken_count": checkpoint.taken,
    }


def check_tombstones(
    session: TenantSession | OperatorSession,
    tenant_id: TenantId,
    checkpoints: Iterable[Checkpoint],
) -> None:
    """Check that all usage that was taken is accounted for: there is nothing else to sum it from.

    Raises:
        ConflictError: `lost_checkpoint`.
    """
    taken = sum(checkpoint.taken for checkpoint in checkpoints)
    query = (
        sa.select(sa.func.count())
        .select_from(usage_tombstones)
        .where(usage_tombstones.c.tenant_id == tenant_id)
    )
    tombstones = session.connection.execute(query).scalar_one()
    if tombstones != taken:
        raise ConflictError(
            "lost_checkpoint",
            f"retention took {taken} raw rows by the checkpoints and {tombstones} by the"
            " tombstones; what is missing has to come back from a backup",
        )
