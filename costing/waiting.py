"""Remembers which tenants' unpriced rows were looked through, and by which price book."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from costing.backpricing import Place, list_unpriced_tenants
from ledger.session import OperatorSession
from ledger.tenant import TenantId

LIST_EVERY = timedelta(minutes=1)
"""How often tenants are listed where no price has come."""


class _Looked(NamedTuple):
    """How far a tenant's rows were looked through, with which price as the newest one.

    Attributes:
        end: where the last page ended; None: it was the last.
    """

    newest: int
    end: Place | None


class Waiting:
    """What one worker knows of the rows that wait for a price.

    The rows of a tenant are looked through once for each price that comes. Who leaves one unpriced
    after that has looked at the prices under the tenant's lock, too, and so at no older ones.

    A tenant that is not listed can have such a row a moment later, though, by a transaction that
    looked before the price came: hence tenants are listed again and again.
    """

    def __init__(self) -> None:
        self._looked: dict[TenantId, _Looked] = {}
        self._listed: Sequence[TenantId] = ()
        self._listing: tuple[int, datetime] | None = None

    def find(self, session: OperatorSession, newest: int, *, now: datetime) -> list[TenantId]:
        """Return the tenants whose rows are to be looked through, those among them that failed.

        Args:
            session: reads which tenants have unpriced rows.
            newest: the number of what was laid down last, as the session sees it.
            now: the current instant.
        """
        if not self._has_listed(newest, now):
            self._listed = list_unpriced_tenants(session)
            self._listing = (newest, now)
            self._looked = {
                tenant_id: self._looked[tenant_id]
                for tenant_id in self._listed
                if tenant_id in self._looked
            }
        return [
            tenant_id
            for tenant_id in self._listed
            if self._looked.get(tenant_id) != _Looked(newest, None)
        ]

    def place(self, tenant_id: TenantId, newest: int) -> Place | None:
        """Return where to go on with a tenant; None: at the first row."""
        looked = self._looked.get(tenant_id)
        return looked.end if looked is not None and looked.newest == newest else None

    def note(self, tenant_id: TenantId, newest: int, end: Place | None) -> None:
        """Note that a page was looked through, under the tenant's lock."""
        self._looked[tenant_id] = _Looked(newest, end)

    def _has_listed(self, newest: int, now: datetime) -> bool:
        if self._listing is None:
            return False
        known, listed_at = self._listing
        return known == newest and listed_at <= now < listed_at + LIST_EVERY
