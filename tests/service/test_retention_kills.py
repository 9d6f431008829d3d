"""SIGKILL of retention at random points, while clients post, events are costed and sent again.

After each kill the ledger ties; in the end every event that was acknowledged counts exactly once.
`METERLINE_SEED` repeats the choices of a run, though not the timing of its processes.
"""

import csv
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap
from costing.verify import verify
from tests.builders import NOW
from tests.clients import TENANTS, Client, Figures, random_event
from tests.conftest import Run
from tests.onlooker import Onlooker
from tests.processes import Launcher, Sender, Server, wait_until

ROUND_EVENTS = 3000
RETENTION = ("retention", "run", "--days", "30")
IDS = "SELECT tenant_id, event_id FROM usage_"

long_only = pytest.mark.skipif(
    os.environ.get("METERLINE_SOAK") != "1", reason="the long version; `make soak` runs it"
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is left when all is over, and what went wrong on the way."""

    rollups: Figures
    exported: tuple[int, int]
    answers: frozenset[str] = frozenset({"duplicate"})
    lost: frozenset[tuple[str, str]] = frozenset()
    unknown: frozenset[tuple[str, str]] = frozenset()
    raw_rows: int = 0
    verify_exit: int = 0
    faults: tuple[str, ...] = ()


@dataclass
class Campaign:
    """Feeds old usage, starts retention and kills it, as often as asked."""

    launcher: Launcher
    ledger: Onlooker
    engine: sa.Engine
    intake: Intake
    costing: Costing
    prices: FlatMap
    rng: random.Random
    booked: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def run(self, kills: int) -> None:
        """Kill as often as asked; after each kill, compare everything."""
        while kills:
            self._feed()
            if self._kill_retention():
                kills -= 1
            found = verify(self.engine, self.prices).differences
            self.faults += [f"{each.tenant_id}: {each.where}" for each in found]

    def _feed(self) -> None:
        events = [random_event(self.rng, "fed") for _ in range(ROUND_EVENTS)]
        self.intake.book(events, only_tenant=None, now=NOW)
        self.costing.run(clock=lambda: NOW)
        self.booked += events

    def _kill_retention(self) -> bool:
        """Kill a run somewhere amid its transactions; tell whether it was still running."""
        before = self._count_tombstones()
        wanted = self.rng.randrange(ROUND_EVENTS)
        running = self.launcher.start(*RETENTION)
        wait_until(
            lambda: self._count_tombstones() - before > wanted or running.has_ended(),
            f"tombstones; {running.log}",
        )
        time.sleep(self.rng.choice((0, self.rng.uniform(0, 0.05))))
        return running.kill()

    def _count_tombstones(self) -> int:
        count = self.ledger.count("usage_tombstones")
        return int(count)


def read_outcome(
    campaign: Campaign, meterline: Run, events: list[dict[str, Any]], faults: list[str]
) -> Outcome:
    """Read what every side says in the end, and send everything again."""
    ledger = campaign.ledger
    sums = "sum(count), sum(input_tokens), sum(output_tokens), sum(estimated_cost)"
    rated = ledger.row(f"SELECT {sums} FROM usage_rollups_daily")
    lines = [
        line
        for tenant in TENANTS
        for line in csv.DictReader(
            meterline("export", "--tenant", tenant, "--from", "2025-02-01", "--to", "2025-04-30")
            .stdout.splitlines()
        )
    ]  # fmt: skip
    found = frozenset(ledger.rows(f"{IDS}tombstones UNION ALL {IDS}metrics"))
    sent = frozenset((event["tenant"], event["id"]) for event in events)
    again = campaign.intake.book(events, only_tenant=None, now=NOW)
    return Outcome(
        rollups=Figures(**dict(zip(Figures.__dataclass_fields__, rated, strict=True))),
        exported=(
            sum(int(line["count"]) for line in lines),
            int(sum(Decimal(line["estimated_cost"]) for line in lines) * 10**9),
        ),
        answers=frozenset(str(result.status) for result in again),
        lost=sent - found,
        unknown=found - sent,
        raw_rows=ledger.count("usage_metrics"),
        verify_exit=meterline("verify").returncode,
        faults=tuple(faults),
    )


@pytest.mark.parametrize(
    "kills", [pytest.param(6), pytest.param(60, marks=[pytest.mark.soak, long_only])]
)
def test_killing_retention_at_any_moment_loses_nothing_and_counts_nothing_twice(  # noqa: PLR0917 - fixtures
    kills: int,
    launcher: Launcher,
    ledger: Onlooker,
    engine: sa.Engine,
    intake: Intake,
    costing: Costing,
    prices: FlatMap,
    meterline: Run,
) -> None:
    seed = os.environ.get("METERLINE_SEED") or f"{random.SystemRandom().getrandbits(32)}"
    print(f"METERLINE_SEED={seed}")  # noqa: T201 - shown when the test fails
    secret = meterline("key", "create", "--scope", "ingest").stdout.strip()
    server = Server(launcher, "--work")
    campaign = Campaign(launcher, ledger, engine, intake, costing, prices, random.Random(seed))
    client = Client(0, random.Random(f"{seed}-0"), Sender(secret, lambda: server.port))
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(client.run, stop)
        try:
            campaign.run(kills)
        finally:
            stop.set()
        posting.result()
    launcher.close()
    meterline("work", "--once")
    meterline(*RETENTION)
    events = [*client.acknowledged, *campaign.booked]
    total = Figures()
    for event in events:
        total = total.plus(event)
    expected = Outcome(rollups=total, exported=(total.events, total.nanos))
    assert expected == read_outcome(campaign, meterline, events, campaign.faults + client.faults)
