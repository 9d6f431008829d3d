"""Column types and column sets that several tables share."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from ledger.measures import MEASURE_COLUMNS


def plain_text(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a text that is compared byte by byte, on every database alike.

    A language's order would make keys slower, and lists differ from one server to the next.
    """
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An instant: `timestamptz` on PostgreSQL, text in UTC on SQLite; always aware in Python."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse naive times; convert the others to UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs an offset")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return the time aware, in UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _Whole(sa.types.TypeDecorator[int]):
    """A whole number of any size: PostgreSQL adds BIGINT up in NUMERIC, so that none overflows."""

    impl = sa.BigInteger
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> int | None:
        """Return a plain integer."""
        del dialect
        return None if value is None else int(value)


def whole_sum(amount: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the sum of an integer column: an `int` on every database, None of no values."""
    return sa.func.sum(amount, type_=_Whole)


def is_among(
    column: sa.ColumnElement[int], numbers: Iterable[int], connection: sa.Connection
) -> sa.ColumnElement[bool]:
    """Return the condition that a column holds one of many numbers.

    PostgreSQL takes them as one array: as a list of parameters, hundreds of them were compared one
    by one with every row, and read one by one by the driver.
    """
    if connection.dialect.name != "postgresql":
        return column.in_(list(numbers))
    array = sa.literal(list(numbers), ARRAY(sa.BigInteger))
    return column.in_(sa.select(sa.func.unnest(array)))


def in_order_of(
    column: sa.Column[Any], *conditions: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    """Return the conditions of an UPDATE that locks its rows in the order of a column.

    By itself it locks them as it comes upon them, so that two that meet may wait for each other.
    """
    chosen = sa.select(column).where(*conditions).order_by(column).with_for_update()
    return sa.and_(*conditions, column.in_(chosen.correlate(None)))


class utc_date(sa.sql.functions.FunctionElement[str]):  # noqa: N801 - reads as a function of SQL
    """The UTC date of an instant, as text like `2026-03-09`."""

    inherit_cache = True
    type = sa.String()


@compiles(utc_date, "sqlite")
def _utc_date_of_text(element: utc_date, compiler: SQLCompiler, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 10)"


@compiles(utc_date, "postgresql")
def _utc_date_of_instant(element: utc_date, compiler: SQLCompiler, **options: Any) -> str:
    instant = compiler.process(element.clauses, **options)
    return f"to_char({instant} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"


class epoch_seconds(sa.sql.functions.FunctionElement[int]):  # noqa: N801 - as above
    """The whole seconds of an instant since 1970, without what is less than one."""

    inherit_cache = True
    type = sa.BigInteger()


@compiles(epoch_seconds, "sqlite")
def _seconds_of_text(element: epoch_seconds, compiler: SQLCompiler, **options: Any) -> str:
    # Without what comes after the second: SQLite would round it, up into the next day.
    second = f"substr({compiler.process(element.clauses, **options)}, 1, 19)"
    return f"CAST(strftime('%s', {second}) AS INTEGER)"


@compiles(epoch_seconds, "postgresql")
def _seconds_of_instant(element: epoch_seconds, compiler: SQLCompiler, **options: Any) -> str:
    instant = compiler.process(element.clauses, **options)
    return f"CAST(floor(extract(epoch FROM {instant})) AS BIGINT)"


class utc_hour(sa.sql.functions.FunctionElement[datetime]):  # noqa: N801 - as above
    """The start of the UTC hour in which an instant lies."""

    inherit_cache = True
    type = UtcDateTime()


@compiles(utc_hour, "sqlite")
def _utc_hour_of_text(element: utc_hour, compiler: SQLCompiler, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 13) || ':00:00.000000'"


@compiles(utc_hour, "postgresql")
def _utc_hour_of_instant(element: utc_hour, compiler: SQLCompiler, **options: Any) -> str:
    # The hours of the session's zone may begin at half past.
    return f"date_trunc('hour', {compiler.process(element.clauses, **options)}, 'UTC')"


def measure_columns() -> list[sa.Column[Any]]:
    """Return fresh columns for `Measures`, in its order."""
    quantity, *counts = MEASURE_COLUMNS
    return [
        sa.Column(quantity, sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False, server_default="0") for name in counts),
    ]


def rollup_key_columns() -> list[sa.Column[Any]]:
    """Return fresh columns for `RollupKey` and the id that condenses it."""
    return [
        sa.Column("tenant_id", plain_text(64), primary_key=True),
        sa.Column("date", sa.Date, primary_key=True),
        sa.Column("rollup_id", sa.Uuid, primary_key=True),
        sa.Column("channel", plain_text(64), nullable=False),
        sa.Column("direction", plain_text(64), nullable=False),
        sa.Column("source", plain_text(64)),
        sa.Column("feature", plain_text(64)),
        sa.Column("model", plain_text(128)),
        sa.Column("price_class", plain_text(64), nullable=False),
    ]


def name_temporary(stem: str, columns: Iterable[sa.Column[Any] | str]) -> str:
    """Return the name of a temporary table that stays with its connection.

    It follows the columns: a pooler may keep a connection for longer than a version of Meterline
    lives.
    """
    names = ", ".join(column if isinstance(column, str) else column.name for column in columns)
    return f"{stem}_{crc32(names.encode()):08x}"
