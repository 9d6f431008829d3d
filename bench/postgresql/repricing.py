"""A repricing of rollup rows on PostgreSQL against one bare UPDATE of the same rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

from bench.postgresql.fill import DAYS, fill_rollups
from bench.postgresql.server import add_tenants, open_database, open_engine
from bench.reports import book_one
from bench.repricing import ASKED, ROUNDS, ROWS, TENANTS, reprice_all
from bench.table import Line
from bench.timing import Side, Work, alternate
from tests.servers.postgresql import Database

_BARE = """
UPDATE usage_rollups_daily r SET estimated_cost = r.quantity * p.nanos,
  price_version = 'operator@0123456789ab', price_source = 'operator', state = 'estimated',
  revision = r.revision + 1
FROM (VALUES ('sms', {nanos}::bigint)) p (channel, nanos) WHERE p.channel = r.channel
"""


def measure() -> list[Line]:
    """Reprice the rows of all tenants, of which nearly all are of closed days."""
    features = ROWS // (TENANTS * DAYS)
    prices = count(1)
    with open_database() as database:
        add_tenants(database, TENANTS)
        with open_engine(database) as engine:
            book_one(engine, "tenant-00001")
        fill_rollups(database, tenants=TENANTS, features=features)
        sides: dict[str, Side] = {
            "ours": lambda: _reprice(database, next(prices)),
            "bare": lambda: _update(database, next(prices)),
        }
        taken = alternate(sides, rounds=ROUNDS)
    rows = features * TENANTS * DAYS
    name = f"reprice {rows:,} rollup rows on PostgreSQL, journalled, / one bare UPDATE FROM"
    ours, bare = taken["ours"], taken["bare"]
    return [Line(name, ours, bare, ours / bare, f"<= {ASKED}")]


@contextmanager
def _reprice(database: Database, price: int) -> Iterator[Work]:
    with open_engine(database) as engine:
        yield partial(reprice_all, engine, f"0.{price:03}")
    _clean(database)


@contextmanager
def _update(database: Database, price: int) -> Iterator[Work]:
    yield partial(
        database.server.administer, _BARE.format(nanos=price * 10**6), database=database.name
    )
    _clean(database)


def _clean(database: Database) -> None:
    """Leave no dead rows and no journal for the next run to pay for."""
    for statement in ("TRUNCATE usage_journal", "VACUUM FULL usage_rollups_daily", "CHECKPOINT"):
        database.server.administer(statement, database=database.name)
