"""A costing run over new events, with much and with little history in the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from bench.ledgers import (
    FIRST_DAY,
    NOW,
    create_ledger,
    open_copy,
    open_driver,
    open_engine,
    open_intake,
)
from bench.table import Line
from bench.timing import Side, Work, alternate
from costing.job import Costing
from costing.pricing.flat import load_flat_map

MANY, FEW = 1_000_000, 10_000
NEW = 10_000
ASKED = 1.2

_DAYS = 90
_TENANTS = [f"tenant-{number:02}" for number in range(50)]
_REQUEST_EVENTS = 1000
_FILL_CACHE_KIB = 400_000
_KINDS = ("sms", "ai")
_LABELS = {
    "sms": {"direction": "outbound", "source": "twilio", "feature": "broadcast"},
    "ai": {"direction": "outbound", "source": "openai", "feature": "support_ai"},
}
_MODEL = "house-llm"

Event = dict[str, Any]


def measure() -> list[Line]:
    """Compare new events of all tenants, and the same number of a single tenant."""
    with TemporaryDirectory(prefix="bench-") as folder:
        ledgers = {old: fill_history(Path(folder, f"{old}.db"), old) for old in (MANY, FEW)}
        return [
            _compare(ledgers, _TENANTS),
            _compare(ledgers, _TENANTS[:1]),
        ]


def _compare(ledgers: dict[int, Path], tenants: list[str]) -> Line:
    events = [_new_event(number, tenants) for number in range(NEW)]
    sides: dict[str, Side] = {
        str(old): partial(_run, ledger, events) for old, ledger in ledgers.items()
    }
    taken = alternate(sides)
    many, few = taken[str(MANY)], taken[str(FEW)]
    name = f"cost {NEW:,} events, tenants: {len(tenants)}; {MANY:,} old ones / {FEW:,}"
    return Line(name, many, few, many / few, f"<= {ASKED}")


@contextmanager
def _run(ledger: Path, events: list[Event]) -> Iterator[Work]:
    with open_copy(ledger) as engine:
        intake = open_intake(engine)
        for start in range(0, NEW, _REQUEST_EVENTS):
            intake.book(events[start : start + _REQUEST_EVENTS], only_tenant=None, now=NOW)
        costing = Costing(engine, load_flat_map())
        yield partial(costing.run, clock=lambda: NOW)


def fill_history(path: Path, old: int, *, ships: bool = False) -> Path:
    """Make a ledger with a costed history of 90 days; `ships` leaves it to be shipped.

    The rows go in directly, in the order of time; the job itself costs them. No day had closed
    then, so nothing is journalled.
    """
    create_ledger(path, _TENANTS)
    rows = (_old_row(number, old) for number in range(old))
    names = list(_old_row(0, old))
    values = ", ".join(f":{name}" for name in names)
    insert = f"INSERT INTO usage_metrics ({', '.join(names)}) VALUES ({values})"
    with open_driver(path) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # of this connection alone: a file to make
        connection.execute(f"PRAGMA cache_size = -{_FILL_CACHE_KIB}")
        connection.execute("BEGIN IMMEDIATE")
        while part := list(islice(rows, _REQUEST_EVENTS)):
            connection.executemany(insert, part)
        connection.execute("UPDATE sequences SET value = ?", (old,))
        connection.execute(
            "INSERT INTO usage_batches (tenant_id, batch_id, event_count, booked_at)"
            " SELECT tenant_id, batch_id, count(*), '2026-01-01 00:00:00.000000'"
            " FROM usage_metrics GROUP BY tenant_id, batch_id"
        )
        connection.execute("COMMIT")
    with open_engine(path) as engine:
        costing = Costing(engine, load_flat_map(), ships=ships)
        costing.run(clock=lambda: FIRST_DAY)
        # The 90 days have passed: what is measured finds no hours to prune.
        for _ in _TENANTS:
            costing.run(clock=lambda: NOW)
    return path


def _old_row(number: int, old: int) -> dict[str, object]:
    """Return a stored row; rows of all tenants and kinds are on every day, whatever `old` is."""
    random = Random(number)
    kind = _kind(number)
    time = _time(random, number * _DAYS // old)
    tokens = (random.randrange(50, 8000), random.randrange(5, 1000)) if kind == "ai" else (0, 0)
    return {
        "tenant_id": _TENANTS[number % len(_TENANTS)],
        "event_id": f"{random.getrandbits(128):032x}",
        "id": number + 1,
        "batch_id": number - number % _REQUEST_EVENTS + 1,
        "fingerprint": random.randbytes(17),
        "time": time.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "date": time.date().isoformat(),
        "channel": kind,
        **_LABELS[kind],
        "model": _MODEL if kind == "ai" else None,
        "price_class": "standard",
        "quantity": sum(tokens) or 1,
        "input_tokens": tokens[0],
        "output_tokens": tokens[1],
        "derived": False,
        "provisional": False,
        "metadata": None,
    }


def _new_event(number: int, tenants: list[str]) -> Event:
    """Return an event of the last old day or of the first new one, in equal parts."""
    random = Random(-number)
    kind = _kind(number)
    counts: dict[str, object] = {"num_segments": 1}
    if kind == "ai":
        sent, received = random.randrange(50, 8000), random.randrange(5, 1000)
        counts = {"model": _MODEL, "input_tokens": sent, "output_tokens": received}
    return {
        "id": f"new-{number}",
        "tenant": tenants[number % len(tenants)],
        "time": _time(random, _DAYS - 1 + number * 2 // NEW).isoformat(),
        "channel": kind,
        **_LABELS[kind],
        "metadata": counts,
    }


def _kind(number: int) -> str:
    return _KINDS[number // len(_TENANTS) % len(_KINDS)]


def _time(random: Random, day: int) -> datetime:
    """Return an instant of a day, at an hour when the tenants have the same date as UTC."""
    return FIRST_DAY + timedelta(days=day, seconds=-random.randrange(3600))
