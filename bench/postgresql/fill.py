"""Big tables, filled by SQL where intake would take minutes."""

from collections.abc import Mapping

import sqlalchemy as sa

from bench.ledgers import FIRST_DAY, NOW
from ledger.models import usage_metrics, usage_rollups_daily
from tests.servers.postgresql import Database

DAYS = 90
REQUEST_EVENTS = 1000
"""Events of all tenants in turn that one request is taken to have had."""

_FIRST = f"timestamptz '{FIRST_DAY.isoformat()}'"
_IS_AI = "(n / {tenants}) % 2 = 0"


def fill_usage(  # noqa: PLR0913 - each says another thing about the rows; keyword-only
    database: Database, *, name: str, count: int, tenants: int, days: range, mixed: bool = True
) -> None:
    """Add raw usage of the tenants and days, in equal parts, as pending batches.

    Each request has events of all tenants in turn where it is `mixed`, else of one tenant alone.
    Half of it is AI, half SMS, of three features each; it is of the hour before noon UTC, in which
    the tenants have the same date as UTC.
    """
    is_ai = _IS_AI.format(tenants=tenants)
    tokens = {"input_tokens": "50 + n * 7919 % 7950", "output_tokens": "5 + n * 104729 % 995"}
    measures = {name: f"CASE WHEN {is_ai} THEN {text} ELSE 0 END" for name, text in tokens.items()}
    day = f"{days.start} + n * {len(days)} / {count}"
    turn = "n" if mixed else f"(n / {REQUEST_EVENTS})"
    values = {
        "tenant_id": f"'tenant-' || lpad(({turn} % {tenants} + 1)::text, 5, '0')",
        "event_id": f"'{name}-' || md5(n::text)",
        "id": "nextval('booking_numbers')",
        "batch_id": f"{days.start} * 100000000::bigint + n / {REQUEST_EVENTS} + 1",
        "fingerprint": "decode(md5(n::text) || '00', 'hex')",
        "time": f"{_FIRST} + ({day}) * interval '1 day' - n * 31 % 3600 * interval '1 s'",
        "date": f"{_FIRST}::date + (({day})::int)",
        "channel": f"CASE WHEN {is_ai} THEN 'ai' ELSE 'sms' END",
        "direction": "'outbound'",
        "source": f"CASE WHEN {is_ai} THEN 'openai' ELSE 'twilio' END",
        "feature": "(ARRAY['ai_sms', 'support_ai', 'broadcast'])[1 + n / 7 % 3]",
        "model": f"CASE WHEN {is_ai} THEN 'house-llm' END",
        "price_class": "'standard'",
        "quantity": f"CASE WHEN {is_ai} THEN {' + '.join(tokens.values())} ELSE 1 END",
        **measures,
        "derived": "false",
        "provisional": "false",
        "metadata": "NULL",
        "count": "1",
        "usage_id": "NULL",
        "corrects": "false",
    }
    series = f"generate_series(0::bigint, {count - 1}) n ORDER BY n"
    database.server.administer(
        "SET timezone = 'UTC'; SET work_mem = '256MB';"
        f" {_insert(usage_metrics, values)} FROM {series};"
        " INSERT INTO usage_batches SELECT tenant_id, batch_id, count(*), now()"
        f" FROM usage_metrics WHERE batch_id > {days.start} * 100000000::bigint GROUP BY 1, 2;"
        " ANALYZE",
        database=database.name,
    )


def fill_rollups(database: Database, *, tenants: int, features: int) -> None:
    """Give each tenant a row for every feature on each of 90 days, like the only one that is there.

    In the order of the key, as a ledger that grew has its pages by tenant and date.
    """
    values = {
        "tenant_id": "'tenant-' || lpad(t::text, 5, '0')",
        "date": f"date '{NOW.date()}' - {DAYS - 1} + d",
        "rollup_id": "md5(concat_ws(':', t, d, f))::uuid",
        "feature": "'feature_' || lpad(f::text, 3, '0')",
    }
    database.server.administer(
        "CREATE TEMPORARY TABLE model AS SELECT * FROM usage_rollups_daily;"
        " TRUNCATE usage_rollups_daily;"
        f" {_insert(usage_rollups_daily, values)} FROM model,"
        f" generate_series(1, {tenants}) t, generate_series(0, {DAYS - 1}) d,"
        f" generate_series(1, {features}) f ORDER BY t, d, f",
        database=database.name,
    )
    database.server.administer("VACUUM (ANALYZE)", database=database.name)


def _insert(table: sa.Table, values: Mapping[str, str]) -> str:
    """Return an insert with the values given; other columns are zero, or as the source has them."""
    others = "{}" if table is usage_rollups_daily else "0"
    listed = [values.get(c.name, others.format(f"model.{c.name}")) for c in table.c]
    names = ", ".join(column.name for column in table.c)
    return f"INSERT INTO {table.name} ({names}) SELECT {', '.join(listed)}"
