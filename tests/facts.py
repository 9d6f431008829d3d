"""Builds facts, and reads what usages come to in the ledger."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from collector.facts.fact import Fact, Rank, Verdict
from ledger.models import usage_metrics
from ledger.session import tenant_session
from ledger.tenant import TenantId

ACME = TenantId("acme")
TOLD = datetime(2026, 3, 9, 12, 0, 5, tzinfo=UTC)
"""When facts are of, unless a test says so: five seconds after its events."""

_RAW = usage_metrics.c
Figures = tuple[Any, ...]


def fact(status: str = "delivered", **changes: Any) -> Fact:
    """Return what a status callback says of the message SM1: that it is billed."""
    values: dict[str, Any] = {
        "usage_id": "SM1",
        "fact_id": status,
        "rank": Rank.FINAL,
        "verdict": Verdict.BILLED,
        "time": TOLD,
        "channel": "sms",
        "direction": "outbound",
        "source": "twilio",
        **changes,
    }
    return Fact(**values)


def sent(**changes: Any) -> Fact:
    """Return that it is on its way."""
    return fact("sent", **{"rank": Rank.PROGRESS, **changes})


def failed(**changes: Any) -> Fact:
    """Return that it failed and there is a fee."""
    return fact("failed", **{"verdict": Verdict.FAILED, **changes})


def canceled(**changes: Any) -> Fact:
    """Return that there is nothing to pay."""
    return fact("canceled", **{"verdict": Verdict.VOID, **changes})


def processed(fact_id: str, **changes: Any) -> Fact:
    """Return that one recipient's mail of the mailing M1 was processed."""
    told = {"usage_id": "M1", "channel": "email", "source": "sendgrid", "quantity": 1, "adds": True}
    return fact(fact_id, **{**told, **changes})


def net_figures(engine: sa.Engine, tenant_id: TenantId = ACME) -> dict[str, set[Figures]]:
    """Return what the raw rows of each usage come to: what cancels out is not there.

    Figures are date, channel, direction, source, feature, price class, count, quantity and how many
    are provisional.
    """
    key = (_RAW.date, _RAW.channel, _RAW.direction, _RAW.source, _RAW.feature, _RAW.price_class)
    usage = sa.func.coalesce(_RAW.usage_id, _RAW.event_id)
    sums = (
        sa.func.sum(_RAW["count"]),
        sa.func.sum(_RAW.quantity),
        sa.func.sum(sa.cast(_RAW.provisional, sa.Integer) * _RAW["count"]),
    )
    query = sa.select(usage, *key, *sums).where(_RAW.tenant_id == tenant_id).group_by(usage, *key)
    found: dict[str, set[Figures]] = {}
    with tenant_session(engine, tenant_id) as session:
        for usage_id, *figures in session.connection.execute(query):
            *labels, count, quantity, provisional = figures
            totals = (int(count), int(quantity), int(provisional))
            if any(totals):
                found.setdefault(usage_id, set()).add((*labels, *totals))
    return found


def count_rows(engine: sa.Engine, table: sa.Table, tenant_id: TenantId = ACME) -> int:
    """Return how many rows of a table a tenant has."""
    query = sa.select(sa.func.count()).where(table.c.tenant_id == tenant_id)
    with tenant_session(engine, tenant_id) as session:
        return session.connection.scalar(query) or 0


def of_usage(facts: Collection[Fact], usage_id: str) -> list[Fact]:
    """Return the same facts of another usage."""
    return [fact.__class__(**{**_values(fact), "usage_id": usage_id}) for fact in facts]


def _values(fact: Fact) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in fact.__dataclass_fields__}
