"""What happens where a server that a test needs is not installed."""

import os
import shutil
from pathlib import Path

import pytest


def find_program(name: str, *folders: Path) -> Path:
    """Return where a server's program is: on the path, else in the first of these folders.

    On a laptop its absence skips the test and says so; in CI it is a failure.
    """
    found = shutil.which(name)
    for candidate in [found, *(folder / name for folder in folders)]:
        if candidate is not None and Path(candidate).is_file():
            return Path(candidate)
    message = f"{name} is not installed: install it, or let .ci/run do it"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
