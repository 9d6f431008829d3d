"""Leases of tenants in SQL: who ships a tenant, and until when nobody else may."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ledger.models import relay_state
from ledger.session import TenantSession, insist, tenant_session
from ledger.tenant import TenantId

_STATE = relay_state.c


class Leases:
    """The leases of one relay.

    A lease outlasts every call that is made under it, so that what one relay sent cannot arrive
    after what the next one sends. Clocks of machines that share a ledger may differ by a fraction
    of it.

    Args:
        engine: of the ledger.
        owner: a name that no other relay has, at most 32 characters.
    """

    def __init__(self, engine: sa.Engine, *, owner: str) -> None:
        self._engine = engine
        self._owner = owner

    def take(self, tenant_id: TenantId, *, now: datetime, until: datetime) -> bool:
        """Lease a tenant, or prolong its lease; tell whether it is ours.

        Raises:
            UnavailableError: `ledger_unavailable`.
        """

        def take_again() -> bool | None:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                if self._update(session, now=now, until=until):
                    return True
                known = sa.select(_STATE.tenant_id).where(_STATE.tenant_id == tenant_id)
                return None if session.connection.execute(known).first() is None else False

        taken = insist(take_again)
        if taken is not None:
            return taken
        return insist(lambda: self._take_first(tenant_id, until=until))

    def prolong(self, session: TenantSession, *, until: datetime | None) -> bool:
        """Tell, inside a writing transaction, whether the session's tenant is ours still.

        Args:
            session: of the tenant; what it writes holds only where the answer is yes.
            until: the new end of the lease; None gives it back.
        """
        statement = (
            sa.update(relay_state)
            .where(_STATE.tenant_id == session.tenant_id, _STATE.lease_owner == self._owner)
            .values(lease_owner=None if until is None else self._owner, lease_until=until)
        )
        return session.connection.execute(statement).rowcount == 1

    def release(self, tenant_id: TenantId) -> None:
        """Give a lease back, if it is ours still."""

        def give_back() -> None:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                self.prolong(session, until=None)

        insist(give_back)

    def _update(self, session: TenantSession, *, now: datetime, until: datetime) -> bool:
        is_free = sa.or_(
            _STATE.lease_owner.is_(None),
            _STATE.lease_owner == self._owner,
            _STATE.lease_until <= now,
        )
        statement = (
            sa.update(relay_state)
            .where(_STATE.tenant_id == session.tenant_id, is_free)
            .values(lease_owner=self._owner, lease_until=until)
        )
        return session.connection.execute(statement).rowcount == 1

    def _take_first(self, tenant_id: TenantId, *, until: datetime) -> bool:
        values = {"tenant_id": tenant_id, "lease_owner": self._owner, "lease_until": until}
        try:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                session.connection.execute(sa.insert(relay_state).values(values))
        except IntegrityError:  # another relay was faster
            return False
        return True
