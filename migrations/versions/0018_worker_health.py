"""How it goes with all that a worker does, where it was how it goes with InfluxDB alone.

Revision: 0018
"""

import sqlalchemy as sa
from alembic import op

from ledger.columns import UtcDateTime, plain_text

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_COLUMNS = "name, failures, last_error, failed_at, recovered_at"


def upgrade() -> None:
    _make("worker_health")
    op.execute(f"INSERT INTO worker_health ({_COLUMNS}) SELECT {_COLUMNS} FROM relay_health")
    op.drop_table("relay_health")


def downgrade() -> None:
    _make("relay_health")
    # The older shape has no room for anything else.
    op.execute(
        f"INSERT INTO relay_health ({_COLUMNS})"
        f" SELECT {_COLUMNS} FROM worker_health WHERE name = 'influxdb'"
    )
    op.drop_table("worker_health")


def _make(name: str) -> None:
    op.create_table(
        name,
        sa.Column("name", plain_text(32), nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("failed_at", UtcDateTime, nullable=False),
        sa.Column("recovered_at", UtcDateTime),
        sa.PrimaryKeyConstraint("name", name=f"pk_{name}"),
    )
