"""Prices: entries with a start, catalogues, reasons in the journal, rows that lack a price.

Revision: 0010
"""

import sqlalchemy as sa
from alembic import op

from ledger.columns import UtcDateTime, plain_text

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "price_entries",
        sa.Column("entry_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("kind", plain_text(16), nullable=False),
        sa.Column("tenant_id", plain_text(64)),
        sa.Column("plan", plain_text(128)),
        sa.Column("starts_on", sa.Date, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("digest", plain_text(12), nullable=False),
        sa.Column("origin", plain_text(128), nullable=False),
        sa.Column("added_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name="pk_price_entries"),
    )
    op.add_column("usage_journal", sa.Column("reason", plain_text(255)))
    is_unpriced = sa.text("state = 'unpriced'")
    op.create_index(
        "ix_usage_rollups_daily_unpriced",
        "usage_rollups_daily",
        ["tenant_id", "date"],
        sqlite_where=is_unpriced,
        postgresql_where=is_unpriced,
    )
    is_flat_rated = sa.text("price_source = 'flat' AND channel = 'ai'")
    op.create_index(
        "ix_usage_rollups_daily_flat_rated",
        "usage_rollups_daily",
        ["date", "tenant_id"],
        sqlite_where=is_flat_rated,
        postgresql_where=is_flat_rated,
    )


def downgrade() -> None:
    op.drop_index("ix_usage_rollups_daily_flat_rated", "usage_rollups_daily")
    op.drop_index("ix_usage_rollups_daily_unpriced", "usage_rollups_daily")
    with op.batch_alter_table("usage_journal") as journal:
        journal.drop_column("reason")
    op.drop_table("price_entries")
