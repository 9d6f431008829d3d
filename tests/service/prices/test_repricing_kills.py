"""SIGKILL of a repricing at random points: the same command, run again, finishes it.

`METERLINE_SEED` repeats the choices of a run, though not the timing of its processes.
"""

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap
from costing.verify import verify
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant
from tests.builders import NOW, sms
from tests.onlooker import Onlooker
from tests.pricing import rate
from tests.processes import Launcher, wait_until

TENANTS = [TenantId(f"tenant-{number:02}") for number in range(40)]
ROWS = 25
"""Of each tenant, which are one transaction."""
BEFORE = date(2025, 1, 1)
SPAN = ("--from", "2026-03-01", "--to", "2026-03-31")
FLAT_NANOS = 8_900_000

long_only = pytest.mark.skipif(
    os.environ.get("METERLINE_SOAK") != "1", reason="the long version; `make soak` runs it"
)


@dataclass
class Campaign:
    """Reprices with one file after another, and kills each repricing once."""

    launcher: Launcher
    ledger: Onlooker
    engine: sa.Engine
    prices: FlatMap
    rng: random.Random
    folder: Path
    faults: list[str] = field(default_factory=list)

    def run(self, kills: int) -> None:
        """Kill as often as asked, each time another repricing, and finish it."""
        was = FLAT_NANOS
        for number in range(kills):
            nanos = 1_000_000 * (number + 1)
            command = self._command(number, f"0.{number + 1:03}")
            was_killed = self._kill(command)
            self._check(f"after kill {number}", {was, nanos})
            running = self.launcher.start(*command)
            if running.wait() or not was_killed:
                self.faults.append(f"a repricing ended badly: {running.log.read_text()}")
            self._check(f"after repricing {number}", {nanos})
            was = nanos

    def _command(self, number: int, usd: str) -> tuple[str, ...]:
        file = self.folder / f"prices-{number}.toml"
        file.write_text(rate("sms_segment", usd, starts_on=BEFORE + timedelta(days=number)))
        return ("reprice", *SPAN, "--prices", str(file), "--reason", "a test")

    def _kill(self, command: tuple[str, ...]) -> bool:
        """Kill a repricing amid its tenants; tell whether it was still running."""
        before = self.ledger.count("usage_journal")
        wanted = self.rng.randrange(len(TENANTS) * ROWS // 2)
        running = self.launcher.start(*command)
        wait_until(
            lambda: self.ledger.count("usage_journal") - before >= wanted or running.has_ended(),
            f"entries of the journal; {running.log}",
        )
        time.sleep(self.rng.choice((0, self.rng.uniform(0, 0.02))))
        return running.kill()

    def _check(self, when: str, allowed: set[int]) -> None:
        found = {cost for (cost,) in self.ledger.rows(f"SELECT DISTINCT {COST}")}
        if not found <= allowed:
            self.faults.append(f"{when} there are costs {found}, and not {allowed}")
        differences = verify(self.engine, self.prices).differences
        self.faults += [f"{when}: {each.tenant_id}: {each.where}" for each in differences]


COST = "estimated_cost FROM usage_rollups_daily"


def events() -> Iterator[dict[str, object]]:
    for tenant in TENANTS:
        for number in range(ROWS):
            yield sms(f"{tenant}-{number}", tenant=tenant, feature=f"f{number}")


@pytest.mark.parametrize(
    "kills", [pytest.param(2), pytest.param(60, marks=[pytest.mark.soak, long_only])]
)
def test_a_repricing_that_is_killed_at_any_moment_is_finished_by_running_it_again(  # noqa: PLR0917 - fixtures
    kills: int,
    launcher: Launcher,
    ledger: Onlooker,
    engine: sa.Engine,
    intake: Intake,
    costing: Costing,
    prices: FlatMap,
    tmp_path: Path,
) -> None:
    seed = os.environ.get("METERLINE_SEED") or f"{random.SystemRandom().getrandbits(32)}"
    print(f"METERLINE_SEED={seed}")  # noqa: T201 - shown when the test fails
    with operator_session(engine, write=True) as session:
        for tenant_id in TENANTS:
            add_tenant(session, tenant_id, name=tenant_id, now=NOW)
    intake.book(list(events()), only_tenant=None, now=NOW)
    costing.run(clock=lambda: NOW)
    campaign = Campaign(launcher, ledger, engine, prices, random.Random(seed), tmp_path)
    campaign.run(kills)
    rows = len(TENANTS) * ROWS
    journal = "SELECT count(*), count(DISTINCT entry_id) FROM usage_journal WHERE cause = 'reprice'"
    revisions = ledger.rows("SELECT DISTINCT revision FROM usage_rollups_daily")
    # Each row was written and journalled once a repricing, however often that was killed.
    assert ([], (kills * rows, kills * rows), [(kills + 1,)]) == (
        campaign.faults,
        ledger.row(journal),
        revisions,
    )
