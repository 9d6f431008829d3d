"""Whose event had an id, after retention has taken it, over the tombstones of all tenants.

Revision: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("usage_tombstones", sa.Column("is_told_of", sa.Boolean))
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(
            "ix_usage_tombstones_event_id",
            "usage_tombstones",
            ["event_id"],
            postgresql_where=sa.text("is_told_of IS NOT FALSE"),
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_usage_tombstones_event_id", "usage_tombstones")
    op.drop_column("usage_tombstones", "is_told_of")
