"""Accounts: users, sign-ins, one-time links, failures; and tenants that are closed.

Revision: 0003
"""

import sqlalchemy as sa
from alembic import op

from ledger.columns import UtcDateTime, plain_text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tenants", sa.Column("closed_at", UtcDateTime))
    op.create_table(
        "users",
        sa.Column("login", plain_text(64), nullable=False),
        sa.Column("role", plain_text(16), nullable=False),
        sa.Column("tenant_id", plain_text(64)),
        sa.Column("password_hash", plain_text(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("disabled_at", UtcDateTime),
        sa.PrimaryKeyConstraint("login", name="pk_users"),
    )
    op.create_table(
        "sign_ins",
        sa.Column("token_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("login", plain_text(64)),
        sa.Column("subject", plain_text(128), nullable=False),
        sa.Column("role", plain_text(16), nullable=False),
        sa.Column("tenant_id", plain_text(64)),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sign_ins"),
    )
    op.create_table(
        "sign_in_links",
        sa.Column("code_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("subject", plain_text(128), nullable=False),
        sa.Column("role", plain_text(16), nullable=False),
        sa.Column("tenant_id", plain_text(64)),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("code_hash", name="pk_sign_in_links"),
    )
    op.create_table(
        "sign_in_failures",
        sa.Column("failure_id", sa.Uuid, nullable=False),
        sa.Column("address_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("login_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("failed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("failure_id", name="pk_sign_in_failures"),
    )
    for table, column in (
        ("sign_ins", "expires_at"),
        ("sign_in_links", "expires_at"),
        ("sign_in_failures", "address_hash"),
        ("sign_in_failures", "failed_at"),
    ):
        op.create_index(f"ix_{table}_{column}", table, [column])


def downgrade() -> None:
    for table in ("sign_in_failures", "sign_in_links", "sign_ins", "users"):
        op.drop_table(table)
    op.drop_column("tenants", "closed_at")
