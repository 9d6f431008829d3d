"""SIGKILL at random points: whatever dies, what was acknowledged counts exactly once.

Clients post over HTTP, files are imported, workers cost, and all of them write the same ledger
while one after another is killed, on PostgreSQL also the database itself. `METERLINE_SEED` repeats
the choices of a run, though not the timing of its processes.
"""

import csv
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.clients import INPUT_NANOS, OUTPUT_NANOS, SMS_NANOS, TENANTS, Client, Figures
from tests.conftest import Run
from tests.onlooker import Onlooker
from tests.processes import Launcher, Running, Sender, Server, wait_until
from tests.servers.postgresql import PostgreSql
from tests.soaking import long_only

CLIENTS = 2
FILE_ROWS = 8000
UNANSWERED = "the ledger did not answer"
IMPORT_OPTIONS = [
    *("--map", "time=when", "--map", "input_tokens=sent", "--map", "output_tokens=received"),
    *("--set", "tenant=acme", "--set", "channel=ai", "--set", "source=openai"),
    *("--set", "feature=imported", "--set", "model=house-llm", "--timezone", "UTC"),
]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is left when all is over, and what went wrong on the way."""

    ledger: Figures
    rollups: Figures
    exported: tuple[int, int]
    lost: frozenset[tuple[str, str]] = frozenset()
    unknown: frozenset[tuple[str, str]] = frozenset()
    verify_exit: int = 0
    pending: int = 0
    faults: tuple[str, ...] = ()


@dataclass
class Campaign:
    """Keeps server, worker and imports running on one ledger, and kills them by turns.

    Attributes:
        database: the server that the ledger is on, which is killed, too; None: it is a file.
    """

    launcher: Launcher
    ledger: Onlooker
    rng: random.Random
    folder: Path
    database: PostgreSql | None
    imported: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _resumed: list[tuple[Path, Running]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = self._serve()
        self.worker = self.launcher.start("work")

    def run(self, kills: int) -> None:
        """Kill as often as asked, each as often; then let all imports come to their end."""
        kinds = [self._kill_import, self._kill_worker, self._kill_server]
        if self.database is not None:
            kinds.append(self._kill_database)
        acts = [kinds[n % len(kinds)] for n in range(kills)]
        self.rng.shuffle(acts)
        for act in acts:
            while not act():
                pass
        for file, running in self._resumed:
            self._finish_import(file, running)

    def _finish_import(self, file: Path, running: Running) -> None:
        """Wait for an import; one that the database left in the middle is run again."""
        while running.wait() != 0:
            if not self._was_left(running):
                self.faults.append(f"an import ended badly: {running.log.read_text()}")
                return
            running = self.launcher.start("import", file, *IMPORT_OPTIONS)

    def _was_left(self, running: Running) -> bool:
        """Whether a command ended since its database was killed, and said so."""
        return self.database is not None and UNANSWERED in running.log.read_text()

    def _kill_import(self) -> bool:
        """Kill an import of a new file amid its rows, then start it again; it ends meanwhile."""
        file = self.folder / f"usage-{len(self.imported)}.csv"
        self.imported += write_rows(file, self.rng, minute=len(self._resumed))
        running = self.launcher.start("import", file, *IMPORT_OPTIONS)
        (before,) = self.ledger.row("SELECT coalesce(max(id), 0) FROM usage_metrics")
        wanted = self.rng.randrange(FILE_ROWS)
        rows = "SELECT count(*) FROM usage_metrics WHERE id > ? AND substr(event_id, 1, 4) = 'csv:'"
        self._wait(lambda: self.ledger.row(rows, before)[0] >= wanted, running)
        was_killed = running.kill()
        self._resumed.append((file, self.launcher.start("import", file, *IMPORT_OPTIONS)))
        return was_killed

    def _kill_worker(self) -> bool:
        """Kill the worker around the time at which a batch was costed."""
        first = "SELECT min(batch_id) FROM usage_batches"
        mark = f"SELECT ({first}), sum(revision) FROM usage_rollups_daily"
        before = self.ledger.row(mark)
        self._wait(lambda: self.ledger.row(mark) != before, self.worker)
        was_killed = self.worker.kill()
        if not was_killed and not self._was_left(self.worker):
            self.faults.append(f"a worker ended: {self.worker.log.read_text()}")
        self.worker = self.launcher.start("work")
        return was_killed

    def _kill_server(self) -> bool:
        """Kill all of the server or one of its processes, around the time it booked something."""
        running = self.server.running
        before = self.ledger.last_number()
        self._wait(lambda: self.ledger.last_number() != before, running)
        if running.has_ended() and not self._was_left(running):
            self.faults.append(f"a server ended: {running.log.read_text()}")
        victims = [None, *(member.pid for member in running.members())]
        victim = self.rng.choice(victims)
        if victim is None:
            running.kill()
        else:
            running.kill_member(victim)
        if victim in (None, running.pid):
            self.server = self._serve()
        return True

    def _kill_database(self) -> bool:
        """Kill the database around the time at which something was booked, and start it again."""
        assert self.database is not None
        before = self.ledger.last_number()
        self._wait(lambda: self.ledger.last_number() != before, self.server.running)
        self.database.stop(signal.SIGQUIT)
        self.database.start()
        return True

    def _serve(self) -> Server:
        # Without a worker of its own, the other worker's commits are the ones that are seen.
        return Server(self.launcher, self.rng.choice(("--work", "--no-work")))

    def _wait(self, is_reached: Callable[[], bool], running: Running) -> None:
        """Wait for a point of progress or the end of the process, then for a random moment."""
        wait_until(lambda: is_reached() or running.has_ended(), f"progress; {running.log}")
        time.sleep(self.rng.choice((0, self.rng.uniform(0, 0.02), self.rng.uniform(0, 0.5))))


def write_rows(file: Path, rng: random.Random, *, minute: int) -> list[dict[str, Any]]:
    """Write a file of AI usage without ids, in which rows repeat; return its events.

    Equal rows of two files would be the same usage, so each file has a minute of its own.
    """
    events = []
    clock = f"{8 + minute // 60:02d}:{minute % 60:02d}"
    with file.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(("when", "sent", "received"))
        for _ in range(FILE_ROWS):
            sent, received = rng.randrange(1, 30), rng.randrange(1, 30)
            writer.writerow((f"2025-03-{rng.randrange(1, 29):02d} {clock}:00", sent, received))
            events.append({"metadata": {"input_tokens": sent, "output_tokens": received}})
    return events


def read_outcome(
    ledger: Onlooker,
    meterline: Run,
    acknowledged: frozenset[tuple[str, str]],
    faults: list[str],
) -> Outcome:
    """Read what every side says in the end."""
    sums = "sum(input_tokens), sum(output_tokens)"
    messages = f"sum(CASE channel WHEN 'sms' THEN quantity ELSE 0 END) * {SMS_NANOS}"
    raw = ledger.row(f"SELECT count(*), {sums}, {messages} FROM usage_metrics")
    rated = ledger.row(f"SELECT sum(count), {sums}, sum(estimated_cost) FROM usage_rollups_daily")
    names = Figures.__dataclass_fields__
    booked = Figures(**dict(zip(names, map(int, raw), strict=True)))
    tokens = booked.input_tokens * INPUT_NANOS + booked.output_tokens * OUTPUT_NANOS
    lines = [
        line
        for tenant in TENANTS
        for line in csv.DictReader(
            meterline("export", "--tenant", tenant, "--from", "2025-02-01", "--to", "2025-04-30")
            .stdout.splitlines()
        )
    ]  # fmt: skip
    posted = "SELECT tenant_id, event_id FROM usage_metrics WHERE substr(event_id, 1, 4) <> 'csv:'"
    found = frozenset(ledger.rows(posted))
    return Outcome(
        lost=acknowledged - found,
        unknown=found - acknowledged,
        ledger=replace(booked, nanos=booked.nanos + tokens),
        rollups=Figures(**dict(zip(names, map(int, rated), strict=True))),
        exported=(
            sum(int(line["count"]) for line in lines),
            int(sum(Decimal(line["estimated_cost"]) for line in lines) * 10**9),
        ),
        verify_exit=meterline("verify").returncode,
        pending=ledger.count("usage_batches"),
        faults=tuple(faults),
    )


@pytest.fixture
def killable(ledger_kind: str, request: pytest.FixtureRequest) -> PostgreSql | None:
    """The server of the ledger; None: it is a file."""
    if ledger_kind == "sqlite":
        return None
    server: PostgreSql = request.getfixturevalue("postgresql")
    return server


@pytest.mark.parametrize(
    "kills", [pytest.param(8), pytest.param(300, marks=[pytest.mark.soak, long_only])]
)
@pytest.mark.usefixtures("engine")
def test_killing_any_process_at_any_moment_loses_nothing_and_counts_nothing_twice(
    kills: int,
    launcher: Launcher,
    ledger: Onlooker,
    meterline: Run,
    tmp_path: Path,
    *,
    killable: PostgreSql | None,
) -> None:
    seed = os.environ.get("METERLINE_SEED") or f"{random.SystemRandom().getrandbits(32)}"
    print(f"METERLINE_SEED={seed}")  # noqa: T201 - shown when the test fails
    secret = meterline("key", "create", "--scope", "ingest").stdout.strip()
    campaign = Campaign(launcher, ledger, random.Random(seed), tmp_path, killable)
    clients = [
        Client(n, random.Random(f"{seed}-{n}"), Sender(secret, lambda: campaign.server.port))
        for n in range(CLIENTS)
    ]
    stop = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        posting: list[Future[None]] = [pool.submit(client.run, stop) for client in clients]
        try:
            campaign.run(kills)
        finally:
            stop.set()
        for future in posting:
            future.result()
    launcher.close()
    meterline("work", "--once")
    acknowledged = [event for client in clients for event in client.acknowledged]
    total = Figures()
    for event in (*acknowledged, *campaign.imported):
        total = total.plus(event)
    expected = Outcome(ledger=total, rollups=total, exported=(total.events, total.nanos))
    ids = frozenset((event["tenant"], event["id"]) for event in acknowledged)
    faults = campaign.faults + [fault for client in clients for fault in client.faults]
    assert expected == read_outcome(ledger, meterline, ids, faults)
