"""Reports over HTTP with 10,000 tenants in the ledger: the summary of one, and the grid of all.

The summary is compared with that of a ledger of 100 tenants; the grid with the bare SQL aggregate
of the same rows, whose figures the driver fetches and nobody sorts, shares out or puts into pages.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from statistics import quantiles
from typing import Any

import psycopg
from flask.testing import FlaskClient

from api.app import create_app
from bench.ledgers import NOW
from bench.postgresql.fill import DAYS, fill_rollups
from bench.postgresql.server import add_tenants, open_database, open_engine
from bench.reports import book_one, make_key, make_services
from bench.table import Line
from bench.timing import Side, Work, alternate
from tests.servers.postgresql import SUPERUSER, Database

MANY, FEW = 10_000, 100
ASKED = 1.3
ASKED_GRID = 2

_REPEATS = 100
_FEATURES = 4
_RANGE = 30
_SUMMARY = "/api/billing/usage/summary"
_GRID = "/api/admin/usage/tenants"

_BARE = """
SELECT t.tenant_id, t.name, p.plan, sum(r.estimated_cost),
  sum(r.estimated_cost) FILTER (WHERE r.channel = 'ai'),
  sum(r.estimated_cost) FILTER (WHERE r.source = 'twilio'),
  sum(r.quantity) FILTER (WHERE r.channel = 'email' AND r.direction = 'outbound')
FROM tenants t JOIN tenant_periods p USING (tenant_id)
  LEFT JOIN usage_rollups_daily r
    ON r.tenant_id = t.tenant_id AND r.date > %(today)s - %(days)s AND r.date <= %(today)s
GROUP BY t.tenant_id, t.name, p.plan
"""


def measure() -> list[Line]:
    """Compare summaries by the slowest in twenty, and the grid by its median."""
    with open_database() as few, open_database() as many:
        for database, tenants in ((few, FEW), (many, MANY)):
            _fill(database, tenants)
        return [_compare_summaries(few, many), _compare_grid(many)]


def _fill(database: Database, tenants: int) -> None:
    add_tenants(database, tenants)
    with open_engine(database) as engine:
        book_one(engine, "tenant-00001")
    fill_rollups(database, tenants=tenants, features=_FEATURES)


def _compare_summaries(few: Database, many: Database) -> Line:
    waited: dict[str, list[float]] = {"few": [], "many": []}
    sides: dict[str, Side] = {
        name: partial(_ask_summaries, database, f"tenant-{tenants // 2:05}", waited[name])
        for name, database, tenants in (("few", few, FEW), ("many", many, MANY))
    }
    alternate(sides)
    p95 = {name: quantiles(seconds[_REPEATS:], n=20)[-1] for name, seconds in waited.items()}
    name = f"summary of a tenant, p95; {MANY:,} tenants x {DAYS} days / {FEW:,}"
    return Line(name, p95["many"], p95["few"], p95["many"] / p95["few"], f"<= {ASKED}")


@contextmanager
def _ask_summaries(database: Database, tenant_id: str, waited: list[float]) -> Iterator[Work]:
    """Note the seconds of each request; those of the warm-up come first."""
    with open_engine(database) as engine:
        client = create_app(make_services(engine)).test_client()
        headers = {"Authorization": f"Bearer {make_key(engine, tenant_id)}"}
        _ask_summary(client, headers)
        yield lambda: waited.extend(_ask_summary(client, headers) for _ in range(_REPEATS))


def _ask_summary(client: FlaskClient, headers: dict[str, str]) -> float:
    start = time.perf_counter()
    answer = client.get(_SUMMARY, headers=headers).get_json()
    taken = time.perf_counter() - start
    if answer["total"]["count"] != _RANGE * _FEATURES:
        raise AssertionError(f"not the summary of {_RANGE} days: {answer}")
    return taken


def _compare_grid(database: Database) -> Line:
    taken = alternate({"ours": partial(_ask_grid, database), "bare": partial(_bare, database)})
    ours, bare = taken["ours"], taken["bare"]
    name = f"grid of {MANY:,} tenants, {_RANGE} days, over HTTP / bare SQL aggregate"
    return Line(name, ours, bare, ours / bare, f"<= {ASKED_GRID}")


@contextmanager
def _ask_grid(database: Database) -> Iterator[Work]:
    with open_engine(database) as engine:
        client = create_app(make_services(engine)).test_client()
        headers = {"Authorization": f"Bearer {make_key(engine, None)}"}
        yield partial(_get_grid, client, headers)


def _get_grid(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.get(_GRID, headers=headers).get_json()
    if answer["total_count"] != MANY:
        raise AssertionError(f"not the grid of all tenants: {answer}")


@contextmanager
def _bare(database: Database) -> Iterator[Work]:
    address = database.server.address(database.name, user=SUPERUSER)
    with psycopg.connect(address, autocommit=True) as connection:
        yield partial(_aggregate, connection)


def _aggregate(connection: psycopg.Connection[Any]) -> None:
    rows = connection.execute(_BARE, {"today": NOW.date(), "days": _RANGE}).fetchall()
    if len(rows) != MANY:
        raise AssertionError(f"{len(rows)} tenants")
