"""How much memory a process takes, as the system says."""

import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path

KIB_A_MIB = 1024

_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
_POLL_SECONDS = 0.05


def watch_memory(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process to end; return the most memory it had, in KiB.

    Resource usage would do, but it counts what this process had when it started the other one.
    """
    peak = 0
    while process.poll() is None:
        peak = max(peak, read_peak(process.pid))
        time.sleep(_POLL_SECONDS)
    return peak


def read_peak(pid: int) -> int:
    """Return the most memory that a process has had so far, in KiB; 0 where it has ended."""
    with suppress(OSError):
        return max(map(int, _PEAK.findall(Path(f"/proc/{pid}/status").read_text())), default=0)
    return 0
