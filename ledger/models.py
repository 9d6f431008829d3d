"""The tables. Every growing table has `tenant_id` in its primary key and every unique key."""

import sqlalchemy as sa

from ledger import (
    account_models,
    attribution_models,
    budget_models,
    counter_models,
    fact_models,
    grafana_models,
    hour_models,
    price_models,
    registry,
    shipping_models,
    worker_models,
)
from ledger.columns import UtcDateTime, measure_columns, plain_text, rollup_key_columns

metadata = registry.metadata
users = account_models.users
sign_ins = account_models.sign_ins
sign_in_links = account_models.sign_in_links
sign_in_failures = account_models.sign_in_failures
usage_facts = fact_models.usage_facts
usage_balances = fact_models.usage_balances
price_entries = price_models.price_entries
relay_state = shipping_models.relay_state
quarantined_points = shipping_models.quarantined_points
relay_holds = shipping_models.relay_holds
worker_health = worker_models.worker_health
grafana_orgs = grafana_models.grafana_orgs
provider_mappings = attribution_models.provider_mappings
unattributed_usage = attribution_models.unattributed_usage
server_counters = counter_models.server_counters
usage_rollups_hourly = hour_models.usage_rollups_hourly
budget_revisions = budget_models.budget_revisions
budget_evaluations = budget_models.budget_evaluations
budget_standings = budget_models.budget_standings
budget_crossings = budget_models.budget_crossings
budget_notices = budget_models.budget_notices
usage_anomalies = budget_models.usage_anomalies

VERSION_TABLE = "meterline_version"
"""Where Alembic keeps the revision; the host may have a version table of its own."""

tenants = sa.Table(
    "tenants",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("name", plain_text(128), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("closed_at", UtcDateTime),
)

tenant_periods = sa.Table(
    "tenant_periods",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("valid_from", UtcDateTime, primary_key=True),
    sa.Column("plan", plain_text(128), nullable=False),
    sa.Column("timezone", plain_text(64), nullable=False),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", plain_text(16), primary_key=True),
    sa.Column("key_hash", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("tenant_id", plain_text(64)),
    sa.Column("scopes", plain_text(255), nullable=False),
    sa.Column("label", plain_text(128), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
)

ONLY_ON = "only_on"
"""Where a table or an index says on which database alone it is."""

IS_TOLD_OF = sa.text("channel <> 'ai' AND usage_id IS NULL")
"""The condition on raw rows that they are events of which providers may tell facts."""

WAS_TOLD_OF = sa.text("is_told_of IS NOT FALSE")
"""The condition on tombstones that they may have been such events."""

usage_metrics = sa.Table(
    "usage_metrics",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("event_id", plain_text(255), primary_key=True),
    # `id` is the booking sequence number: unique over all tenants, growing, never used again.
    sa.Column("id", sa.BigInteger, nullable=False),
    sa.Column("batch_id", sa.BigInteger, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary(17), nullable=False),
    sa.Column("time", UtcDateTime, nullable=False),
    sa.Column("date", sa.Date, nullable=False),
    sa.Column("channel", plain_text(64), nullable=False),
    sa.Column("direction", plain_text(64), nullable=False),
    sa.Column("source", plain_text(64)),
    sa.Column("feature", plain_text(64)),
    sa.Column("model", plain_text(128)),
    sa.Column("price_class", plain_text(64), nullable=False),
    *measure_columns(),
    sa.Column("derived", sa.Boolean, nullable=False),
    sa.Column("provisional", sa.Boolean, nullable=False),
    sa.Column("metadata", sa.JSON(none_as_null=True)),
    # 1: a usage. -1: the reversal of one, with its counts negated, so that all sums are signed.
    sa.Column("count", sa.SmallInteger, nullable=False, server_default="1"),
    # The usage that a row booked by facts is of; an event is of the usage that has its own id.
    sa.Column("usage_id", plain_text(255)),
    # Whether the row corrects what was booked before.
    sa.Column("corrects", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index(None, "tenant_id", "batch_id"),
    sa.Index(None, "tenant_id", "date"),
)
# Whose event has an id, over all tenants: what a provider tells of a usage, and nobody knows whose
# it is, is of the tenant that the SDK booked it for. Providers tell nothing of AI. A file has few
# tenants, and asks the key of each.
sa.Index(
    "ix_usage_metrics_event_id",
    usage_metrics.c.event_id,
    postgresql_where=IS_TOLD_OF,
    info={ONLY_ON: "postgresql"},
)

# What is left of a raw row that retention took: enough to answer its event, sent again. A row is
# little more than its key, so on SQLite the key is the table and is not stored twice.
usage_tombstones = sa.Table(
    "usage_tombstones",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("event_id", plain_text(255), primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary(17), nullable=False),
    # Whether the raw row was an event of which providers may tell facts. None: taken before
    # revision 0017, so that nobody knows.
    sa.Column("is_told_of", sa.Boolean),
    sqlite_with_rowid=False,
)
# Whose event had an id, for the same reason as among raw rows.
sa.Index(
    "ix_usage_tombstones_event_id",
    usage_tombstones.c.event_id,
    postgresql_where=WAS_TOLD_OF,
    info={ONLY_ON: "postgresql"},
)

usage_batches = sa.Table(
    "usage_batches",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("batch_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("event_count", sa.Integer, nullable=False),
    sa.Column("booked_at", UtcDateTime, nullable=False),
)

# Batches that are costed and not yet shipped to InfluxDB; filled only where that is configured.
unshipped_batches = sa.Table(
    "unshipped_batches",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("batch_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("event_count", sa.Integer, nullable=False),
    sa.Column("booked_at", UtcDateTime, nullable=False),
    # A batch of more events than one call takes is shipped in the order of their ids.
    sa.Column("shipped_until", plain_text(255)),
)

costing_state = sa.Table(
    "costing_state",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("costed_at", UtcDateTime),
    # The first local date whose hours are kept; none before its usage was ever summed by hours.
    sa.Column("hours_from", sa.Date),
)

usage_rollups_daily = sa.Table(
    "usage_rollups_daily",
    metadata,
    *rollup_key_columns(),
    sa.Column("count", sa.BigInteger, nullable=False),
    *measure_columns(),
    sa.Column("day_start_utc", UtcDateTime, nullable=False),
    sa.Column("estimated_cost", sa.BigInteger),
    sa.Column("price_version", plain_text(64), nullable=False),
    sa.Column("price_source", plain_text(64)),
    sa.Column("state", plain_text(16), nullable=False),
    sa.Column("derived_count", sa.BigInteger, nullable=False),
    sa.Column("provisional_count", sa.BigInteger, nullable=False),
    sa.Column("settled_count", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    # What InfluxDB has of the row; it is due while this is behind its revision.
    sa.Column("shipped_revision", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index(None, "tenant_id", "date", "source", "feature"),
)
# Rows that wait for a price are looked for with every price that comes.
_ROW = usage_rollups_daily.c
sa.Index(
    "ix_usage_rollups_daily_unpriced",
    _ROW.tenant_id,
    _ROW.date,
    sqlite_where=_ROW.state == "unpriced",
    postgresql_where=_ROW.state == "unpriced",
)
# Rows of AI usage that only the flat map had a rate for are counted at each scrape.
_FLAT_RATED = sa.and_(_ROW.price_source == "flat", _ROW.channel == "ai")
sa.Index(
    "ix_usage_rollups_daily_flat_rated",
    _ROW.date,
    _ROW.tenant_id,
    sqlite_where=_FLAT_RATED,
    postgresql_where=_FLAT_RATED,
)

# What is the same for all rollup rows of a tenant's local date, booked with the first of them: a
# plan or a start that changed later would make other points of what was shipped before.
usage_tenant_days = sa.Table(
    "usage_tenant_days",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("day_start_utc", UtcDateTime, nullable=False),
    sa.Column("plan", plain_text(128), nullable=False),
    # Raised with every change of a row of the day and of the tenant's name.
    sa.Column("revision", sa.BigInteger, nullable=False),
    # What InfluxDB has: of the point of the day, and of those of its rows.
    sa.Column("shipped_revision", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("rows_shipped_revision", sa.BigInteger, nullable=False, server_default="0"),
    # Since when something of the day waits to be shipped; it says nothing where nothing does.
    sa.Column("due_since", UtcDateTime),
)
_DUE = sa.or_(
    usage_tenant_days.c.revision > usage_tenant_days.c.shipped_revision,
    usage_tenant_days.c.revision > usage_tenant_days.c.rows_shipped_revision,
)
sa.Index(
    "ix_usage_tenant_days_due",
    usage_tenant_days.c.tenant_id,
    usage_tenant_days.c.date,
    sqlite_where=_DUE,
    postgresql_where=_DUE,
)

usage_checkpoints = sa.Table(
    "usage_checkpoints",
    metadata,
    *rollup_key_columns(),
    sa.Column("count", sa.BigInteger, nullable=False),
    *measure_columns(),
    # That of SP-3 where the row is an opening balance; any other row is rated by its sums.
    sa.Column("estimated_cost", sa.BigInteger),
    sa.Column("price_version", plain_text(64), nullable=False),
    sa.Column("derived_count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("provisional_count", sa.BigInteger, nullable=False, server_default="0"),
    # Raw rows that became tombstones. An opening balance never counted those that it covers.
    sa.Column("taken_count", sa.BigInteger, nullable=False, server_default="0"),
)

usage_journal = sa.Table(
    "usage_journal",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("entry_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("booked_at", UtcDateTime, nullable=False),
    sa.Column("date", sa.Date, nullable=False),
    sa.Column("rollup_id", sa.Uuid, nullable=False),
    sa.Column("cause", plain_text(16), nullable=False),
    sa.Column("before", sa.JSON, nullable=False),
    sa.Column("after", sa.JSON, nullable=False),
    # Why somebody changed it, where somebody did.
    sa.Column("reason", plain_text(255)),
    sa.Index(None, "tenant_id", "date", "rollup_id"),
)

price_books = sa.Table(
    "price_books",
    metadata,
    sa.Column("price_version", plain_text(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("registered_at", UtcDateTime, nullable=False),
)

BOOKING_SEQUENCE = "booking_numbers"
"""The sequence that gives booking numbers on PostgreSQL."""

# PostgreSQL has sequences of its own; a row that everybody counts up would make bookings of all
# tenants wait for each other.
sequences = sa.Table(
    "sequences",
    metadata,
    sa.Column("name", plain_text(32), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
    info={ONLY_ON: "sqlite"},
)
