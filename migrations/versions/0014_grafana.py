"""Grafana: which organisation a tenant has there, and what was provisioned in it.

Revision: 0014
"""

import sqlalchemy as sa
from alembic import op

from ledger.columns import UtcDateTime, plain_text

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "grafana_orgs",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("org_id", sa.BigInteger),
        sa.Column("digest", plain_text(64)),
        sa.Column("provisioned_at", UtcDateTime),
        sa.Column("lease_owner", plain_text(32)),
        sa.Column("lease_until", UtcDateTime),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_grafana_orgs"),
    )


def downgrade() -> None:
    op.drop_table("grafana_orgs")
