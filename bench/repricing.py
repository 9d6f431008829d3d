"""A repricing of rollup rows against one bare UPDATE that gives the same rows the same costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from bench.ledgers import FIRST_DAY, NOW, open_copy
from bench.reports import fill_rollups
from bench.table import Line
from bench.timing import Side, Work, alternate
from costing.pricing.card import Amount
from costing.pricing.entries import RateEntry
from costing.pricing.flat import load_flat_map
from costing.pricing.resolution import Book
from costing.repricing.job import Repricing, Scope
from ledger.period import DateRange
from ledger.session import operator_session
from ledger.tenants import list_tenants

ROWS = 1_000_000
TENANTS = 100
ASKED = 3
ROUNDS = 3

_DAYS = 90
_RATE = "0.01"
DATES = DateRange(start=FIRST_DAY.date() - timedelta(days=1), end=NOW.date() + timedelta(days=1))


def measure() -> list[Line]:
    """Reprice the rows of all tenants, of which nearly all are of closed days."""
    ids = [f"tenant-{number:03}" for number in range(TENANTS)]
    features = ROWS // (TENANTS * _DAYS)
    with TemporaryDirectory(prefix="bench-") as folder:
        path = fill_rollups(Path(folder, "ledger.db"), ids, features=features)
        sides: dict[str, Side] = {
            "ours": partial(_reprice, path),
            "bare": partial(_update, path),
        }
        taken = alternate(sides, rounds=ROUNDS)
    rows = features * TENANTS * _DAYS
    name = f"reprice {rows:,} rollup rows, journalled, / one bare UPDATE FROM"
    ours, bare = taken["ours"], taken["bare"]
    return [Line(name, ours, bare, ours / bare, f"<= {ASKED}")]


def reprice_all(engine: sa.Engine, usd: str = _RATE) -> None:
    """Give every row of every tenant the price of an operator's entry."""
    entry = RateEntry(starts_on=DATES.start, unit="sms_segment", amount=Amount(usd))
    book = Book(flat=load_flat_map(), laid=[entry])
    repricing = Repricing(engine, lambda _session: book, Scope(DATES))
    with operator_session(engine) as session:
        tenants = list_tenants(session)
    for tenant in tenants:
        for _ in repricing.run(tenant.tenant_id, clock=lambda: NOW, reason="a bench"):
            pass


@contextmanager
def _reprice(path: Path) -> Iterator[Work]:
    with open_copy(path) as engine:
        yield partial(reprice_all, engine)


@contextmanager
def _update(path: Path) -> Iterator[Work]:
    with open_copy(path) as engine, operator_session(engine, write=True) as session:
        run = session.connection.exec_driver_sql
        run("CREATE TABLE bare_prices (channel TEXT PRIMARY KEY, nanos INT)")
        run("INSERT INTO bare_prices VALUES ('sms', 10000000)")

        def update() -> None:
            run(
                "UPDATE usage_rollups_daily SET estimated_cost = quantity * p.nanos,"
                " price_version = 'operator@0123456789ab', price_source = 'operator',"
                " state = 'estimated', revision = revision + 1"
                " FROM bare_prices p WHERE p.channel = usage_rollups_daily.channel"
            )
            run("COMMIT")
            run("BEGIN")  # for the session to end

        yield update
