"""Reads and writes rollup rows a page at a time, by the driver alone: there can be millions."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import orjson

from costing.repricing.page import Change, Row, figures_after, figures_before
from costing.store import Cause
from ledger.engine import is_postgresql
from ledger.measures import MEASURE_COLUMNS, Measures
from ledger.models import usage_journal, usage_rollups_daily
from ledger.money import Nanos
from ledger.period import DateRange
from ledger.rollups import SP3_PRICE_VERSION
from ledger.sequence import take_numbers
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import TenantId

PAGE_ROWS = 20_000
"""Most rows in one transaction."""

_TABLE = usage_rollups_daily.name
_LABELS = (
    "date", "rollup_id", "channel", "direction", "model", "price_class", "count",
)  # fmt: skip
_FIGURES = ("estimated_cost", "price_version", "price_source", "state")
_COLUMNS = ", ".join(f'"{name}"' for name in (*_LABELS, *MEASURE_COLUMNS, *_FIGURES))
_FIRST_MEASURE = len(_LABELS)
_FIRST_FIGURE = _FIRST_MEASURE + len(MEASURE_COLUMNS)

Place = tuple[Any, Any]
"""Where a page ended: date and id, in the form of the driver."""


def read_page(
    session: TenantSession | OperatorSession,
    tenant_id: TenantId,
    dates: DateRange,
    *,
    model: str | None,
    after: Place | None,
) -> tuple[list[Row], Place | None]:
    """Return the next rows of a tenant in the order of their key, and where they end.

    Opening balances of SP-3 are left out: nothing is known that could be rated.

    Args:
        session: of the tenant, or of an operator.
        tenant_id: whose rows.
        dates: local dates of the tenant.
        model: only rows of this model; None: all rows.
        after: where the page before ended, None for the first.
    """
    mark = "%s" if is_postgresql(session.connection) else "?"
    conditions = [f"tenant_id = {mark}", f"date >= {mark}", f"date < {mark}"]
    values: list[Any] = [tenant_id, *(_given(session, day) for day in (dates.start, dates.end))]
    conditions.append(f"price_version <> {mark}")
    values.append(SP3_PRICE_VERSION)
    if model is not None:
        conditions.append(f"model = {mark}")
        values.append(model)
    if after is not None:
        conditions.append(f"(date, rollup_id) > ({mark}, {mark})")
        values += after
    query = (
        f"SELECT {_COLUMNS} FROM {_TABLE} WHERE {' AND '.join(conditions)}"
        f" ORDER BY date, rollup_id LIMIT {PAGE_ROWS}"
    )
    found = session.connection.exec_driver_sql(query, tuple(values)).all()
    rows = [_row(values) for values in found]
    place = (found[-1][0], found[-1][1]) if len(found) == PAGE_ROWS else None
    return rows, place


def write_page(session: TenantSession, changes: Sequence[Change]) -> None:
    """Write what the rows of a page are rated as now, and raise their revisions."""
    on_postgresql = is_postgresql(session.connection)
    rows = [
        (
            change.rated.cost,
            change.price_version,
            change.rated.price_source,
            str(change.rated.state),
            _given(session, change.row.date),
            change.row.rollup_id,
        )
        for change in changes
    ]
    if not rows:
        return
    if on_postgresql:
        # One statement with one value: a statement a row would be an answer a row, and the driver
        # takes longer to write an array than the server to read the JSON.
        session.connection.exec_driver_sql(
            f"UPDATE {_TABLE} AS r SET estimated_cost = (n->>0)::bigint, price_version = n->>1,"
            " price_source = n->>2, state = n->>3, revision = r.revision + 1"
            " FROM json_array_elements(%s::json) AS n"
            " WHERE r.tenant_id = %s AND r.date = (n->>4)::date AND r.rollup_id = (n->>5)::uuid",
            (orjson.dumps(rows).decode(), session.tenant_id),
        )
        return
    session.connection.exec_driver_sql(
        f"UPDATE {_TABLE} SET estimated_cost = ?, price_version = ?, price_source = ?, state = ?,"
        " revision = revision + 1 WHERE date = ? AND rollup_id = ? AND tenant_id = ?",
        [(*row, session.tenant_id) for row in rows],
    )


def journal_page(
    session: TenantSession, changes: Sequence[Change], *, now: datetime, reason: str
) -> None:
    """Write down what rows of closed days were and are, and why."""
    if not changes:
        return
    numbers = take_numbers(session.connection, len(changes))
    rows = [
        (
            number,
            _given(session, change.row.date),
            change.row.rollup_id,
            figures_before(change.row),
            figures_after(change),
        )
        for number, change in zip(numbers, changes, strict=True)
    ]
    booked_at = usage_journal.c.booked_at.type.bind_processor(session.connection.dialect)
    moment = now if booked_at is None else booked_at(now)
    names = (
        '"tenant_id", "booked_at", "cause", "reason", "entry_id", "date", "rollup_id",'
        ' "before", "after"'
    )
    head = (session.tenant_id, moment, str(Cause.REPRICE), reason)
    if is_postgresql(session.connection):
        session.connection.exec_driver_sql(
            f"INSERT INTO {usage_journal.name} ({names})"
            " SELECT %s, %s, %s, %s, (n->>0)::bigint, (n->>1)::date, (n->>2)::uuid, n->3, n->4"
            " FROM json_array_elements(%s::json) AS n",
            (*head, orjson.dumps(rows).decode()),
        )
        return
    session.connection.exec_driver_sql(
        f"INSERT INTO {usage_journal.name} ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (*head, *place, orjson.dumps(before).decode(), orjson.dumps(after).decode())
            for *place, before, after in rows
        ],
    )


def _given(session: TenantSession | OperatorSession, day: date) -> date | str:
    """Return a date as the driver takes it."""
    return day if is_postgresql(session.connection) else day.isoformat()


def _row(values: Sequence[Any]) -> Row:
    day, *labels = values[:_FIRST_MEASURE]
    cost, *rated = values[_FIRST_FIGURE:]
    return Row._make(
        (
            _parse_date(day) if isinstance(day, str) else day,
            *labels,
            Measures._make(values[_FIRST_MEASURE:_FIRST_FIGURE]),
            None if cost is None else Nanos(cost),
            *rated,
        )
    )


@lru_cache(maxsize=4096)
def _parse_date(text: str) -> date:
    return date.fromisoformat(text)
