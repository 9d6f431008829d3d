"""For any interleaving of calls, kills and outages the ledger holds each recorded call once.

Host processes record usage, also in bursts beyond a segment, fork, and are killed; the collector is
killed and started anew; a gate between them breaks connections, also those whose request was
booked. `METERLINE_SEED` repeats the choices of a run, though not the timing of its processes.
"""

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from meterline import Meter
from tests.conftest import Run
from tests.gate import Gate, Mood
from tests.processes import Launcher, Server, wait_until
from tests.soaking import long_only

HOSTS = 3
BURST = 1500
"""Events in a row without a pause, of more than a segment in all."""

HOST = """
import os, random, sys, time
from meterline import Meter

url, key, spool, name, seed, burst = sys.argv[1:]
meter = Meter(url, key, spool=spool, max_bytes=2**28, interval=0.05, timeout=0.5)
bulk = {f"bulk{n}": "x" * 100 for n in range(10)}  # so that segments fill up and change

def work(name, calls, chance):
    left = 0
    for n in range(calls):
        sms = {"channel": "sms", "direction": "outbound", "tenant": "acme", "metadata": bulk}
        meter.record(event_id=f"{name}-{n}", **sms)
        if left := left - 1 if left else int(burst) * (chance.random() < 0.003):
            continue  # faster than segments are made
        while meter.stats().exposed:  # a moment after a burst, and only then
            time.sleep(0.001)
        os.write(1, f"{name} {n}\\n".encode())  # whole lines, also from several processes
        time.sleep(chance.random() * 0.006)
        if chance.random() < 0.002 and "." not in name and os.fork() == 0:
            work(f"{name}.{n}", chance.randrange(1, 200), random.Random(n))
            os._exit(0)

work(name, 10**9, random.Random(seed))
"""


@dataclass
class Host:
    """A process that records usage, and what it has said."""

    process: "subprocess.Popen[bytes]"
    returned: dict[str, int] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._listen)
        self._reader.start()

    def kill(self) -> None:
        """SIGKILL the process; children that it forked off work on to their end."""
        self.process.kill()
        self.process.wait()

    def hear_out(self) -> None:
        """Wait until it and its children have said all."""
        self._reader.join()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                name, number = line.decode().split()
                self.returned[name] = int(number)


@dataclass
class Campaign:
    """Keeps hosts and a collector running, and breaks one or the other by turns."""

    launcher: Launcher
    gate: Gate
    rng: random.Random
    start_host: "HostStarter"
    server: Server
    hosts: list[Host] = field(default_factory=list)

    def run(self, acts: int) -> None:
        """Do as many acts as asked, then let everything be well."""
        self.hosts += [self.start_host() for _ in range(HOSTS)]
        alive = list(self.hosts)
        for number in range(acts):
            time.sleep(self.rng.uniform(0, 0.4))
            match number % 4:
                case 0 | 2:
                    self.gate.mood = self.rng.choice(list(Mood))
                case 1:
                    alive.pop(self.rng.randrange(len(alive))).kill()
                    alive.append(self.start_host())
                    self.hosts.append(alive[-1])
                case _:
                    self.server.running.kill()
                    time.sleep(self.rng.uniform(0, 0.3))
                    self.server = Server(self.launcher, "--workers", "1", "--no-work")
        for host in alive:
            host.kill()
        self.gate.mood = Mood.OPEN
        for host in self.hosts:
            host.hear_out()


class HostStarter:
    """Starts hosts on one spool folder, each with a name of its own."""

    def __init__(self, *arguments: str, rng: random.Random) -> None:
        self._arguments = arguments
        self._rng = rng
        self._count = 0

    def __call__(self) -> Host:
        self._count += 1
        seed = str(self._rng.getrandbits(32))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
        process = subprocess.Popen(
            [sys.executable, "-c", HOST, *self._arguments, f"host{self._count}", seed, str(BURST)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        return Host(process)


@pytest.fixture
def launcher(tmp_path: Path, ledger_url: str) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path / "processes", ledger_url)
    yield launcher
    launcher.close()


def is_first(event_id: str) -> bool:
    """Whether it may be of a process that was killed before it said anything."""
    return int(event_id.rpartition("-")[2]) <= BURST


def deliver_rest(url: str, secret: str, spool: Path) -> None:
    """Deliver what the dead have left, as any process does that lives."""
    with closing(Meter(url, secret, spool=spool, max_bytes=2**30, interval=0.05)) as meter:
        meter.flush(0)
        wait_until(lambda: len(list(spool.glob("*.seg"))) <= 2, "all is adopted", seconds=120)
        assert meter.flush(60)


@pytest.mark.parametrize(
    "acts", [pytest.param(8), pytest.param(150, marks=[pytest.mark.soak, long_only])]
)
@pytest.mark.usefixtures("engine")
def test_each_recorded_call_is_booked_exactly_once_whatever_is_killed_and_whatever_breaks(
    acts: int, launcher: Launcher, ledger_path: Path, meterline: Run, tmp_path: Path
) -> None:
    seed = os.environ.get("METERLINE_SEED") or f"{random.SystemRandom().getrandbits(32)}"
    print(f"METERLINE_SEED={seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)
    secret = meterline("key", "create", "--scope", "ingest").stdout.strip()
    spool = tmp_path / "spool"
    server = Server(launcher, "--workers", "1", "--no-work")
    with closing(Gate(lambda: campaign.server.port)) as gate:
        starter = HostStarter(gate.url, secret, str(spool), rng=rng)
        campaign = Campaign(launcher, gate, rng, starter, server)
        campaign.run(acts)
        deliver_rest(gate.url, secret, spool)
    launcher.close()
    meterline("work", "--once")
    with closing(sqlite3.connect(ledger_path)) as ledger:
        booked = [row[0] for row in ledger.execute("SELECT event_id FROM usage_metrics")]
        (counted,) = ledger.execute("SELECT sum(count) FROM usage_rollups_daily").fetchone()
    last = {name: n for host in campaign.hosts for name, n in host.returned.items()}
    recorded = {f"{name}-{n}" for name, end in last.items() for n in range(end + 1)}
    # A kill may have met a call that recorded but did not return, or a burst that was not yet safe.
    maybe = {f"{name}-{end + n}" for name, end in last.items() for n in range(1, BURST + 2)}
    unheard = {each for each in set(booked) - recorded - maybe if not is_first(each)}
    lost = recorded - set(booked)
    assert (set(), set(), len(set(booked)), len(booked)) == (lost, unheard, len(booked), counted)
    assert len(recorded) > 100 * HOSTS
