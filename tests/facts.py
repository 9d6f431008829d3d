"""Builds facts, and reads what usages come to in the ledger."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from collector.events import Rules
from collector.facts.booking import book_facts
from collector.facts.check import check_fact
from collector.facts.fact import Booked, Fact, Rank, Verdict
from ledger.models import usage_metrics
from ledger.session import insist, tenant_session
from ledger.tenant import TenantId

ACME = TenantId("acme")
TOLD = datetime(2026, 3, 9, 12, 0, 5, tzinfo=UTC)
"""When facts are of, unless a test says so: five seconds after its events."""

_RAW = usage_metrics.c
Figures = tuple[Any, ...]


class Facts:
    """Books facts of a tenant that is known: in production `Router` finds out whose they are.

    Args:
        engine: of the ledger.
        rules: what facts are checked against, the same as events.
    """

    def __init__(self, engine: sa.Engine, rules: Rules) -> None:
        self._engine = engine
        self._rules = rules

    def book(self, tenant_id: TenantId, facts: Sequence[Fact], *, now: datetime) -> list[Booked]:
        """Book facts of a tenant in one transaction; return what became of each, in order.

        A tenant that has closed can have them: what was used before it closed is told afterwards.

        Raises:
            InvalidError: with the field at fault; none of the facts is booked.
            MissingError: `unknown_tenant`.
            UnavailableError: the ledger did not answer. Sending all again is safe.
        """
        checked = [check_fact(fact, rules=self._rules, now=now) for fact in facts]
        if not checked:
            return []

        def book() -> list[Booked]:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                return book_facts(session, checked, now=now)

        return insist(book)


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
