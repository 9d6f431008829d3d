"""Facts: what providers say of usages after the fact, and signed rows that correct what is booked.

Revision: 0008
"""

import sqlalchemy as sa
from alembic import op

from ledger.columns import UtcDateTime, plain_text
from ledger.errors import ConflictError

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_COLUMNS = ("count", "usage_id", "corrects")


def upgrade() -> None:
    # Constants, so that no row that is there is written anew.
    op.add_column(
        "usage_metrics", sa.Column("count", sa.SmallInteger, nullable=False, server_default="1")
    )
    op.add_column("usage_metrics", sa.Column("usage_id", plain_text(255)))
    op.add_column(
        "usage_metrics",
        sa.Column("corrects", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "usage_facts",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("usage_id", plain_text(255), nullable=False),
        sa.Column("fact_id", plain_text(255), nullable=False),
        sa.Column("rank", sa.SmallInteger, nullable=False),
        sa.Column("verdict", plain_text(16), nullable=False),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("channel", plain_text(64), nullable=False),
        sa.Column("direction", plain_text(64), nullable=False),
        sa.Column("source", plain_text(64), nullable=False),
        sa.Column("feature", plain_text(64)),
        sa.Column("quantity", sa.BigInteger),
        sa.Column("adds", sa.Boolean, nullable=False),
        sa.Column("metadata", sa.JSON),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "usage_id", "fact_id", name="pk_usage_facts"),
    )
    op.create_table(
        "usage_balances",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("usage_id", plain_text(255), nullable=False),
        sa.Column("booked", sa.JSON),
        sa.Column("expired", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("tenant_id", "usage_id", name="pk_usage_balances"),
    )


def downgrade() -> None:
    # An older schema would count a reversal as a usage, and an event that comes after the facts of
    # its usage a second time.
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM usage_balances")):
        raise ConflictError(
            "usage_told",
            "providers have told of usage, which an older schema cannot account for;"
            " go back to a backup from before, or stay with this version",
        )
    for name in ("usage_balances", "usage_facts"):
        op.drop_table(name)
    for name in _COLUMNS:
        op.drop_column("usage_metrics", name)
