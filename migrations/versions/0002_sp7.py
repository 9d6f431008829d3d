"""SP-7: sources, features, metadata, models, prices, and everything booked exactly once.

SP-3's rollups already contain their raw rows, and some raw rows may be gone. So its rollups stay as
an opening balance, which is also written down as checkpoints; the raw rows that they cover are
done, and the others become pending. No total changes.

Revision: 0002
"""

import json
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from alembic import op

from ledger.clock import system_clock
from ledger.columns import UtcDateTime, plain_text
from ledger.errors import ConflictError
from ledger.tenant import BEGINNING
from migrations.sp3 import check_sp3

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NAMESPACE = UUID("7f1d7f0c-43a5-5a2e-9d0c-6f2b1c1e8a55")
_AI_COUNTS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "audio_in_tokens",
    "audio_out_tokens",
    "image_in_tokens",
    "image_out_tokens",
    "audio_ms",
)


def upgrade() -> None:
    check_sp3(op.get_bind())
    _set_aside("usage_metrics", "sp3_metrics")
    _set_aside("usage_rollups_daily", "sp3_rollups")
    _create_reference_tables()
    _create_usage_tables()
    _create_rollup_tables()
    _take_over_tenants()
    _take_over_rollups()
    _take_over_raw_rows()
    op.drop_table("sp3_metrics")
    op.drop_table("sp3_rollups")


def downgrade() -> None:
    connection = op.get_bind()
    if connection.scalar(sa.text("SELECT count(*) FROM usage_batches")):
        raise ConflictError(
            "usage_pending",
            "some usage is booked and not yet costed; run `meterline work --once` first",
        )
    _set_aside("usage_metrics", "sp7_metrics")
    _set_aside("usage_rollups_daily", "sp7_rollups")
    _create_sp3_tables()
    _hand_back(connection)
    for table in (
        "sp7_metrics", "sp7_rollups", "usage_checkpoints", "usage_journal", "usage_batches",
        "costing_state", "price_books", "sequences", "api_keys", "tenant_periods", "tenants",
    ):  # fmt: skip
        op.drop_table(table)
    op.create_index("ix_usage_metrics_tenant_id_time", "usage_metrics", ["tenant_id", "time"])


def _set_aside(table: str, name: str) -> None:
    """Rename a table. On PostgreSQL its indexes keep their names, which the new table needs."""
    op.rename_table(table, name)
    if op.get_bind().dialect.name == "postgresql":
        query = sa.text("SELECT indexname FROM pg_indexes WHERE tablename = :name")
        for index in op.get_bind().scalars(query, {"name": name}).all():
            op.execute(f'ALTER INDEX "{index}" RENAME TO "{name}_{index}"')


def _measures() -> list[sa.Column[Any]]:
    return [
        sa.Column("quantity", sa.BigInteger, nullable=False),
        *(sa.Column(c, sa.BigInteger, nullable=False, server_default="0") for c in _AI_COUNTS),
    ]


def _key() -> list[sa.Column[Any]]:
    return [
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("rollup_id", sa.Uuid, nullable=False),
        sa.Column("channel", plain_text(64), nullable=False),
        sa.Column("direction", plain_text(64), nullable=False),
        sa.Column("source", plain_text(64)),
        sa.Column("feature", plain_text(64)),
        sa.Column("model", plain_text(128)),
        sa.Column("price_class", plain_text(64), nullable=False),
    ]


def _create(name: str, *columns: sa.Column[Any], key: tuple[str, ...]) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"))


def _create_reference_tables() -> None:
    _create(
        "tenants",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("name", plain_text(128), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        key=("tenant_id",),
    )
    _create(
        "tenant_periods",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("valid_from", UtcDateTime, nullable=False),
        sa.Column("plan", plain_text(128), nullable=False),
        sa.Column("timezone", plain_text(64), nullable=False),
        key=("tenant_id", "valid_from"),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", plain_text(16), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("tenant_id", plain_text(64)),
        sa.Column("scopes", plain_text(255), nullable=False),
        sa.Column("label", plain_text(128), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("revoked_at", UtcDateTime),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
        sa.UniqueConstraint("key_hash", name="uq_api_keys_key_hash"),
    )
    _create(
        "price_books",
        sa.Column("price_version", plain_text(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("registered_at", UtcDateTime, nullable=False),
        key=("price_version",),
    )
    _create(
        "sequences",
        sa.Column("name", plain_text(32), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        key=("name",),
    )


def _create_usage_tables() -> None:
    _create(
        "usage_metrics",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("event_id", plain_text(255), nullable=False),
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
        *_measures(),
        sa.Column("derived", sa.Boolean, nullable=False),
        sa.Column("provisional", sa.Boolean, nullable=False),
        sa.Column("metadata", sa.JSON),
        key=("tenant_id", "event_id"),
    )
    for columns in (["tenant_id", "batch_id"], ["tenant_id", "date"]):
        op.create_index(f"ix_usage_metrics_{'_'.join(columns)}", "usage_metrics", columns)
    _create(
        "usage_batches",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("batch_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("event_count", sa.Integer, nullable=False),
        sa.Column("booked_at", UtcDateTime, nullable=False),
        key=("tenant_id", "batch_id"),
    )
    _create(
        "costing_state",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("costed_at", UtcDateTime),
        key=("tenant_id",),
    )


def _create_rollup_tables() -> None:
    _create(
        "usage_rollups_daily",
        *_key(),
        sa.Column("count", sa.BigInteger, nullable=False),
        *_measures(),
        sa.Column("day_start_utc", UtcDateTime, nullable=False),
        sa.Column("estimated_cost", sa.BigInteger),
        sa.Column("price_version", plain_text(64), nullable=False),
        sa.Column("price_source", plain_text(64)),
        sa.Column("state", plain_text(16), nullable=False),
        sa.Column("derived_count", sa.BigInteger, nullable=False),
        sa.Column("provisional_count", sa.BigInteger, nullable=False),
        sa.Column("settled_count", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        key=("tenant_id", "date", "rollup_id"),
    )
    columns = ["tenant_id", "date", "source", "feature"]
    op.create_index(f"ix_usage_rollups_daily_{'_'.join(columns)}", "usage_rollups_daily", columns)
    _create(
        "usage_checkpoints",
        *_key(),
        sa.Column("count", sa.BigInteger, nullable=False),
        *_measures(),
        sa.Column("estimated_cost", sa.BigInteger),
        sa.Column("price_version", plain_text(64), nullable=False),
        key=("tenant_id", "date", "rollup_id"),
    )
    _create(
        "usage_journal",
        sa.Column("tenant_id", plain_text(64), nullable=False),
        sa.Column("entry_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("booked_at", UtcDateTime, nullable=False),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("rollup_id", sa.Uuid, nullable=False),
        sa.Column("cause", plain_text(16), nullable=False),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("after", sa.JSON, nullable=False),
        key=("tenant_id", "entry_id"),
    )
    columns = ["tenant_id", "date", "rollup_id"]
    op.create_index(f"ix_usage_journal_{'_'.join(columns)}", "usage_journal", columns)


def _run(statement: str, **values: object) -> None:
    bound = [
        sa.bindparam(name, value, UtcDateTime)
        if name.endswith("_at")
        else sa.bindparam(name, value)
        for name, value in values.items()
        if name != "rollup_id"
    ]
    if "rollup_id" in values:
        bound.append(sa.bindparam("rollup_id", values["rollup_id"], sa.Uuid))
    op.get_bind().execute(sa.text(statement).bindparams(*bound))


def _take_over_tenants() -> None:
    ids = "SELECT tenant_id FROM sp3_metrics UNION SELECT tenant_id FROM sp3_rollups"
    _run(
        "INSERT INTO tenants (tenant_id, name, created_at)"
        f" SELECT tenant_id, tenant_id, :created_at FROM ({ids}) AS sp3",
        created_at=system_clock(),
    )
    _run(
        "INSERT INTO tenant_periods (tenant_id, valid_from, plan, timezone)"
        " SELECT tenant_id, :start_at, 'unassigned', 'UTC' FROM tenants",
        start_at=BEGINNING,
    )


def _take_over_rollups() -> None:
    pairs = op.get_bind().execute(sa.text("SELECT DISTINCT channel, direction FROM sp3_rollups"))
    shared = "tenant_id, date, rollup_id, channel, direction, price_class, count, quantity"
    taken = (
        "tenant_id, date, :rollup_id, channel, direction, 'sp3', count, quantity,"
        " CAST(ROUND(estimated_cost * 1000000000) AS BIGINT), 'sp3'"
    )
    start = _on_dialect(
        sqlite="date || ' 00:00:00.000000'", postgresql="date::timestamp AT TIME ZONE 'UTC'"
    )
    for channel, direction in pairs.all():
        key = json.dumps([channel, direction, None, None, None, "sp3"], separators=(",", ":"))
        chosen = {
            "channel": channel,
            "direction": direction,
            "rollup_id": uuid5(_NAMESPACE, key),
        }
        source = "FROM sp3_rollups WHERE channel = :channel AND direction = :direction"
        _run(
            f"INSERT INTO usage_checkpoints ({shared}, estimated_cost, price_version)"
            f" SELECT {taken} {source}",
            **chosen,
        )
        _run(
            f"INSERT INTO usage_rollups_daily ({shared}, estimated_cost, price_version,"
            " price_source, state, day_start_utc,"
            " derived_count, provisional_count, settled_count, revision)"
            f" SELECT {taken}, 'sp3',"
            " CASE WHEN estimated_cost IS NULL THEN 'unpriced' ELSE 'estimated' END,"
            f" {start}, 0, 0, 0, 1 {source}",
            **chosen,
        )


def _take_over_raw_rows() -> None:
    utc_date = _utc_date("m")
    covered = (
        "EXISTS (SELECT 1 FROM sp3_rollups r WHERE r.tenant_id = m.tenant_id"
        f" AND r.date = {utc_date} AND r.channel = m.channel AND r.direction = m.direction)"
    )
    instant = _on_dialect(
        sqlite=(
            "CASE WHEN m.time GLOB '????-??-?? ??:??:??.??????' THEN m.time"
            " ELSE strftime('%Y-%m-%d %H:%M:%f', m.time) || '000' END"
        ),
        postgresql="m.time",
    )
    numbers = "SELECT coalesce(max(id), 0) AS last FROM sp3_metrics"
    # AI usage without tokens is a total, three parts in to one part out, as at intake.
    tokens_out = "CASE WHEN m.channel = 'ai' THEN m.quantity / 4 ELSE 0 END"
    tokens_in = "CASE WHEN m.channel = 'ai' THEN m.quantity - m.quantity / 4 ELSE 0 END"
    _run(
        "INSERT INTO usage_metrics (tenant_id, event_id, id, batch_id, fingerprint, time, date,"
        " channel, direction, price_class, quantity, input_tokens, output_tokens,"
        " derived, provisional)"
        f" SELECT m.tenant_id, 'sp3:' || m.id, m.id, CASE WHEN {covered} THEN 0"
        " ELSE n.last + 1 END,"
        f" :fingerprint, {instant}, {utc_date}, m.channel, m.direction, 'standard', m.quantity,"
        f" {tokens_in}, {tokens_out}, CASE WHEN m.channel = 'ai' THEN :yes ELSE :no END, :no"
        f" FROM sp3_metrics m CROSS JOIN ({numbers}) n",
        fingerprint=b"\x00",
        yes=True,
        no=False,
    )
    _run(
        "INSERT INTO usage_batches (tenant_id, batch_id, event_count, booked_at)"
        " SELECT tenant_id, batch_id, count(*), :booked_at FROM usage_metrics"
        " WHERE batch_id > 0 GROUP BY tenant_id, batch_id",
        booked_at=system_clock(),
    )
    _run(f"INSERT INTO sequences (name, value) SELECT 'booking', n.last + 1 FROM ({numbers}) n")


def _create_sp3_tables() -> None:
    op.create_table(
        "usage_metrics",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("direction", sa.String(64), nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "usage_rollups_daily",
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("date", sa.Date, primary_key=True),
        sa.Column("channel", sa.String(64), primary_key=True),
        sa.Column("direction", sa.String(64), primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("estimated_cost", sa.Numeric(20, 9)),
    )


def _hand_back(connection: sa.Connection) -> None:
    raw_rows = (
        "INSERT INTO usage_metrics (id, tenant_id, channel, direction, quantity, time)"
        " SELECT id, tenant_id, channel, direction, quantity, time FROM sp7_metrics"
    )
    columns = "(tenant_id, date, channel, direction, count, quantity, estimated_cost)"
    rollups = (
        f"INSERT INTO usage_rollups_daily {columns}"
        " SELECT tenant_id, date, channel, direction, sum(count), sum(quantity),"
        " CASE WHEN count(*) = count(estimated_cost) THEN sum(estimated_cost) / 1000000000.0 END"
        " FROM sp7_rollups GROUP BY tenant_id, date, channel, direction"
    )
    # A tenant's local day can differ from the UTC day by which SP-3 finds the rollup of a raw row:
    # an empty rollup says that this raw row is accounted for.
    markers = (
        f"INSERT INTO usage_rollups_daily {columns}"
        f" SELECT DISTINCT tenant_id, {_utc_date('m')}, channel, direction, 0, 0, 0"
        " FROM usage_metrics m WHERE NOT EXISTS (SELECT 1 FROM usage_rollups_daily r"
        f" WHERE r.tenant_id = m.tenant_id AND r.date = {_utc_date('m')}"
        " AND r.channel = m.channel AND r.direction = m.direction)"
    )
    for statement in (raw_rows, rollups, markers):
        connection.execute(sa.text(statement))
    if connection.dialect.name == "postgresql":
        # SP-3 goes on where its rows end.
        sequence = "pg_get_serial_sequence('usage_metrics', 'id')"
        connection.execute(
            sa.text(
                f"SELECT setval({sequence}, coalesce(max(id), 0) + 1, false) FROM usage_metrics"
            )
        )


def _utc_date(table: str) -> str:
    return _on_dialect(
        sqlite=f"date({table}.time)", postgresql=f"CAST({table}.time AT TIME ZONE 'UTC' AS date)"
    )


def _on_dialect(*, sqlite: str, postgresql: str) -> str:
    return {"sqlite": sqlite, "postgresql": postgresql}[op.get_bind().dialect.name]
