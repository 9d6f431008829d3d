"""SP-3's usage engine, as the host had it before Meterline.

Revision: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage_metrics",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("direction", sa.String(64), nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_usage_metrics_tenant_id_time", "usage_metrics", ["tenant_id", "time"])
    op.create_table(
        "usage_rollups_daily",
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("date", sa.Date, primary_key=True),
        sa.Column("channel", sa.String(64), primary_key=True),
        sa.Column("direction", sa.String(64), primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("estimated_cost", sa.Numeric(20, 9)),
    )


def downgrade() -> None:
    op.drop_table("usage_rollups_daily")
    op.drop_table("usage_metrics")
