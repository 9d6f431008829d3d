"""The tables of budgets, their notices and of anomalies. `ledger.models` has them all."""

import sqlalchemy as sa

from ledger.columns import UtcDateTime, plain_text
from ledger.registry import metadata

# All budgets of a tenant as one document, a row a change: append-only, the newest one holds. Two
# changes that start from the same one make the same key, and the second one is refused.
budget_revisions = sa.Table(
    "budget_revisions",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("set_by", plain_text(128), nullable=False),
    sa.Column("set_at", UtcDateTime, nullable=False),
)

# Of what a tenant's budgets were evaluated last: evaluated again where any of it is another.
budget_evaluations = sa.Table(
    "budget_evaluations",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("budget_revision", sa.BigInteger, nullable=False),
    # The sum of the revisions of the tenant's days from `since` on.
    sa.Column("since", sa.Date, nullable=False),
    sa.Column("usage_revision", sa.BigInteger, nullable=False),
    # The zone that cuts the tenant's days.
    sa.Column("timezone", plain_text(64), nullable=False),
    # When the first of the periods that are running ends; empty where there is no budget.
    sa.Column("ends_at", UtcDateTime),
)

# Where each budget stands in the period that is running.
budget_standings = sa.Table(
    "budget_standings",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("budget_id", plain_text(80), primary_key=True),
    sa.Column("period", plain_text(16), nullable=False),
    sa.Column("feature", plain_text(64)),
    sa.Column("amount", sa.BigInteger, nullable=False),
    # Of what has a price; `has_unpriced`: there is usage that has none.
    sa.Column("spent", sa.BigInteger, nullable=False),
    sa.Column("has_unpriced", sa.Boolean, nullable=False),
    sa.Column("ends_at", UtcDateTime, nullable=False),
)

# A threshold of a budget that was reached in a period: once, whatever happens to spend or amount.
budget_crossings = sa.Table(
    "budget_crossings",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("budget_id", plain_text(80), primary_key=True),
    sa.Column("period_start", sa.Date, primary_key=True),
    sa.Column("threshold", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("spent", sa.BigInteger, nullable=False),
    sa.Column("crossed_at", UtcDateTime, nullable=False),
)

# What has to be said of a crossing, a row a medium, made in the transaction of the crossing.
budget_notices = sa.Table(
    "budget_notices",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("notice_id", plain_text(128), primary_key=True),
    sa.Column("medium", plain_text(16), nullable=False),
    sa.Column("recipients", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # Whoever sends it moves `due_at` ahead first, so that nobody else does meanwhile.
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("last_error", sa.Text),
    # When it was sent or given up; neither: it waits.
    sa.Column("sent_at", UtcDateTime),
    sa.Column("failed_at", UtcDateTime),
)
_WAITS = sa.and_(budget_notices.c.sent_at.is_(None), budget_notices.c.failed_at.is_(None))
sa.Index(
    "ix_budget_notices_waiting",
    budget_notices.c.tenant_id,
    budget_notices.c.due_at,
    sqlite_where=_WAITS,
    postgresql_where=_WAITS,
)
_FAILED = budget_notices.c.failed_at.is_not(None)
sa.Index(
    "ix_budget_notices_failed",
    budget_notices.c.failed_at,
    sqlite_where=_FAILED,
    postgresql_where=_FAILED,
)

# Local dates on which a tenant spent far more on a channel than in the weeks before.
usage_anomalies = sa.Table(
    "usage_anomalies",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("channel", plain_text(64), primary_key=True),
    sa.Column("spent", sa.BigInteger, nullable=False),
    sa.Column("usual", sa.BigInteger, nullable=False),
    # What was still within the usual.
    sa.Column("bound", sa.BigInteger, nullable=False),
    sa.Index(None, "date"),
)
