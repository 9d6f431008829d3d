"""Many workers: every tenant has its row to lock, and PostgreSQL gives the booking numbers.

SQLite keeps its table of one row for them.

Revision: 0006
"""

import sqlalchemy as sa
from alembic import op

from ledger.columns import plain_text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SEQUENCE = "booking_numbers"


def upgrade() -> None:
    op.execute(
        "INSERT INTO costing_state (tenant_id) SELECT tenant_id FROM tenants"
        " WHERE tenant_id NOT IN (SELECT tenant_id FROM costing_state)"
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    used = "SELECT value FROM sequences WHERE name = 'booking'"
    last = op.get_bind().scalar(sa.text(used))
    op.execute(f"CREATE SEQUENCE {_SEQUENCE} AS bigint START WITH {last + 1}")
    op.drop_table("sequences")


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    next_number = f"SELECT nextval('{_SEQUENCE}')"
    used = op.get_bind().scalar(sa.text(next_number))
    op.create_table(
        "sequences",
        sa.Column("name", plain_text(32), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_sequences"),
    )
    op.execute(f"INSERT INTO sequences (name, value) VALUES ('booking', {used})")
    op.execute(f"DROP SEQUENCE {_SEQUENCE}")
