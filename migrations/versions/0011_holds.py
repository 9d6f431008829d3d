"""Series: since when figures wait, what is held back, and when refused points are tried again.

Revision: 0011
"""

import sqlalchemy as sa
from alembic import op

from ledger.clock import system_clock
from ledger.columns import UtcDateTime, plain_text

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_DAYS = sa.table(
    "usage_tenant_days",
    sa.column("revision", sa.BigInteger),
    sa.column("shipped_revision", sa.BigInteger),
    sa.column("rows_shipped_revision", sa.BigInteger),
    sa.column("due_since", UtcDateTime),
)
_DUE_INDEX = "ix_usage_tenant_days_due"


def upgrade() -> None:
    op.add_column(
        "usage_tenant_days",
        sa.Column("rows_shipped_revision", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.add_column("usage_tenant_days", sa.Column("due_since", UtcDateTime))
    op.execute(sa.update(_DAYS).values(rows_shipped_revision=_DAYS.c.shipped_revision))
    # Nobody has noted since when they wait: the upgrade is the first that is known.
    is_due = _DAYS.c.revision > _DAYS.c.shipped_revision
    op.execute(sa.update(_DAYS).where(is_due).values(due_since=system_clock()))
    _replace_due_index("revision > shipped_revision OR revision > rows_shipped_revision")
    op.add_column(
        "quarantined_points", sa.Column("tries", sa.Integer, nullable=False, server_default="1")
    )
    op.add_column("quarantined_points", sa.Column("retry_at", UtcDateTime))
    op.create_index("ix_quarantined_points_retry_at", "quarantined_points", ["retry_at"])
    op.create_table(
        "relay_holds",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("measurement", plain_text(32), nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("held_since", UtcDateTime, nullable=False),
        sa.Column("retry_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "measurement", name="pk_relay_holds"),
    )


def downgrade() -> None:
    op.drop_table("relay_holds")
    op.drop_index("ix_quarantined_points_retry_at", "quarantined_points")
    for name in ("retry_at", "tries"):
        op.drop_column("quarantined_points", name)
    # A day of which one of both waits is due as a whole again.
    least = sa.case(
        (_DAYS.c.rows_shipped_revision < _DAYS.c.shipped_revision, _DAYS.c.rows_shipped_revision),
        else_=_DAYS.c.shipped_revision,
    )
    op.execute(sa.update(_DAYS).values(shipped_revision=least))
    _replace_due_index("revision > shipped_revision")
    for name in ("due_since", "rows_shipped_revision"):
        op.drop_column("usage_tenant_days", name)


def _replace_due_index(condition: str) -> None:
    op.drop_index(_DUE_INDEX, "usage_tenant_days")
    due = sa.text(condition)
    op.create_index(
        _DUE_INDEX,
        "usage_tenant_days",
        ["tenant_id", "date"],
        sqlite_where=due,
        postgresql_where=due,
    )
