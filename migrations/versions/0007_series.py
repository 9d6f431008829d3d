"""Series: what the relay has shipped to InfluxDB, and what it has not.

Revision: 0007
"""

import sqlalchemy as sa
from alembic import op

from ledger.columns import UtcDateTime, plain_text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = (
    "unshipped_batches",
    "usage_tenant_days",
    "relay_state",
    "quarantined_points",
    "relay_health",
)


def upgrade() -> None:
    op.add_column(
        "usage_rollups_daily",
        sa.Column("shipped_revision", sa.BigInteger, nullable=False, server_default="0"),
    )
    _create_unshipped_batches()
    _create_tenant_days()
    _create_relay_tables()
    _take_over_days()


def downgrade() -> None:
    # The series can be built anew from the ledger, so nothing is lost that matters.
    for table in _TABLES:
        op.drop_table(table)
    op.drop_column("usage_rollups_daily", "shipped_revision")


def _create_unshipped_batches() -> None:
    op.create_table(
        "unshipped_batches",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("batch_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("event_count", sa.Integer, nullable=False),
        sa.Column("booked_at", UtcDateTime, nullable=False),
        sa.Column("shipped_until", plain_text(255)),
        sa.PrimaryKeyConstraint("tenant_id", "batch_id", name="pk_unshipped_batches"),
    )


def _create_tenant_days() -> None:
    op.create_table(
        "usage_tenant_days",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("day_start_utc", UtcDateTime, nullable=False),
        sa.Column("plan", plain_text(128), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("shipped_revision", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("tenant_id", "date", name="pk_usage_tenant_days"),
    )
    due = sa.text("revision > shipped_revision")
    op.create_index(
        "ix_usage_tenant_days_due",
        "usage_tenant_days",
        ["tenant_id", "date"],
        sqlite_where=due,
        postgresql_where=due,
    )


def _create_relay_tables() -> None:
    op.create_table(
        "relay_state",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("lease_owner", plain_text(32)),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("expired_count", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_relay_state"),
    )
    op.create_table(
        "quarantined_points",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("measurement", plain_text(32), nullable=False),
        sa.Column("point_id", plain_text(64), nullable=False),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("quarantined_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "measurement", "point_id", name="pk_quarantined_points"
        ),
    )
    op.create_table(
        "relay_health",
        sa.Column("name", plain_text(32), nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("failed_at", UtcDateTime, nullable=False),
        sa.Column("recovered_at", UtcDateTime),
        sa.PrimaryKeyConstraint("name", name="pk_relay_health"),
    )


def _take_over_days() -> None:
    """Book the days of the rollups that are there, with the plan in force when each began."""
    op.execute(
        """
        INSERT INTO usage_tenant_days (tenant_id, date, day_start_utc, plan, revision)
        SELECT days.tenant_id, days.date, days.day_start_utc,
            coalesce(
                (SELECT p.plan FROM tenant_periods AS p
                 WHERE p.tenant_id = days.tenant_id
                 AND p.valid_from <= days.day_start_utc
                 ORDER BY p.valid_from DESC LIMIT 1),
                (SELECT p.plan FROM tenant_periods AS p
                 WHERE p.tenant_id = days.tenant_id
                 ORDER BY p.valid_from LIMIT 1),
                'unassigned'
            ), 1
        FROM (
            SELECT tenant_id, date, min(day_start_utc) AS day_start_utc
            FROM usage_rollups_daily GROUP BY tenant_id, date
        ) AS days
        """
    )
