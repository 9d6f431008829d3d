"""Makes Grafana have what a tenant needs, and nothing else; done again, it writes nothing."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from grafana.provisioning import store
from grafana.provisioning.boards import ensure_board, ensure_folder
from grafana.provisioning.client import Client, connect
from grafana.provisioning.names import (
    MAIN_ORG,
    OPERATOR_LOGIN,
    OPERATOR_NAME,
    login_of,
    org_name_of,
)
from grafana.provisioning.organizations import Viewer, ensure_org, ensure_viewer, remove_org
from grafana.provisioning.sources import Secret, find_key_id, put_source
from grafana.provisioning.target import Target
from ledger.clock import Clock
from ledger.errors import ConflictError
from ledger.session import operator_session
from ledger.tenant import Tenant, TenantId

Render = Callable[[str], Mapping[str, Any]]
"""Returns the board of a tenant whose days are in this time zone."""

LEASE = timedelta(minutes=3)
"""Longer than the calls of one tenant take, but where many are answered at the last moment. Who
took longer lets the tenant be looked at again: another one may have changed it meanwhile."""

_OWNER_BYTES = 8


class Provisioner:
    """Provisions one tenant at a time; any number of them, in any number of processes.

    Args:
        engine: of the ledger.
        target: which Grafana.
        render: the board of a tenant.
        clock: what the time is.
    """

    def __init__(self, engine: sa.Engine, target: Target, *, render: Render, clock: Clock) -> None:
        self._engine = engine
        self._target = target
        self._render = render
        self._clock = clock

    def is_current(self, tenant: Tenant) -> bool:
        """Whether all that is wanted now was provisioned, as far as the ledger knows.

        Raises:
            UnavailableError: `ledger_unavailable`.
        """
        with operator_session(self._engine) as session:
            there = store.read_provisioned(session, tenant.tenant_id)
        return there is not None and there.digest == self._digest(tenant)

    def provision(self, tenant: Tenant) -> list[str]:
        """Make Grafana have what a tenant needs; return what was changed, in words.

        Raises:
            ConflictError: `grafana_busy`, `grafana_conflict`.
            UnavailableError: `grafana_unavailable`, `grafana_refused`, `ledger_unavailable`.
        """
        with self._alone(tenant.tenant_id):
            return self._provision(tenant, new_secret=False)

    def rotate(self, tenant: Tenant) -> list[str]:
        """As `provision`, and give the data source a new secret; the old one is worth nothing."""
        with self._alone(tenant.tenant_id):
            return self._provision(tenant, new_secret=True)

    def check_login(self) -> None:
        """Check that Grafana answers and lets us make organisations and users.

        Raises:
            UnavailableError: `grafana_unavailable` or `grafana_refused`.
        """
        with connect(self._target) as client:
            client.get("/orgs?perpage=1", "list its organisations")

    def provision_operators(self) -> list[str]:
        """Make the viewer of the main organisation be there; return what was changed.

        Raises:
            UnavailableError: see `provision`.
        """
        viewer = Viewer(login=OPERATOR_LOGIN, name=OPERATOR_NAME)
        with connect(self._target) as client:
            return ensure_viewer(client, viewer, MAIN_ORG)

    def remove(self, tenant_id: TenantId) -> list[str]:
        """Take away what Grafana has of a tenant, and the key; return what was there.

        Raises:
            ConflictError: `grafana_busy`.
            UnavailableError: see `provision`.
        """
        with self._alone(tenant_id):
            org_id = self._known_org(tenant_id)
            with connect(self._target) as client:
                removed = remove_org(client, tenant_id, known=org_id)
            with operator_session(self._engine, write=True) as session:
                revoked = store.revoke_source_keys(session, tenant_id, but=None, now=self._clock())
                store.forget(session, tenant_id)
        return removed + (["revoked the key"] if revoked else [])

    def _provision(self, tenant: Tenant, *, new_secret: bool) -> list[str]:
        known = self._known_org(tenant.tenant_id)
        with connect(self._target) as client:
            org_id, changes = ensure_org(client, tenant, known=known, admin=self._target.user)
            if org_id != known:
                with operator_session(self._engine, write=True) as session:
                    store.note_org(session, tenant.tenant_id, org_id)
            viewer = Viewer(login=login_of(tenant.tenant_id), name=tenant.name)
            changes += ensure_viewer(client, viewer, org_id)
        with connect(self._target, org_id=org_id) as client:
            changes += self._ensure_source(client, tenant.tenant_id, new_secret=new_secret)
            changes += ensure_folder(client)
            changes += ensure_board(client, self._board_of(tenant))
        with operator_session(self._engine, write=True) as session:
            digest = self._digest(tenant)
            store.note_digest(session, tenant.tenant_id, digest, now=self._clock())
        return changes

    def _ensure_source(self, client: Client, tenant_id: TenantId, *, new_secret: bool) -> list[str]:
        key_id = find_key_id(client, self._target)
        with operator_session(self._engine) as session:
            is_good = store.is_source_key(session, tenant_id, key_id)
        if is_good and not new_secret:
            self._revoke(tenant_id, but=key_id)
            return []
        with operator_session(self._engine, write=True) as session:
            key_id, text = store.make_source_key(session, tenant_id, now=self._clock())
            # Until the end nobody can tell which secret Grafana has: both keys are good meanwhile.
            store.note_unfinished(session, tenant_id)
        change = put_source(client, self._target, Secret(key_id=key_id, text=text))
        self._revoke(tenant_id, but=key_id)
        return [change]

    def _revoke(self, tenant_id: TenantId, *, but: str | None) -> None:
        """Revoke what was left of former secrets: the old one, and those of a process that died."""
        with operator_session(self._engine) as session:
            if not store.has_other_keys(session, tenant_id, but=but):
                return
        with operator_session(self._engine, write=True) as session:
            store.revoke_source_keys(session, tenant_id, but=but, now=self._clock())

    def _known_org(self, tenant_id: TenantId) -> int | None:
        with operator_session(self._engine) as session:
            there = store.read_provisioned(session, tenant_id)
        return None if there is None else there.org_id

    @contextmanager
    def _alone(self, tenant_id: TenantId) -> Iterator[None]:
        owner, now = secrets.token_hex(_OWNER_BYTES), self._clock()
        until = now + LEASE
        if not store.take_lease(self._engine, tenant_id, owner=owner, now=now, until=until):
            raise ConflictError(
                "grafana_busy",
                f"tenant {tenant_id} is being provisioned by another process; run it again",
            )
        try:
            yield
        finally:
            with operator_session(self._engine, write=True) as session:
                if not store.give_back(session, tenant_id, owner=owner):
                    store.note_unfinished(session, tenant_id)

    def _board_of(self, tenant: Tenant) -> Mapping[str, Any]:
        return self._render(tenant.current.timezone)

    def _digest(self, tenant: Tenant) -> str:
        """Return a digest of all that is wanted; what is secret or a number of Grafana's is not."""
        target = self._target
        wanted = [
            target.url,
            target.gateway_url,
            target.database,
            org_name_of(tenant),
            self._board_of(tenant),
        ]
        return sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
