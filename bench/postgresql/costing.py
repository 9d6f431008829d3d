"""A costing run over new events, against one statement written by hand; and with more history.

The statement groups the same rows and inserts the sums, with a cost, into a table with the same
columns and indexes. It knows no batches, price books, zones, journal, locks or walls, and cannot
add to a row that is there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg

from bench.ledgers import NOW
from bench.postgresql.fill import DAYS, REQUEST_EVENTS, fill_usage
from bench.postgresql.server import add_tenants, open_database, open_engine, settle
from bench.table import Line
from bench.timing import Side, Work, alternate
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from ledger.measures import MEASURE_COLUMNS
from ledger.models import usage_rollups_daily
from tests.servers.postgresql import SUPERUSER, Database

NEW = 300_000
FEW, MANY = 100_000, 1_000_000
TENANTS = 50
ASKED = 2.5
ASKED_GROWTH = 1.2

_ROUNDS = 3
_KEY = "tenant_id, date, channel, direction, source, feature, model, price_class"
_SUMS = {name: f"sum({name})" for name in MEASURE_COLUMNS}
_VALUES = {
    **_SUMS,
    "rollup_id": "md5(concat_ws(':', channel, direction, source, feature, model))::uuid",
    "count": "count(*)",
    "day_start_utc": "date::timestamptz",
    "estimated_cost": (
        "CASE channel WHEN 'sms' THEN sum(quantity) * 8900000"
        " ELSE sum(input_tokens) * 2000 + sum(output_tokens) * 6000 END"
    ),
    "price_version": "'bare'",
    "price_source": "'flat'",
    "state": "'estimated'",
    "derived_count": "sum(derived::int)",
    "provisional_count": "sum(provisional::int)",
    "settled_count": "0",
    "revision": "1",
    "shipped_revision": "0",
}
_NAMES = [column.name for column in usage_rollups_daily.c]
_BARE = (
    f"INSERT INTO bare ({', '.join(_NAMES)})"
    f" SELECT {', '.join(_VALUES.get(name, name) for name in _NAMES)}"
    f" FROM usage_metrics GROUP BY {_KEY}"
)
_SAVED = ("usage_rollups_daily", "usage_tenant_days", "usage_batches", "usage_journal")


def measure() -> list[Line]:
    """Compare without history, and then with 10 times the history."""
    return [
        _compare_with_statement(mixed=True),
        _compare_with_statement(mixed=False),
        _compare_histories(),
    ]


def _compare_with_statement(*, mixed: bool) -> Line:
    with open_database() as database:
        _prepare(database, old=0, mixed=mixed)
        taken = alternate(
            {"ours": partial(_ours, database), "bare": partial(_bare, database)}, rounds=_ROUNDS
        )
    ours, bare = taken["ours"], taken["bare"]
    name = (
        f"cost {NEW:,} events, {TENANTS} tenants, {REQUEST_EVENTS:,} a request,"
        f" {'all tenants' if mixed else 'one tenant'} in each / one INSERT ... SELECT"
    )
    return Line(name, ours, bare, ours / bare, f"<= {ASKED}")


def _compare_histories() -> Line:
    with open_database() as few, open_database() as many:
        sides: dict[str, Side] = {}
        for old, database in ((FEW, few), (MANY, many)):
            _prepare(database, old=old)
            sides[str(old)] = partial(_ours, database)
        taken = alternate(sides, rounds=_ROUNDS)
    longer, shorter = taken[str(MANY)], taken[str(FEW)]
    name = f"cost {NEW:,} events; {MANY:,} old ones / {FEW:,}"
    return Line(name, longer, shorter, longer / shorter, f"<= {ASKED_GROWTH}")


def _prepare(database: Database, *, old: int, mixed: bool = True) -> None:
    """Fill the ledger, cost what is old, and keep aside what costing the new will change."""
    add_tenants(database, TENANTS)
    if old:
        fill_usage(database, name="old", count=old, tenants=TENANTS, days=range(DAYS))
        with open_engine(database) as engine:
            Costing(engine, load_flat_map()).run(clock=lambda: NOW)
    new = range(DAYS, DAYS + 2)
    fill_usage(database, name="new", count=NEW, tenants=TENANTS, days=new, mixed=mixed)
    saving = "; ".join(f"CREATE TABLE saved_{name} AS TABLE {name}" for name in _SAVED)
    database.server.administer(
        f"{saving}; CREATE TABLE bare (LIKE usage_rollups_daily INCLUDING ALL)",
        database=database.name,
    )
    database.server.administer("VACUUM (ANALYZE)", database=database.name)


def _restore(database: Database) -> None:
    """Make the new events pending again."""
    database.server.administer(
        "; ".join(f"TRUNCATE {name}; INSERT INTO {name} TABLE saved_{name}" for name in _SAVED)
        + "; TRUNCATE bare",
        database=database.name,
    )
    for name in _SAVED:
        database.server.administer(f"VACUUM (ANALYZE) {name}", database=database.name)
    settle(database)


@contextmanager
def _ours(database: Database) -> Iterator[Work]:
    _restore(database)
    with open_engine(database) as engine:
        yield partial(Costing(engine, load_flat_map()).run, clock=lambda: NOW)
    left = database.server.look("SELECT count(*) FROM usage_batches", database=database.name)
    if left != [(0,)]:
        raise AssertionError(f"{left} batches were not costed")


@contextmanager
def _bare(database: Database) -> Iterator[Work]:
    _restore(database)
    address = database.server.address(database.name, user=SUPERUSER)
    with psycopg.connect(address, autocommit=True) as connection:
        yield partial(_insert, connection)


def _insert(connection: psycopg.Connection[Any]) -> None:
    if not connection.execute(_BARE.encode()).rowcount:
        raise AssertionError("nothing was costed")
