"""Facts as providers tell them, with what they claim, and what the ledger comes to."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from collector.attribution.routing import Report
from collector.attribution.transit import InTransit, read_in_transit
from collector.facts.claim import Claim, ClaimKind
from collector.facts.fact import Fact, Rank, Verdict
from costing.retention import Retention
from ledger.models import usage_metrics
from ledger.session import operator_session
from ledger.tenant import TenantId
from tests.builders import NOW
from tests.service.attribution.claims import NUMBER

YESTERDAY = NOW - timedelta(days=1)
BY_NUMBER = (Claim(ClaimKind.NUMBER, NUMBER),)


def report(
    usage_id: str = "SM1",
    fact_id: str = "delivered",
    *,
    claims: Sequence[Claim] = BY_NUMBER,
    named: str | None = None,
    time: datetime = YESTERDAY,
    **changes: Any,
) -> Report:
    """Return what a provider tells of one message of three segments."""
    fields: dict[str, Any] = {
        "rank": Rank.FINAL,
        "verdict": Verdict.BILLED,
        "channel": "sms",
        "direction": "outbound",
        "source": "twilio",
        "quantity": 3,
        **changes,
    }
    fact = Fact(usage_id=usage_id, fact_id=fact_id, time=time, **fields)
    return Report(fact, tuple(claims), None if named is None else TenantId(named))


def totals(engine: sa.Engine) -> dict[str, tuple[int, int]]:
    """Return usages and quantity of each tenant that has any, all rows added up with their sign."""
    columns = usage_metrics.c
    query = sa.select(
        columns.tenant_id, sa.func.sum(columns["count"]), sa.func.sum(columns.quantity)
    ).group_by(columns.tenant_id)
    with operator_session(engine) as session:
        rows = session.connection.execute(query)
        return {row[0]: (int(row[1]), int(row[2])) for row in rows if (row[1], row[2]) != (0, 0)}


def in_transit(engine: sa.Engine) -> list[InTransit]:
    """Return what is on its way, without the rows that it was in."""
    with operator_session(engine) as session:
        return [part._replace(measures={}) for part in read_in_transit(session)]


def whole(engine: sa.Engine) -> tuple[int, int]:
    """Return usages and quantity of all tenants, and of what is in transit."""
    parts = [*totals(engine).values(), *((t.usages, t.quantity) for t in in_transit(engine))]
    return sum(usages for usages, _ in parts), sum(quantity for _, quantity in parts)


def take_old(engine: sa.Engine) -> None:
    """Let retention take what is older than thirty days."""
    retention = Retention(engine, days=30)
    for due in retention.find_due(now=NOW):
        list(retention.take(due))
