"""The tables of facts: what providers say of usages, and what is booked for these now."""

import sqlalchemy as sa

from ledger.columns import UtcDateTime, plain_text
from ledger.registry import metadata

usage_facts = sa.Table(
    "usage_facts",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("usage_id", plain_text(255), primary_key=True),
    sa.Column("fact_id", plain_text(255), primary_key=True),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    sa.Column("verdict", plain_text(16), nullable=False),
    sa.Column("time", UtcDateTime, nullable=False),
    sa.Column("date", sa.Date, nullable=False),
    sa.Column("channel", plain_text(64), nullable=False),
    sa.Column("direction", plain_text(64), nullable=False),
    sa.Column("source", plain_text(64), nullable=False),
    sa.Column("feature", plain_text(64)),
    sa.Column("quantity", sa.BigInteger),
    sa.Column("adds", sa.Boolean, nullable=False),
    sa.Column("metadata", sa.JSON(none_as_null=True)),
    sa.Column("received_at", UtcDateTime, nullable=False),
)

# One row for each usage that has facts: what its booked rows come to now, and the lock of whoever
# changes that. Usage without facts has none.
usage_balances = sa.Table(
    "usage_balances",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("usage_id", plain_text(255), primary_key=True),
    # None: nothing is booked for it, or what was booked cancels out.
    sa.Column("booked", sa.JSON(none_as_null=True)),
    # Retention took rows of it and all of its facts: it stays what it is.
    sa.Column("expired", sa.Boolean, nullable=False, server_default=sa.false()),
)
