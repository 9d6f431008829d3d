"""How it goes with what a worker does: its table."""

import sqlalchemy as sa

from ledger.columns import UtcDateTime, plain_text
from ledger.registry import metadata

# A row for each thing that ever failed: how it goes with InfluxDB as a whole, and what was stopped
# short.
worker_health = sa.Table(
    "worker_health",
    metadata,
    sa.Column("name", plain_text(32), primary_key=True),
    sa.Column("failures", sa.BigInteger, nullable=False),
    sa.Column("last_error", sa.Text, nullable=False),
    sa.Column("failed_at", UtcDateTime, nullable=False),
    sa.Column("recovered_at", UtcDateTime),
)
