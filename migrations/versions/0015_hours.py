"""Hours: how daily rollup rows are spread over the day; and what server processes count.

Revision: 0015
"""

import sqlalchemy as sa
from alembic import op

from ledger.columns import UtcDateTime, plain_text

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage_rollups_hourly",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("hour", UtcDateTime, nullable=False),
        sa.Column("rollup_id", sa.Uuid, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "date", "hour", "rollup_id", name="pk_usage_rollups_hourly"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_usage_rollups_hourly_hour_tenant_id", "usage_rollups_hourly", ["hour", "tenant_id"]
    )
    # None: the next costing of the tenant sums what is there by hours.
    op.add_column("costing_state", sa.Column("hours_from", sa.Date))
    op.create_table(
        "server_counters",
        sa.Column("name", plain_text(64), nullable=False),
        sa.Column("labels", plain_text(255), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", name="pk_server_counters"),
    )


def downgrade() -> None:
    op.drop_table("server_counters")
    op.drop_column("costing_state", "hours_from")
    op.drop_table("usage_rollups_hourly")
