"""Whose usage it is: by the events of all tenants, each recipient by itself, ends of mappings.

Revision: 0012
"""

import sqlalchemy as sa
from alembic import op

from ledger.columns import plain_text
from ledger.errors import ConflictError

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("provider_mappings", sa.Column("ends", sa.BigInteger))
    op.add_column("unattributed_usage", sa.Column("provider_id", plain_text(255)))
    op.add_column(
        "unattributed_usage",
        sa.Column("of_owner", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(
            "ix_usage_metrics_event_id",
            "usage_metrics",
            ["event_id"],
            postgresql_where=sa.text("channel <> 'ai' AND usage_id IS NULL"),
        )


def downgrade() -> None:
    # An older schema would take our ids for the provider's, an end for that of any mapping, and
    # what the key of one owner signed for anybody's.
    waiting = (
        "SELECT count(*) FROM unattributed_usage WHERE arrived_at IS NULL"
        " AND (provider_id IS NOT NULL OR of_owner)"
    )
    if op.get_bind().scalar(sa.text(waiting)):
        raise ConflictError(
            "usage_unattributed",
            "usage waits to be attributed, and an older schema would forget by what; map it and run"
            " `meterline mapping attribute`, or stay with this version",
        )
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_usage_metrics_event_id", "usage_metrics")
    for name in ("of_owner", "provider_id"):
        op.drop_column("unattributed_usage", name)
    op.drop_column("provider_mappings", "ends")
