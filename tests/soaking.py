"""The long versions of proofs, which `make soak` runs."""

import os

import pytest

_SOAKING = os.environ.get("METERLINE_SOAK") == "1"
_TIMES = 20

long_only = pytest.mark.skipif(not _SOAKING, reason="the long version; `make soak` runs it")
"""Marks the long version of a test that has a short one."""


def examples(number: int) -> int:
    """Return how many examples a law that meets a ledger is tried on: many more in a soak."""
    return number * _TIMES if _SOAKING else number
