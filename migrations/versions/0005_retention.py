"""Retention: tombstones of raw usage that was taken away, and checkpoints of what it came to.

Revision: 0005
"""

import sqlalchemy as sa
from alembic import op

from ledger.columns import plain_text
from ledger.errors import ConflictError

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None

_COUNTS = ("derived_count", "provisional_count", "taken_count")


def upgrade() -> None:
    op.create_table(
        "usage_tombstones",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("event_id", plain_text(255), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(17), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "event_id", name="pk_usage_tombstones"),
        sqlite_with_rowid=False,
    )
    for name in _COUNTS:
        op.add_column(
            "usage_checkpoints",
            sa.Column(name, sa.BigInteger, nullable=False, server_default="0"),
        )


def downgrade() -> None:
    # Without its tombstone an event that is sent again would be booked again, and without its
    # checkpoint the usage that was taken would be missing from every rebuild.
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM usage_tombstones")):
        raise ConflictError(
            "usage_taken",
            "retention has taken raw usage, which an older schema cannot account for;"
            " go back to a backup from before, or stay with this version",
        )
    op.drop_table("usage_tombstones")
    for name in _COUNTS:
        op.drop_column("usage_checkpoints", name)
