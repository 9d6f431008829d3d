"""Column types and column sets that several tables share."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ledger.measures import MEASURE_COLUMNS


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
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("date", sa.Date, primary_key=True),
        sa.Column("rollup_id", sa.Uuid, primary_key=True),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("direction", sa.String(64), nullable=False),
        sa.Column("source", sa.String(64)),
        sa.Column("feature", sa.String(64)),
        sa.Column("model", sa.String(128)),
        sa.Column("price_class", sa.String(64), nullable=False),
    ]
