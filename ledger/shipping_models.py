"""The tables of shipping to InfluxDB: who is at it, what is put aside or held back."""

import sqlalchemy as sa

from ledger.columns import UtcDateTime, plain_text
from ledger.registry import metadata

# Which relay ships a tenant, and until when it may; and what it could not send.
relay_state = sa.Table(
    "relay_state",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("lease_owner", plain_text(32)),
    sa.Column("lease_until", UtcDateTime),
    # Points that were older than their bucket keeps any.
    sa.Column("expired_count", sa.BigInteger, nullable=False, server_default="0"),
)

# Points that InfluxDB refused while it took their neighbours.
quarantined_points = sa.Table(
    "quarantined_points",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("measurement", plain_text(32), primary_key=True),
    sa.Column("point_id", plain_text(64), primary_key=True),
    sa.Column("time", UtcDateTime, nullable=False),
    sa.Column("line", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("quarantined_at", UtcDateTime, nullable=False),
    # How often it was refused, and when it is tried again; NULL: with the next round.
    sa.Column("tries", sa.Integer, nullable=False, server_default="1"),
    sa.Column("retry_at", UtcDateTime),
    sa.Index(None, "retry_at"),
)

# Measurements of tenants of which InfluxDB refuses most: they wait, and nothing of them is put
# aside.
relay_holds = sa.Table(
    "relay_holds",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("measurement", plain_text(32), primary_key=True),
    sa.Column("failures", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("held_since", UtcDateTime, nullable=False),
    sa.Column("retry_at", UtcDateTime, nullable=False),
)
