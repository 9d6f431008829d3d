"""Booking through intake, against the bare insert of the same rows by the driver.

The bare side writes finished rows into a table with the same columns, keys and indexes, over a
connection with the same pragmas. It reads nothing, checks nothing, and knows no tenants, duplicates
or batches.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from sqlite3 import Connection
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from bench.ledgers import NOW, create_ledger, open_copy, open_driver, open_intake
from bench.table import Line
from bench.timing import Side, Work, alternate
from collector.intake import TRANSACTION_EVENTS, Intake
from ledger.event import Status
from ledger.models import usage_metrics
from ledger.session import operator_session

EVENTS = 100_000
REQUEST_EVENTS = 1000
ASKED = 0.5

TENANT = "acme"
_MODELS = ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "house-llm")
_FEATURES = ("ai_sms", "support_ai", "broadcast")

Event = dict[str, Any]
Requests = list[list[Event]]


class Bare(NamedTuple):
    """What the driver needs to write what intake booked: the table, its indexes, the rows."""

    schema: list[str]
    rows: list[tuple[Any, ...]]


def measure() -> list[Line]:
    """Compare AI events and SMS, each in requests as they come over HTTP."""
    with TemporaryDirectory(prefix="bench-") as folder:
        template = create_ledger(Path(folder, "ledger.db"), [TENANT])
        ai = _compare(template, [ai_event(Random(n), n) for n in range(EVENTS)])
        sms = _compare(template, [sms_event(Random(n), n) for n in range(EVENTS)])
    asked = f">= {ASKED}"
    name = f"book {EVENTS:,} {{}} events / bare insert, {{}}".format
    each = f"{TRANSACTION_EVENTS:,} a transaction"
    return [
        Line(name("AI", each), ai["ours"], ai["each"], ai["each"] / ai["ours"], asked),
        Line(name("AI", "one transaction"), ai["ours"], ai["one"], ai["one"] / ai["ours"]),
        Line(name("SMS", each), sms["ours"], sms["each"], sms["each"] / sms["ours"], asked),
        Line(name("SMS", "one transaction"), sms["ours"], sms["one"], sms["one"] / sms["ours"]),
    ]


def _compare(template: Path, events: list[Event]) -> dict[str, float]:
    requests = [events[n : n + REQUEST_EVENTS] for n in range(0, len(events), REQUEST_EVENTS)]
    bare = _book_once(template, requests)
    path = template.with_name("bare.db")
    sides: dict[str, Side] = {
        "ours": partial(_ours, template, requests),
        "each": partial(_bare, path, bare, TRANSACTION_EVENTS),
        "one": partial(_bare, path, bare, EVENTS),
    }
    return alternate(sides)


@contextmanager
def _ours(template: Path, requests: Requests) -> Iterator[Work]:
    with open_copy(template) as engine:
        with operator_session(engine):
            pass  # connects, as the bare side has done when its time starts
        yield partial(_book, open_intake(engine), requests)


def _book(intake: Intake, requests: Requests) -> None:
    for request in requests:
        results = intake.book(request, only_tenant=None, now=NOW)
        if results[-1].status is not Status.STORED:
            raise AssertionError(f"not booked: {results[-1]}")


@contextmanager
def _bare(path: Path, bare: Bare, transaction_rows: int) -> Iterator[Work]:
    parts = [
        bare.rows[start : start + transaction_rows]
        for start in range(0, len(bare.rows), transaction_rows)
    ]
    try:
        with open_driver(path) as connection:
            for statement in bare.schema:
                connection.execute(statement)
            yield partial(_insert, connection, parts)
    finally:
        path.unlink()


def _insert(connection: Connection, parts: Sequence[Sequence[tuple[Any, ...]]]) -> None:
    places = ", ".join("?" * len(usage_metrics.c))
    for rows in parts:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO usage_metrics VALUES ({places})", rows)
        connection.execute("COMMIT")


def _book_once(template: Path, requests: Requests) -> Bare:
    """Book through intake and read back exactly what that has written, in the same order."""
    with open_copy(template) as engine:
        _book(open_intake(engine), requests)
        with operator_session(engine) as session:
            read = session.connection.exec_driver_sql
            made = read(
                "SELECT sql FROM sqlite_master"
                " WHERE tbl_name = 'usage_metrics' AND sql IS NOT NULL ORDER BY type DESC"
            )
            schema = [sql for (sql,) in made]
            rows = [tuple(row) for row in read("SELECT * FROM usage_metrics ORDER BY id")]
    if len(rows) != sum(map(len, requests)):
        raise AssertionError(f"{len(rows)} rows were booked")
    return Bare(schema, rows)


def ai_event(random: Random, number: int) -> Event:
    """Return an OpenAI call; its id is random, as the provider's are."""
    return {
        "id": f"chatcmpl-{random.getrandbits(116):029x}",
        **_common(number),
        "channel": "ai",
        "source": "openai",
        "metadata": {
            "model": random.choice(_MODELS),
            "input_tokens": random.randrange(50, 8000),
            "output_tokens": random.randrange(5, 1000),
        },
    }


def sms_event(random: Random, number: int) -> Event:
    """Return a Twilio message; its id is random, as the provider's are."""
    return {
        "id": f"SM{random.getrandbits(128):032x}",
        **_common(number),
        "channel": "sms",
        "source": "twilio",
        "metadata": {"num_segments": random.randrange(1, 4), "status": "delivered"},
    }


def _common(number: int) -> Event:
    """Return what all events have; they happen in order, within the last days."""
    return {
        "tenant": TENANT,
        "time": (NOW - timedelta(seconds=2 * (EVENTS - number))).isoformat(),
        "direction": "outbound",
        "feature": _FEATURES[number % len(_FEATURES)],
    }
