"""The table of the price book. `ledger.models` has it too, with all the others."""

import sqlalchemy as sa

from ledger.columns import UtcDateTime, plain_text
from ledger.registry import metadata

# Rates, markups, aliases and catalogues, each with its start: append-only. What was laid down later
# takes the place of what began no later than it.
price_entries = sa.Table(
    "price_entries",
    metadata,
    sa.Column("entry_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", plain_text(16), nullable=False),
    # Whom it is for: one tenant, the tenants of a plan, or neither: all.
    sa.Column("tenant_id", plain_text(64)),
    sa.Column("plan", plain_text(128)),
    # A local date of each tenant.
    sa.Column("starts_on", sa.Date, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    # Of kind, scope, start and document: a price is never edited.
    sa.Column("digest", plain_text(12), nullable=False),
    sa.Column("origin", plain_text(128), nullable=False),
    sa.Column("added_at", UtcDateTime, nullable=False),
)
