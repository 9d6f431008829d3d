"""The facts of usages whose raw rows are gone."""

from collections.abc import Iterable

import sqlalchemy as sa

from ledger.models import usage_balances, usage_facts
from ledger.session import TenantSession

_BALANCE = usage_balances.c
_FACT = usage_facts.c


def expire_facts(session: TenantSession, *, events: Iterable[str], usages: Iterable[str]) -> None:
    """Forget the facts of usages of which retention takes rows, in its transaction.

    Args:
        session: of the tenant, writing.
        events: ids of events that become tombstones, which answer for their usage from then on.
        usages: usages of which rows go that facts booked. Their balance stays, without what is
            booked, so that neither a fact nor an event of theirs counts again.
    """
    gone, kept = set(events), set(usages)
    own = _BALANCE.tenant_id == session.tenant_id
    any_balance = sa.select(_BALANCE.usage_id).where(own).order_by(_BALANCE.usage_id).limit(1)
    if session.connection.execute(any_balance).first() is None:  # nobody told anything
        return
    # In the order in which others lock them.
    locked = (
        sa.select(_BALANCE.usage_id)
        .where(own, _BALANCE.usage_id.in_(gone | kept))
        .order_by(_BALANCE.usage_id)
        .with_for_update()
    )
    found = set(session.connection.execute(locked).scalars())
    if not found:
        return
    session.connection.execute(
        sa.delete(usage_facts).where(
            _FACT.tenant_id == session.tenant_id, _FACT.usage_id.in_(found)
        )
    )
    session.connection.execute(
        sa.delete(usage_balances).where(own, _BALANCE.usage_id.in_(found & gone))
    )
    session.connection.execute(
        sa.update(usage_balances)
        .where(own, _BALANCE.usage_id.in_(found & kept - gone))
        .values(expired=True, booked=None)
    )
