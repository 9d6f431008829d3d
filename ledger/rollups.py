"""Daily rollup rows: their key, their values, and how they are read and written."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import orjson
import sqlalchemy as sa

from ledger.errors import ConflictError
from ledger.measures import MEASURE_COLUMNS, NOTHING, Measures
from ledger.models import usage_rollups_daily
from ledger.money import Nanos
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

ROLLUP_NAMESPACE = UUID("7f1d7f0c-43a5-5a2e-9d0c-6f2b1c1e8a55")
"""Never to be changed: stored ids are made with it."""

SP3_PRICE_VERSION = "sp3"
"""Price version, and price class, of the opening balance taken over from SP-3."""


FIRST_REVISION = 1


class State(StrEnum):
    """How sure a row's cost is. `unpriced` has none; `free` has a price, and it is zero."""

    ESTIMATED = "estimated"
    SETTLED = "settled"
    UNPRICED = "unpriced"
    FREE = "free"


_STATES = frozenset(str(state) for state in State)


class RollupKey(NamedTuple):
    """What is summed together, within one tenant."""

    date: date
    channel: str
    direction: str
    source: str | None
    feature: str | None
    model: str | None
    price_class: str

    @property
    def rollup_id(self) -> UUID:
        """A name for the key without its date, short enough for a primary key."""
        return _rollup_id(self[1:])


@lru_cache(maxsize=4096)
def _rollup_id(parts: tuple[str | None, ...]) -> UUID:
    return uuid5(ROLLUP_NAMESPACE, orjson.dumps(parts).decode())


class Tally(NamedTuple):
    """Sums of raw usage: what rollups add up, before there is a price."""

    events: int
    measures: Measures
    derived_count: int
    provisional_count: int

    def plus(self, other: "Tally") -> "Tally":
        """Return the sum."""
        return Tally(
            self.events + other.events,
            self.measures.plus(other.measures),
            self.derived_count + other.derived_count,
            self.provisional_count + other.provisional_count,
        )


EMPTY_TALLY = Tally(0, NOTHING, 0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class RollupRow:
    """One row: sums, the cost they came to, and the price version that rated them."""

    key: RollupKey
    tally: Tally
    day_start_utc: datetime
    estimated_cost: Nanos | None
    price_version: str
    price_source: str | None
    state: State
    settled_count: int
    revision: int


_COLUMNS = usage_rollups_daily.c


def read_rollups(
    session: TenantSession, *conditions: sa.ColumnElement[bool], limit: int | None = None
) -> dict[RollupKey, RollupRow]:
    """Return the rows of the session's tenant by key.

    Args:
        session: of the tenant.
        conditions: on the rows.
        limit: most rows, the first of them in the order of the primary key; None: all.
    """
    query = _query(session.tenant_id, *conditions)
    if limit is not None:
        query = query.order_by(_COLUMNS.date, _COLUMNS.rollup_id).limit(limit)
    return _read(session, query)


def read_rollups_of(
    session: TenantSession | OperatorSession,
    tenant_id: TenantId,
    *conditions: sa.ColumnElement[bool],
) -> dict[RollupKey, RollupRow]:
    """Return the rows of one tenant by key, which is a key within one tenant alone."""
    return _read(session, _query(tenant_id, *conditions))


def _query(tenant_id: TenantId, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(usage_rollups_daily).where(_COLUMNS.tenant_id == tenant_id, *conditions)


def _read(
    session: TenantSession | OperatorSession, query: sa.Select[Any]
) -> dict[RollupKey, RollupRow]:
    rows = map(_row, session.connection.execute(query.order_by(_COLUMNS.date)).mappings())
    return {row.key: row for row in rows}


def write_rollups(session: TenantSession, rows: Iterable[RollupRow]) -> None:
    """Insert the rows of revision 1 and replace the others, which are locked in one order."""
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: (row.key.date, row.key.rollup_id)):
        (new if row.revision == FIRST_REVISION else changed).append(_values(session, row))
    if new:
        session.connection.execute(sa.insert(usage_rollups_daily), new)
    if changed:
        session.connection.execute(_replace_statement(), [_prefixed(values) for values in changed])


def _replace_statement() -> sa.Update:
    keys = {column.name for column in usage_rollups_daily.primary_key}
    # What was shipped is the relay's to say.
    kept = {*keys, _COLUMNS.shipped_revision.name}
    return (
        sa.update(usage_rollups_daily)
        .where(*(_COLUMNS[name] == sa.bindparam(f"b_{name}") for name in sorted(keys)))
        .values({c.name: sa.bindparam(f"b_{c.name}") for c in _COLUMNS if c.name not in kept})
    )


def _prefixed(values: dict[str, Any]) -> dict[str, Any]:
    # SQLAlchemy reserves the plain column names for the values of an UPDATE.
    return {f"b_{name}": value for name, value in values.items()}


def _values(session: TenantSession, row: RollupRow) -> dict[str, Any]:
    return {
        "tenant_id": session.tenant_id,
        "rollup_id": row.key.rollup_id,
        **row.key._asdict(),
        "count": row.tally.events,
        **row.tally.measures._asdict(),
        "day_start_utc": row.day_start_utc,
        "estimated_cost": row.estimated_cost,
        "price_version": row.price_version,
        "price_source": row.price_source,
        "state": str(row.state),
        "derived_count": row.tally.derived_count,
        "provisional_count": row.tally.provisional_count,
        "settled_count": row.settled_count,
        "revision": row.revision,
    }


def _row(values: sa.RowMapping) -> RollupRow:
    key = RollupKey(*(values[name] for name in RollupKey._fields))
    if values["rollup_id"] != key.rollup_id or values["state"] not in _STATES:
        raise ConflictError(
            "damaged_rollup",
            f"the rollup row {values['rollup_id']} of {values['tenant_id']} on {key.date} was"
            " changed by hand: its id or state is not one that the ledger gives",
        )
    return RollupRow(
        key=key,
        tally=Tally(
            values["count"],
            Measures(*(values[name] for name in MEASURE_COLUMNS)),
            values["derived_count"],
            values["provisional_count"],
        ),
        day_start_utc=values["day_start_utc"],
        estimated_cost=values["estimated_cost"],
        price_version=values["price_version"],
        price_source=values["price_source"],
        state=State(values["state"]),
        settled_count=values["settled_count"],
        revision=values["revision"],
    )
