"""Mappings: whose what a provider names is, and usage of which nobody knows yet whose it is.

Revision: 0009
"""

import sqlalchemy as sa
from alembic import op

from ledger.columns import UtcDateTime, plain_text
from ledger.errors import ConflictError

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_mappings",
        sa.Column("mapping_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("kind", plain_text(16), nullable=False),
        sa.Column("value", plain_text(128), nullable=False),
        sa.Column("digits", plain_text(4)),
        sa.Column("key_mark", plain_text(16)),
        sa.Column("tenant_id", plain_text(64)),
        sa.Column("valid_from", UtcDateTime, nullable=False),
        sa.Column("label", plain_text(128)),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("mapping_id", name="pk_provider_mappings"),
    )
    op.create_index("ix_provider_mappings_kind_value", "provider_mappings", ["kind", "value"])
    op.create_table(
        "unattributed_usage",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("usage_id", plain_text(255), nullable=False),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("claims", sa.Text, nullable=False),
        sa.Column("booked_at", UtcDateTime, nullable=False),
        sa.Column("target", plain_text(64)),
        sa.Column("left_at", UtcDateTime),
        sa.Column("channel", plain_text(64)),
        sa.Column("quantity", sa.BigInteger),
        sa.Column("luggage", sa.Text),
        sa.Column("arrived_at", UtcDateTime),
        sa.PrimaryKeyConstraint("tenant_id", "usage_id", name="pk_unattributed_usage"),
    )
    is_open = sa.text("arrived_at IS NULL")
    op.create_index(
        "ix_unattributed_usage_open",
        "unattributed_usage",
        ["tenant_id", "usage_id"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def downgrade() -> None:
    # Nothing else knows whose usage waits to be, nor what has left and not arrived.
    waiting = "SELECT count(*) FROM unattributed_usage WHERE arrived_at IS NULL"
    if op.get_bind().scalar(sa.text(waiting)):
        raise ConflictError(
            "usage_unattributed",
            "usage waits to be attributed, and an older schema would forget by what; map it and run"
            " `meterline mapping attribute`, or stay with this version",
        )
    op.drop_table("unattributed_usage")
    op.drop_table("provider_mappings")
