"""Budgets with their crossings and notices, and anomalies of spend.

Revision: 0016
"""

import sqlalchemy as sa
from alembic import op

from ledger.columns import UtcDateTime, plain_text

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budget_revisions",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("set_by", plain_text(128), nullable=False),
        sa.Column("set_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "revision", name="pk_budget_revisions"),
    )
    op.create_table(
        "budget_evaluations",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("budget_revision", sa.BigInteger, nullable=False),
        sa.Column("since", sa.Date, nullable=False),
        sa.Column("usage_revision", sa.BigInteger, nullable=False),
        sa.Column("timezone", plain_text(64), nullable=False),
        sa.Column("ends_at", UtcDateTime),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_budget_evaluations"),
    )
    op.create_table(
        "budget_standings",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("budget_id", plain_text(80), nullable=False),
        sa.Column("period", plain_text(16), nullable=False),
        sa.Column("feature", plain_text(64)),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("has_unpriced", sa.Boolean, nullable=False),
        sa.Column("ends_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "budget_id", name="pk_budget_standings"),
    )
    op.create_table(
        "budget_crossings",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("budget_id", plain_text(80), nullable=False),
        sa.Column("period_start", sa.Date, nullable=False),
        sa.Column("threshold", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("crossed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "budget_id", "period_start", "threshold", name="pk_budget_crossings"
        ),
    )
    _create_notices()
    op.create_table(
        "usage_anomalies",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("channel", plain_text(64), nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("usual", sa.BigInteger, nullable=False),
        sa.Column("bound", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "date", "channel", name="pk_usage_anomalies"),
    )
    op.create_index("ix_usage_anomalies_date", "usage_anomalies", ["date"])


def _create_notices() -> None:
    op.create_table(
        "budget_notices",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("notice_id", plain_text(128), nullable=False),
        sa.Column("medium", plain_text(16), nullable=False),
        sa.Column("recipients", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_error", sa.Text),
        sa.Column("sent_at", UtcDateTime),
        sa.Column("failed_at", UtcDateTime),
        sa.PrimaryKeyConstraint("tenant_id", "notice_id", name="pk_budget_notices"),
    )
    waits = sa.text("sent_at IS NULL AND failed_at IS NULL")
    op.create_index(
        "ix_budget_notices_waiting",
        "budget_notices",
        ["tenant_id", "due_at"],
        sqlite_where=waits,
        postgresql_where=waits,
    )
    failed = sa.text("failed_at IS NOT NULL")
    op.create_index(
        "ix_budget_notices_failed",
        "budget_notices",
        ["failed_at"],
        sqlite_where=failed,
        postgresql_where=failed,
    )


def downgrade() -> None:
    for name in (
        "usage_anomalies",
        "budget_notices",
        "budget_crossings",
        "budget_standings",
        "budget_evaluations",
        "budget_revisions",
    ):
        op.drop_table(name)
