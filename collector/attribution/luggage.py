"""How claims and facts are written down while they wait or travel. Pure functions."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson

from collector.attribution.claims import ClaimKey
from collector.facts.claim import ClaimKind
from collector.facts.fact import Fact, Rank, Verdict


def dump_claims(claims: Sequence[ClaimKey]) -> str:
    """Return claims as text; the same claims in the same order are the same text."""
    return orjson.dumps([list(claim) for claim in claims]).decode()


def load_claims(text: str) -> tuple[ClaimKey, ...]:
    """Read what `dump_claims` wrote."""
    stored: Iterable[list[Any]] = orjson.loads(text)
    return tuple(ClaimKey(ClaimKind(kind), value, digits) for kind, value, digits in stored)


def dump_facts(facts: Iterable[Fact]) -> str:
    """Return facts as text."""
    return orjson.dumps(
        [{**asdict(fact), "time": fact.time.isoformat()} for fact in facts]
    ).decode()


def load_facts(text: str) -> list[Fact]:
    """Read what `dump_facts` wrote."""
    return [
        Fact(
            **{
                **values,
                "time": datetime.fromisoformat(values["time"]),
                "rank": Rank(values["rank"]),
                "verdict": Verdict(values["verdict"]),
            }
        )
        for values in orjson.loads(text)
    ]
