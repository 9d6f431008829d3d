"""Works out what a page of rollup rows is rated as, in the database, and writes it.

What changes is put into a temporary table first, computed once: all that is written comes from it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from costing.repricing.multiplying import (
    Places,
    find_places,
    is_of_kind,
    multipliers,
    multiply,
    scale,
)
from costing.repricing.page import Change, Row, Sums
from costing.repricing.store import Page, is_on, read_rows
from costing.store import Cause
from ledger.columns import name_temporary, whole_sum
from ledger.engine import is_postgresql
from ledger.models import usage_journal, usage_rollups_daily
from ledger.money import NANOS_PER_USD
from ledger.sequence import number_rows
from ledger.session import TenantSession

_ROW = usage_rollups_daily.c
_RATED = ("estimated_cost", "price_version", "price_source", "state")
_ROWID = f"{usage_rollups_daily.name}.rowid"
_DOLLAR: sa.ColumnElement[int] = sa.literal_column(str(NANOS_PER_USD), sa.BigInteger)


@cache
def _repriced(*, has_rowid: bool) -> sa.Table:
    """Return the table of what changes: a row before, after, and where it is."""
    columns = (
        # Rows are found again by it in half the time that their key takes.
        *([sa.Column("place", sa.Integer, primary_key=True)] if has_rowid else []),
        *(sa.Column(c.name, c.type, nullable=False) for c in (_ROW.date, _ROW.rollup_id)),
        sa.Column("cost_before", sa.BigInteger),
        sa.Column("version_before", _ROW.price_version.type, nullable=False),
        sa.Column("state_before", _ROW.state.type, nullable=False),
        *(sa.Column(name, _ROW[name].type) for name in _RATED),
        sa.Column("is_beyond", sa.Boolean, nullable=False),
    )
    return sa.Table(
        name_temporary("repriced", columns),
        sa.MetaData(),
        *columns,
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DELETE ROWS",
    )


@cache
def _making(table: sa.Table, dialect: sa.Dialect) -> str:
    return str(sa.schema.CreateTable(table, if_not_exists=True).compile(dialect=dialect))


class PageChanges:
    """What changes of one page, within the transaction that writes it.

    The tables stay with the connection, empty between transactions.

    Args:
        session: of the tenant, writing.
    """

    def __init__(self, session: TenantSession) -> None:
        self._session = session
        self._connection = session.connection
        self._is_postgresql = is_postgresql(session.connection)
        self._table = _repriced(has_rowid=not self._is_postgresql)
        for table in (multipliers, self._table):
            self._connection.exec_driver_sql(_making(table, session.connection.dialect))

    def find(self, page: Page, rows: list[Mapping[str, Any]]) -> None:
        """Work out what changes, but for what is beyond the database.

        Args:
            page: whose rows are rated.
            rows: of `multipliers`, for all kinds that are on it.
        """
        if not rows:
            return
        self._connection.execute(sa.insert(multipliers), rows)
        changed = self._changed(page, find_places(rows))
        names = [column.name for column in self._table.columns]
        self._connection.execute(sa.insert(self._table).from_select(names, changed))

    def read_beyond(self) -> list[Row]:
        """Return the rows that are left to Python."""
        column = self._table.c
        query = sa.select(column.date, column.rollup_id).where(column.is_beyond)
        found = self._connection.execute(query).all()
        return [
            row
            for day, rollup_id in found
            for row in read_rows(self._session, _ROW.date == day, _ROW.rollup_id == rollup_id)
        ]

    def put_beyond(self, changes: Iterable[Change]) -> None:
        """Put in what Python made of those that it was left."""
        column = self._table.c
        for row, rated, version in changes:
            here = sa.and_(column.date == row.kind.date, column.rollup_id == row.rollup_id)
            after = (rated.cost, version, rated.price_source, str(rated.state))
            values = dict(zip(_RATED, after, strict=True)) | {"is_beyond": False}
            self._connection.execute(sa.update(self._table).where(here).values(values))
        self._connection.execute(sa.delete(self._table).where(column.is_beyond))

    def sum(self) -> Sums:
        """Return what all of it comes to."""
        column = self._table.c
        # Dollars and the rest are summed apart: nano-dollars could be more than a column holds.
        parts = [
            whole_sum(part)
            for cost in (column.cost_before, column.estimated_cost)
            for part in (cost // _DOLLAR, cost % _DOLLAR)
        ]
        counts = [sa.func.count(column.cost_before), sa.func.count(column.estimated_cost)]
        query = sa.select(sa.func.count(), *counts, *parts).select_from(self._table)
        rows, known, known_then, *sums = self._connection.execute(query).one()
        dollars, rest, dollars_then, rest_then = (amount or 0 for amount in sums)
        return Sums(
            rows,
            dollars * NANOS_PER_USD + rest,
            dollars_then * NANOS_PER_USD + rest_then,
            rows - known,
            rows - known_then,
        )

    def versions(self) -> set[str]:
        """Return the price versions that rows take."""
        return set(self._distinct(self._table.c.price_version))

    def dates(self) -> set[date]:
        """Return the local dates of rows that change."""
        return set(self._distinct(self._table.c.date))

    def write(self) -> None:
        """Write what the rows are rated as now, and raise their revisions."""
        if not self._is_postgresql:
            name = self._table.name
            self._connection.exec_driver_sql(
                f"UPDATE {usage_rollups_daily.name} SET ({', '.join(_RATED)}) ="
                f" (SELECT {', '.join(_RATED)} FROM {name} WHERE place = {_ROWID}),"
                " revision = revision + 1"
                # The plus keeps SQLite from reading all that the tenant has.
                f" WHERE rowid IN (SELECT place FROM {name}) AND +tenant_id = ?",
                (self._session.tenant_id,),
            )
            return
        column = self._table.c
        self._connection.execute(
            sa.update(usage_rollups_daily)
            .values({name: column[name] for name in _RATED} | {"revision": _ROW.revision + 1})
            .where(
                _ROW.tenant_id == self._session.tenant_id,
                _ROW.date == column.date,
                _ROW.rollup_id == column.rollup_id,
            )
        )

    def journal(self, *, until: date, count: int, now: datetime, reason: str) -> None:
        """Write down what rows of closed days were and are, and why.

        An entry has what a repricing can change, and no more: it is as much to write as the row.

        Args:
            until: the last local date that has closed.
            count: at least how many rows change.
            now: the current instant.
            reason: see `costing.repricing.job.parse_reason`.
        """
        column = self._table.c
        before = self._figures(column.cost_before, column.version_before, column.state_before)
        after = self._figures(column.estimated_cost, column.price_version, column.state)
        said: dict[str, Any] = {
            "tenant_id": sa.literal(self._session.tenant_id),
            "entry_id": number_rows(self._connection, count),
            "booked_at": sa.literal(now, usage_journal.c.booked_at.type),
            "date": column.date,
            "rollup_id": column.rollup_id,
            "cause": sa.literal(str(Cause.REPRICE)),
            "before": before,
            "after": after,
            "reason": sa.literal(reason),
        }
        entries = sa.select(*said.values()).where(column.date <= until)
        self._connection.execute(sa.insert(usage_journal).from_select(list(said), entries))

    def clear(self) -> None:
        """Leave the tables empty; PostgreSQL does so itself."""
        if not self._is_postgresql:
            for table in (multipliers, self._table):
                self._connection.execute(sa.delete(table))

    def _changed(self, page: Page, places: Places) -> sa.Select[Any]:
        """Return the query for rows of `repriced`."""
        by = multipliers.c
        known: list[Any] = [
            *(_ROW.date, _ROW.rollup_id),
            _ROW.estimated_cost.label("cost_before"),
            _ROW.price_version.label("version_before"),
            _ROW.state.label("state_before"),
        ]
        if not self._is_postgresql:
            rowid = sa.literal_column(_ROWID, sa.Integer)
            known.insert(0, rowid.label("place"))
        scaled = (
            sa.select(*known, by.price_version, by.price_source, by.denominator, *scale(places))
            .join_from(usage_rollups_daily, multipliers, is_of_kind())
            .where(*is_on(self._session, page))
            .subquery()
            .c
        )
        cost, source, state, is_beyond = multiply(scaled)
        rated: list[Any] = [
            *(scaled[column.name] for column in known),
            cost.label("estimated_cost"),
            scaled.price_version,
            source.label("price_source"),
            state.label("state"),
            is_beyond.label("is_beyond"),
        ]
        found = sa.select(*rated).subquery()
        return sa.select(found).where(
            sa.or_(
                found.c.version_before != found.c.price_version,
                found.c.cost_before.is_distinct_from(found.c.estimated_cost),
                found.c.state_before != found.c.state,
                found.c.is_beyond,
            )
        )

    def _figures(self, *values: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Return figures as `costing.store.row_figures` names them."""
        names = ("estimated_cost", "price_version", "state")
        pairs = zip(names, values, strict=True)
        said = [part for name, value in pairs for part in (sa.literal_column(f"'{name}'"), value)]
        if self._is_postgresql:
            return sa.func.json_build_object(*said)
        return sa.func.json_object(*said)

    def _distinct(self, column: sa.Column[Any]) -> Sequence[Any]:
        return self._connection.execute(sa.select(column).distinct()).scalars().all()
