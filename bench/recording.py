"""What recording costs on the caller's thread, and what the import of the SDK costs.

A recording is compared with the standard library's `json.dumps` of the same event, which does no
more than write it as text: no checks, no checksum, no copy into a spool, no lock.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.table import Line
from bench.timing import Work, alternate
from meterline import Meter

CALLS = 20_000
IMPORTS = 10
ASKED_RATIO = 3.0
ASKED_IMPORT_SECONDS = 0.05

_NOWHERE = "http://127.0.0.1:9"
_METADATA: dict[str, str | int] = {
    "model": "gpt-4o-mini-2024-07-18",
    "input_tokens": 1200,
    "output_tokens": 300,
    "cached_tokens": 1024,
    "finish_reason": "stop",
}


def measure() -> list[Line]:
    """Compare recordings with and without a spool folder, and interpreters with and without us."""
    with TemporaryDirectory(prefix="bench-") as folder:
        taken = alternate(
            {
                "spool": partial(_record, Path(folder)),
                "memory": partial(_record, None),
                "json": _dump,
            }
        )
    imports = alternate(
        {"ours": partial(_start, "import meterline"), "bare": partial(_start, "pass")},
        rounds=IMPORTS,
    )
    name = f"{CALLS:,} recordings, {{}} / json.dumps of the events".format
    asked = f"<= {ASKED_RATIO}"
    spool, memory, plain = (taken[side] for side in ("spool", "memory", "json"))
    added = 1000 * (imports["ours"] - imports["bare"])
    return [
        Line(name(_per_call("spool folder", spool)), spool, plain, spool / plain, asked),
        Line(name(_per_call("memory", memory)), memory, plain, memory / plain, asked),
        Line(
            f"an interpreter that imports meterline (+{added:.0f} ms) / one that does not",
            imports["ours"],
            imports["bare"],
            imports["ours"] / imports["bare"],
            f"<= {1000 * ASKED_IMPORT_SECONDS:.0f} ms more",
        ),
    ]


def _per_call(place: str, seconds: float) -> str:
    return f"{place} ({1e6 * seconds / CALLS:.1f} us a call)"


@contextmanager
def _record(folder: Path | None) -> Iterator[Work]:
    """Record as an OpenAI call is recorded; the sender sleeps meanwhile, as in a busy second."""
    meter = Meter(_NOWHERE, "key", spool=folder, interval=600, exit_timeout=0)
    ids = [f"chatcmpl-{number:029x}" for number in range(CALLS)]

    def work() -> None:
        with meter.context(tenant="acme", feature="support_ai"):
            for event_id in ids:
                meter.record(
                    channel="ai",
                    direction="outbound",
                    source="openai",
                    event_id=event_id,
                    metadata=_METADATA,
                )

    yield work
    stats = meter.stats()
    if stats.recorded != CALLS or stats.dropped or stats.refused:
        raise AssertionError(f"not everything was recorded: {stats}")
    meter.close(timeout=0)
    for file in folder.iterdir() if folder is not None else ():
        file.unlink()


@contextmanager
def _dump() -> Iterator[Work]:
    event = {
        "id": f"chatcmpl-{0:029x}",
        "time": "2026-11-25T10:14:16.250000Z",
        "channel": "ai",
        "direction": "outbound",
        "tenant": "acme",
        "source": "openai",
        "feature": "support_ai",
        "metadata": _METADATA,
    }

    def work() -> None:
        for _ in range(CALLS):
            json.dumps(event).encode()

    yield work


@contextmanager
def _start(code: str) -> Iterator[Work]:
    yield partial(subprocess.run, [sys.executable, "-c", code], check=True)
