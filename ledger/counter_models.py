"""The table of what server processes count, of all tenants together."""

import sqlalchemy as sa

from ledger.columns import plain_text
from ledger.registry import metadata

server_counters = sa.Table(
    "server_counters",
    metadata,
    sa.Column("name", plain_text(64), primary_key=True),
    # A JSON array of the values of the counter's labels, in their order.
    sa.Column("labels", plain_text(255), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
