"""The disk is full, read-only, taken away or full of garbage; the application goes on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from meterline import Meter
from tests.collector import Collector
from tests.processes import wait_until
from tests.service.sdk.conftest import MakeMeter, record_sms


def test_a_folder_that_cannot_be_made_is_told_and_usage_is_delivered_from_memory(
    make_meter: MakeMeter,
    collector: Collector,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").write_text("no folder")
    meter = make_meter(spool=tmp_path / "file" / "spool")
    ids = [record_sms(meter) for _ in range(5)]
    assert meter.flush()
    told = sum("spool folder cannot be used" in line for line in caplog.messages)
    assert (ids, 1, False) == (collector.ids(), told, meter.stats().is_safe)


def test_a_folder_that_comes_later_is_used_from_then_on(
    make_meter: MakeMeter, collector: Collector, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder yet")
    meter = make_meter(spool=tmp_path / "file" / "spool")
    ids = [record_sms(meter)]
    (tmp_path / "file").unlink()
    wait_until(lambda: meter.stats().is_safe, "the folder is used")
    ids.append(record_sms(meter))
    assert meter.flush()
    assert sorted(ids) == sorted(collector.ids())


def removed(folder: Path) -> bool:
    try:
        shutil.rmtree(folder)
    except OSError:
        return False
    return True


def test_a_folder_that_is_removed_while_running_is_made_again_and_nothing_is_lost(
    make_meter: MakeMeter, collector: Collector, spool: Path
) -> None:
    meter = make_meter()
    ids = [record_sms(meter) for _ in range(5)]
    wait_until(lambda: removed(spool), "the folder is gone, though a file may come amid it")
    ids += [record_sms(meter) for _ in range(5)]
    wait_until(lambda: meter.stats().is_safe, "the folder is there again")
    ids += [record_sms(meter) for _ in range(5)]
    assert meter.flush()
    assert sorted(ids) == sorted(collector.ids())


def test_garbage_in_the_folder_is_counted_and_disturbs_nobody(
    make_meter: MakeMeter, collector: Collector, spool: Path
) -> None:
    spool.mkdir()
    for number, content in enumerate((b"", b"garbage", os.urandom(5000), b"\xf5\xff" * 5000)):
        (spool / f"{number}.seg").write_bytes(content)
    meter = make_meter()
    ids = [record_sms(meter)]
    assert meter.flush()
    wait_until(lambda: meter.stats().damaged == 4, "the garbage is found")
    assert ids == collector.ids()


FULL = """
import os, sys
from meterline import Meter

url, key, spool = sys.argv[1:4]
meter = Meter(url, key, spool=spool, interval=0.02, max_bytes=64 * 1024 * 1024)
ids = []
for n in range(int(sys.argv[4])):
    ids.append(meter.record(channel="sms", direction="outbound", tenant="acme", event_id=f"SM{n}"))
    if n % 500 == 0:
        meter.flush(30)
print(meter.flush(30), meter.stats().recorded, meter.stats().dropped)
"""


def test_a_full_disk_kills_nobody_and_loses_nothing(
    collector: Collector, secret: str, tmp_path: Path
) -> None:
    probe = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False)
    if probe.returncode:
        if os.environ.get("CI"):
            pytest.fail("a file system that is full needs `unshare`, which CI must allow")
        pytest.skip("`unshare` is not allowed here: no file system that is full")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=1500k none {disk} && exec "$@"'
    enter = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    command = [sys.executable, "-c", FULL, collector.url, secret, str(disk / "spool"), "6000"]
    finished = subprocess.run(
        [*enter, *command], capture_output=True, text=True, timeout=120, check=False
    )
    assert ("True 6000 0\n", 0) == (finished.stdout, finished.returncode), finished.stderr
    assert 6000 == len(set(collector.ids()))


def test_a_folder_that_may_not_be_written_is_told_and_usage_is_delivered_from_memory(
    collector: Collector, secret: str, tmp_path: Path
) -> None:
    """Without root's rights, for which nothing is forbidden."""
    folder = tmp_path / "spool"
    folder.mkdir()
    folder.chmod(0o500)
    command = [sys.executable, "-c", FULL, collector.url, secret, str(folder), "10"]
    if os.geteuid() == 0:
        for parent in (tmp_path, *tmp_path.parents[:2]):
            parent.chmod(0o755)
        command = ["setpriv", "--reuid=65534", "--clear-groups", *command]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    told = "spool folder cannot be used" in finished.stderr
    assert ("True 10 0\n", True) == (finished.stdout, told), finished.stderr
    assert 10 == len(set(collector.ids()))


def test_a_log_handler_that_fails_disturbs_nobody(make_meter: MakeMeter) -> None:
    import logging  # noqa: PLC0415 - beside its only use

    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError(record)

    handler = Failing()
    logger = logging.getLogger("meterline")
    logger.addHandler(handler)
    try:
        meter: Meter = make_meter(spool=None)
        record_sms(meter, tenant="")
        assert (True, 1) == (meter.flush(), meter.stats().refused)
    finally:
        logger.removeHandler(handler)
