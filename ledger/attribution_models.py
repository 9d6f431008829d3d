"""The tables that tell whose usage it is. `ledger.models` has them too, with all the others."""

import sqlalchemy as sa

from ledger.columns import UtcDateTime, plain_text
from ledger.registry import metadata

# Whose what a provider names is, from when on: append-only. Of the rows of one thing the one that
# began last counts, of two that began together the one that was written last.
provider_mappings = sa.Table(
    "provider_mappings",
    metadata,
    sa.Column("mapping_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", plain_text(16), nullable=False),
    # A phone number is a keyed hash; beside it stand its last digits and the mark of the key.
    sa.Column("value", plain_text(128), nullable=False),
    sa.Column("digits", plain_text(4)),
    sa.Column("key_mark", plain_text(16)),
    # None: from then on it is nobody's.
    sa.Column("tenant_id", plain_text(64)),
    sa.Column("valid_from", UtcDateTime, nullable=False),
    sa.Column("label", plain_text(128)),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # Which row it ends, where it is nobody's from then on.
    sa.Column("ends", sa.BigInteger),
    sa.Index(None, "kind", "value"),
)

# Usage that was booked for nobody, what it was claimed by, and where it went.
unattributed_usage = sa.Table(
    "unattributed_usage",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("usage_id", plain_text(255), primary_key=True),
    sa.Column("time", UtcDateTime, nullable=False),
    sa.Column("claims", sa.Text, nullable=False),
    sa.Column("booked_at", UtcDateTime, nullable=False),
    # Set together when it leaves, with what was taken out; it has arrived when its facts are booked
    # in the target.
    sa.Column("target", plain_text(64)),
    sa.Column("left_at", UtcDateTime),
    sa.Column("channel", plain_text(64)),
    sa.Column("quantity", sa.BigInteger),
    # Its facts, while they are on their way: what they left may be taken by retention meanwhile.
    sa.Column("luggage", sa.Text),
    sa.Column("arrived_at", UtcDateTime),
    # The provider's id of the usage, where it waits under one of ours.
    sa.Column("provider_id", plain_text(255)),
    # The key that signed it is one owner's alone: so is the usage, whatever else is known of it.
    sa.Column("of_owner", sa.Boolean, nullable=False, server_default=sa.false()),
)
_OPEN = unattributed_usage.c.arrived_at.is_(None)
sa.Index(
    "ix_unattributed_usage_open",
    unattributed_usage.c.tenant_id,
    unattributed_usage.c.usage_id,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
