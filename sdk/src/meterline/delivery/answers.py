"""What an answer of the collector means for the events that were sent. Pure functions."""

import json
from collections.abc import Sequence
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple

_PROBLEM = "urn:meterline:problem:"
_LONGEST_RETRY_AFTER = 300.0
"""No answer makes us wait longer, in seconds: a proxy's mistake must not stop delivery."""


class Fate(Enum):
    """What becomes of one event."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    HELD = "held"
    DEAD = "dead"


class Verdict(NamedTuple):
    """The fate of one event, and why where it was refused."""

    fate: Fate
    status: str = ""
    code: str = ""
    message: str = ""


class Settled(NamedTuple):
    """Every event has its result, in the order sent."""

    verdicts: Sequence[Verdict]


class Later(NamedTuple):
    """Nothing is known of any event; all is sent again, after `retry_after` seconds at least."""

    reason: str
    retry_after: float = 0.0


class Split(NamedTuple):
    """The request as a whole was refused for what is in it: send less at once.

    A single event is refused with `verdict`; where there is none it is sent again later.
    """

    verdict: Verdict | None
    reason: str


class Plain(NamedTuple):
    """The collector reads no gzip; send all again without, or later where that was done."""

    reason: str


Outcome = Settled | Later | Split | Plain

FUTURE_TIME = "future_time"
HELD_CODES = frozenset({"unknown_tenant", FUTURE_TIME})
"""Refusals of usage that is right, and is taken later: the tenant is registered a moment later, or
the collector's clock comes to where a fast clock of this host was."""


def judge(status: int, body: bytes, *, count: int, retry_after: str | None = None) -> Outcome:
    """Return what an answer means.

    Args:
        status: the HTTP status.
        body: of the answer.
        count: how many events were sent.
        retry_after: the header, in seconds; a date counts as none.
    """
    if status == HTTPStatus.OK:
        verdicts = _read_results(body, count)
        return Later("unreadable answer") if verdicts is None else Settled(verdicts)
    problem = _read_problem(body)
    reason = f"status {status}" + (f", {problem.code}" if problem.code else "")
    if status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE and problem.code == "unsupported_encoding":
        return Plain(reason)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Split(problem if problem.code else None, f"status {status}")
    is_ours = problem.code not in ("", "truncated_body")
    if status == HTTPStatus.BAD_REQUEST and is_ours:
        return Split(problem, problem.code)
    return Later(reason, _read_seconds(retry_after))


def _read_results(body: bytes, count: int) -> list[Verdict] | None:
    try:
        results = json.loads(body)["results"]
        verdicts = [_verdict(result) for result in results]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return verdicts if len(verdicts) == count else None


def _verdict(result: dict[str, object]) -> Verdict:
    match result["status"]:
        case "stored":
            return Verdict(Fate.STORED)
        case "duplicate":
            return Verdict(Fate.DUPLICATE)
        case "rejected" | "conflict" as status:
            code, message = str(result.get("code") or ""), str(result.get("message") or "")
            fate = Fate.HELD if code in HELD_CODES else Fate.DEAD
            return Verdict(fate, str(status), code, message)
        case _:
            raise ValueError("no such status")


def _read_problem(body: bytes) -> Verdict:
    """Return the problem of the collector; without a code where somebody else answered."""
    try:
        told = json.loads(body)
        if str(told["type"]).startswith(_PROBLEM):
            return Verdict(Fate.DEAD, "rejected", str(told["code"]), str(told.get("detail") or ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    return Verdict(Fate.DEAD, "rejected")


def _read_seconds(header: str | None) -> float:
    text = (header or "").strip()
    return min(float(text), _LONGEST_RETRY_AFTER) if text.isascii() and text.isdigit() else 0.0
