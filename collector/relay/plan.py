"""What a run of the relay is to do: what is due, but for what is held back, and what to retry."""

from dataclasses import dataclass
from datetime import datetime

from collector.relay.quarantine import count_retries
from collector.relay.store import list_due
from ledger.session import OperatorSession
from ledger.shipping import Hold, list_holds
from ledger.tenant import TenantId

MOST_RETRIES = 50
"""Most refused points that a run tries again; to find which are refused still takes at most about
twice as many calls."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is to do.

    Attributes:
        due: measurements of tenants to ship.
        holds: what is held back of them, and is to be tried again now.
        waiting: what is held back, and has to wait still.
        retries: how many refused points of tenants to try again.
    """

    due: dict[TenantId, frozenset[str]]
    holds: frozenset[tuple[TenantId, str]]
    waiting: list[Hold]
    retries: dict[TenantId, int]


def make_plan(session: OperatorSession, *, only: TenantId | None, now: datetime) -> Plan:
    """Return what is to be done now, of one tenant or of all."""
    due = {
        tenant_id: measurements
        for tenant_id, measurements in list_due(session).items()
        if only in {None, tenant_id}
    }
    holds = [each for each in list_holds(session) if only in {None, each.tenant_id}]
    waiting = [each for each in holds if each.retry_at > now]
    for each in waiting:
        due[each.tenant_id] = due.get(each.tenant_id, frozenset()) - {each.measurement}
    return Plan(
        due={tenant_id: measurements for tenant_id, measurements in due.items() if measurements},
        holds=frozenset(
            (each.tenant_id, each.measurement) for each in holds if each not in waiting
        ),
        waiting=waiting,
        retries=count_retries(session, only=only, now=now, most=MOST_RETRIES),
    )
