"""Kills, forks and ends of processes: each usage whose call returned is booked once."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from meterline import Meter
from tests.collector import Collector
from tests.gate import Gate, Mood
from tests.processes import Running, free_port, wait_until
from tests.service.sdk.conftest import MakeMeter, record_sms

PRELUDE = """
import multiprocessing, os, sys
from meterline import Meter

url, key, spool, seconds = sys.argv[1:5]
meter = Meter(url, key, spool=spool or None, interval=0.02, exit_timeout=float(seconds))

def record(event_id):
    meter.record(channel="sms", direction="outbound", tenant="acme", event_id=event_id)
"""

Script = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def script(collector: Collector, secret: str, spool: Path) -> Iterator[Script]:
    """Start a Python process with a meter, by the lines of its program."""
    started: list[subprocess.Popen[str]] = []

    def start(
        code: str, url: str | None = None, folder: Path | str = spool, seconds: float = 20
    ) -> "subprocess.Popen[str]":
        arguments = [url or collector.url, secret, str(folder), str(seconds)]
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PRELUDE + code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # forked children, too
        process.communicate()


def ends_well(process: "subprocess.Popen[str]") -> bool:
    """Wait for the end of a process; whether it ended without a word of complaint."""
    _, complaints = process.communicate(timeout=60)
    quiet = [line for line in complaints.splitlines() if "no spool folder" not in line]
    assert [] == quiet
    return process.returncode == 0


def deliver_rest(make_meter: MakeMeter, collector: Collector, count: int) -> None:
    """Let a process that lives adopt what was left and deliver it."""
    meter = make_meter()
    meter.flush()
    wait_until(lambda: len(collector.ids()) >= count, f"{count} events are booked")
    meter.flush()


@pytest.mark.parametrize("folder", ["spool", ""])
def test_what_was_recorded_is_sent_at_the_end_of_the_interpreter(
    script: Script, collector: Collector, tmp_path: Path, folder: str
) -> None:
    process = script("for n in range(50): record(f'SM{n}')", folder=folder and tmp_path / folder)
    assert ends_well(process)
    assert [f"SM{n}" for n in range(50)] == collector.ids()


def test_where_no_thread_can_be_started_the_end_of_the_interpreter_sends(
    script: Script, collector: Collector
) -> None:
    process = script("""
import http.client, logging, random, resource
with open("/proc/self/statm") as pages:
    size = int(pages.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (size + 4_000_000,) * 2)  # less than a thread's stack
for n in range(20): record(f"SM{n}")
""")
    assert ends_well(process)
    assert [f"SM{n}" for n in range(20)] == collector.ids()


def test_an_interpreter_ends_though_the_collector_is_down(
    script: Script, make_meter: MakeMeter, collector: Collector
) -> None:
    process = script(
        "for n in range(50): record(f'SM{n}')",
        url=f"http://127.0.0.1:{free_port()}",
        seconds=0.1,
    )
    process.communicate(timeout=60)
    deliver_rest(make_meter, collector, 50)
    assert (0, {f"SM{n}" for n in range(50)}) == (process.returncode, set(collector.ids()))


def test_a_killed_process_loses_nothing_whose_call_returned(
    script: Script, make_meter: MakeMeter, collector: Collector
) -> None:
    process = script(
        "for n in range(10**9): record(f'SM{n}'); print(n, flush=True)",
        url=f"http://127.0.0.1:{free_port()}",
    )
    assert process.stdout is not None
    returned = [int(process.stdout.readline()) for _ in range(300)]
    process.kill()
    rest = process.stdout.read().split("\n")[:-1]
    returned += map(int, rest)
    deliver_rest(make_meter, collector, len(returned))
    assert set() == {f"SM{n}" for n in returned} - set(collector.ids())


def test_a_fork_records_on_its_own_and_nothing_is_booked_twice(
    script: Script, collector: Collector
) -> None:
    process = script("""
for n in range(20): record(f"before-{n}")
child = os.fork()
name = "parent" if child else "child"
for n in range(20): record(f"{name}-{n}")
if child: os.waitpid(child, 0)
meter.flush(30)
if child == 0: print(meter.stats().recorded, meter.stats().duplicates)
""")
    output, _ = process.communicate(timeout=60)
    expected = {f"{name}-{n}" for name in ("before", "parent", "child") for n in range(20)}
    assert ("20 0", expected) == (output.strip(), set(collector.ids()))


def test_a_fork_amid_recording_threads_disturbs_nobody(
    script: Script, collector: Collector
) -> None:
    process = script("""
import threading
def work(name):
    for n in range(300): record(f"{name}-{n}")
threads = [threading.Thread(target=work, args=(f"thread{t}",)) for t in range(4)]
for thread in threads: thread.start()
children = []
for c in range(5):
    child = os.fork()
    if child == 0:
        work(f"child{c}")
        meter.flush(30)
        os._exit(0)
    children.append(child)
for thread in threads: thread.join()
for child in children: os.waitpid(child, 0)
meter.flush(30)
""")
    process.communicate(timeout=60)
    names = [*(f"thread{t}" for t in range(4)), *(f"child{c}" for c in range(5))]
    assert {f"{name}-{n}" for name in names for n in range(300)} == set(collector.ids())


def test_a_fork_amid_an_answer_has_a_child_that_works(script: Script, collector: Collector) -> None:
    port = urlsplit(collector.url).port
    assert port is not None
    with closing(Gate(lambda: port)) as gate:
        gate.mood = Mood.HALF
        process = script(
            """
record("parent")
sys.stdin.readline()
child = os.fork()
if child == 0:
    record("child")
    print("recorded", flush=True)
    os._exit(0)
os.waitpid(child, 0)
sys.stdin.readline()
""",
            url=gate.url,
        )
        assert gate.stalled.wait(30)
        assert process.stdin is not None
        assert process.stdout is not None
        time.sleep(0.1)  # in which the parent comes to wait for the second half
        process.stdin.write("now\n")
        process.stdin.flush()
        said, _, _ = select.select([process.stdout], [], [], 10)
        gate.mood = Mood.OPEN
        assert [process.stdout] == said
        wait_until(lambda: {"parent", "child"} == set(collector.ids()), "both are booked")


def test_no_thread_imports_anything_since_a_fork_amid_it_would_hang(
    script: Script, collector: Collector
) -> None:
    process = script(f"""
before = set(sys.modules)
record("SM1")
meter.record(channel="pigeon", direction="outbound", tenant="nobody")
meter.record(channel="pigeon", direction="outbound", tenant="acme")
meter.flush(20)
away = Meter("http://127.0.0.1:{free_port()}", key, spool=spool, interval=0.02, exit_timeout=0)
away.record_usage("acme", "sms", "outbound")
away.flush(0.2)
print(sorted(set(sys.modules) - before))
""")
    output, _ = process.communicate(timeout=60)
    assert ("[]", 1) == (output.strip(), collector.ids().count("SM1"))


def test_what_a_forked_child_left_is_delivered_by_its_living_parent(
    script: Script, collector: Collector
) -> None:
    process = script("""
record("parent")
child = os.fork()
if child == 0:
    for n in range(20): record(f"child-{n}")
    os._exit(0)
os.waitpid(child, 0)
sys.stdin.read()
""")
    wait_until(lambda: len(collector.ids()) == 21, "the parent delivers for its child")
    assert ends_well(process)


def test_forked_children_that_record_nothing_make_no_files(
    script: Script, collector: Collector, spool: Path
) -> None:
    process = script("""
record("parent")
meter.flush(30)
sys.stdin.readline()
for _ in range(20):
    if os.fork() == 0: sys.exit(0)
for _ in range(20): os.wait()
print(len(os.listdir(sys.argv[3])), flush=True)
sys.stdin.read()
""")
    wait_until(lambda: len(list(spool.glob("*.seg"))) == 2, "it has what it writes to and a spare")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go on\n")
    process.stdin.flush()
    assert (3, ["parent"]) == (int(process.stdout.readline()), collector.ids())  # with the lock


def test_a_parents_segments_are_adopted_though_a_forked_child_lives(
    script: Script, make_meter: MakeMeter, collector: Collector
) -> None:
    process = script(
        """
for n in range(20): record(f"SM{n}")
if os.fork() == 0:
    print(os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
os.kill(os.getpid(), 9)
""",
        url=f"http://127.0.0.1:{free_port()}",
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.wait(timeout=60)
    try:
        deliver_rest(make_meter, collector, 20)
    finally:
        os.kill(child, signal.SIGKILL)
    assert {f"SM{n}" for n in range(20)} == set(collector.ids())


@pytest.mark.parametrize("folder", ["spool", ""])
def test_workers_of_multiprocessing_deliver_what_they_record(
    script: Script, collector: Collector, tmp_path: Path, folder: str
) -> None:
    process = script(
        """
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=record, args=(f"SM{n}",)) for n in range(4)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
""",
        folder=folder and tmp_path / folder,
    )
    assert ends_well(process)
    assert {f"SM{n}" for n in range(4)} == set(collector.ids())


def test_a_closed_meter_takes_no_more_and_says_so(
    make_meter: MakeMeter, caplog: pytest.LogCaptureFixture
) -> None:
    meter = make_meter()
    meter.close()
    record_sms(meter)
    record_sms(meter)
    wait_until(lambda: "after the meter was closed" in caplog.text, "it is logged")
    assert 2 == meter.stats().dropped


def test_a_closed_meter_leaves_no_thread_that_runs(make_meter: MakeMeter) -> None:
    meter = make_meter()
    record_sms(meter)
    meter.close()
    assert [] == [each for each in threading.enumerate() if each.name.startswith("meterline")]


def test_workers_that_gunicorn_forks_from_a_loaded_application_deliver_and_one_may_be_killed(
    collector: Collector, secret: str, spool: Path, tmp_path: Path
) -> None:
    (tmp_path / "host.py").write_text(
        f"""
import os
from meterline import Meter
meter = Meter({collector.url!r}, {secret!r}, spool={str(spool)!r}, interval=60)

def application(environ, start_response):
    made = meter.record(channel="sms", direction="outbound", tenant="acme")
    start_response("200 OK", [])
    return [f"{{os.getpid()}} {{made}}".encode()]
"""
    )
    port = free_port()
    options = ("--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}", "host")
    running = Running([Path(sys.executable).parent / "gunicorn", *options], folder=tmp_path)
    made: dict[str, str] = {}

    def ask() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                pid, event_id = answer.read().decode().split()
        except OSError:
            return False
        made[event_id] = pid
        return True

    try:
        wait_until(ask, "gunicorn answers")
        wait_until(lambda: ask() and len(set(made.values())) == 2, "both workers answered")
        running.kill_member(int(next(iter(made.values()))))
        wait_until(ask, "the others go on")
        os.kill(running.pid, signal.SIGTERM)
        running.wait()
    finally:
        running.kill()
    with_rest = Meter(collector.url, secret, spool=spool, interval=0.02)
    with_rest.flush()
    wait_until(lambda: len(collector.ids()) >= len(made), "all is booked")
    with_rest.close()
    assert set(made) == set(collector.ids())
