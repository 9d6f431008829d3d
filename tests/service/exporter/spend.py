"""Spend of tenants as the collectors of the exporter are asked about it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from exporter.burning import LEAST_HOURS
from exporter.watch import Watch
from ledger.counters import Counter, CounterKey, count_request, write_counters
from ledger.money import parse_usd
from ledger.session import operator_session
from tests.builders import ai

WATCH = Watch(
    tenants=2, ai_share=Fraction(3, 10), ai_amount=parse_usd("1"), hour_amount=parse_usd("1")
)


def ai_of(tenant: str, usd: int, **changes: Any) -> dict[str, Any]:
    """Return AI usage of a tenant that costs so many dollars at the flat map's rates."""
    tokens = {"model": "house-llm", "input_tokens": usd * 500_000, "output_tokens": 0}
    return ai(f"ai-{tenant}-{usd}", **{"tenant": tenant, "metadata": tokens, **changes})


def usual_hours(tenant: str, usd: int, hours: int) -> Iterator[dict[str, Any]]:
    """Yield AI usage of so many dollars in each of so many hours up to 2026-03-09, 20:00."""
    for number in range(hours):
        time = f"2026-03-0{9 - number // 20}T{20 - number % 20:02}:10:00Z"
        yield ai_of(tenant, usd, id=f"usual-{tenant}-{number}", time=time)


def make_busy(engine: sa.Engine, intake: Intake, costing: Costing, *, now: datetime) -> None:
    """Give every metric of spend and of servers something to say, at the limits by default."""
    usual = [
        ai_of("acme", 1, id=f"usual-{hours}", time=(now - timedelta(hours=hours)).isoformat())
        for hours in range(2, LEAST_HOURS + 2)
    ]
    events = [*usual, ai_of("acme", 50, time=now.isoformat())]
    results = intake.book(events, only_tenant=None, now=now)
    assert {"stored"} == {str(result.status) for result in results}
    costing.run(clock=lambda: now)
    rejection = CounterKey(Counter.INTAKE_REJECTIONS, ("missing_id",))
    with operator_session(engine, write=True) as session:
        write_counters(session, {rejection: 1, **count_request("/healthz", 200, 0.1)})
