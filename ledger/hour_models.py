"""The table of hours."""

import sqlalchemy as sa

from ledger.columns import UtcDateTime, plain_text
from ledger.registry import metadata

# How a daily row is spread over the hours (UTC) of its date: what an hour costs is its part of what
# the row costs. A row is little more than its key.
usage_rollups_hourly = sa.Table(
    "usage_rollups_hourly",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("hour", UtcDateTime, primary_key=True),
    sa.Column("rollup_id", sa.Uuid, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    # The last hours of all tenants are looked at by each scrape.
    sa.Index(None, "hour", "tenant_id"),
    sqlite_with_rowid=False,
)
