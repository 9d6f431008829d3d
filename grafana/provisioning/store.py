"""What the ledger knows of Grafana, in SQL: organisations, who provisions them, and their keys."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ledger.keys import Scope, create_key
from ledger.models import api_keys, grafana_orgs
from ledger.session import OperatorSession, operator_session
from ledger.tenant import TenantId

KEY_LABEL = "Grafana data source, made by provisioning"

_ORG = grafana_orgs.c
_KEY = api_keys.c


@dataclass(frozen=True, kw_only=True, slots=True)
class Provisioned:
    """What was provisioned for a tenant. `digest` None: nothing was, to its end.

    Attributes:
        org_id: its organisation in Grafana, where one was found or made.
        digest: of all that was wanted then.
    """

    org_id: int | None
    digest: str | None


def read_provisioned(session: OperatorSession, tenant_id: TenantId) -> Provisioned | None:
    """Return what was provisioned for a tenant; None where nobody ever began."""
    query = sa.select(_ORG.org_id, _ORG.digest).where(_ORG.tenant_id == tenant_id)
    row = session.connection.execute(query).one_or_none()
    return None if row is None else Provisioned(org_id=row.org_id, digest=row.digest)


def list_provisioned(session: OperatorSession) -> list[TenantId]:
    """Return the tenants that Grafana has something of, or may have."""
    query = sa.select(_ORG.tenant_id).order_by(_ORG.tenant_id)
    return [TenantId(tenant_id) for tenant_id in session.connection.execute(query).scalars()]


def take_lease(
    engine: sa.Engine, tenant_id: TenantId, *, owner: str, now: datetime, until: datetime
) -> bool:
    """Lease a tenant, so that nobody else provisions it meanwhile; tell whether it is ours.

    Raises:
        UnavailableError: `ledger_unavailable`.
    """
    is_free = sa.or_(_ORG.lease_owner.is_(None), _ORG.lease_until <= now)
    lease = {"lease_owner": owner, "lease_until": until}
    try:
        with operator_session(engine, write=True) as session:
            known = sa.select(_ORG.tenant_id).where(_ORG.tenant_id == tenant_id)
            if session.connection.execute(known).first() is None:
                session.connection.execute(
                    sa.insert(grafana_orgs).values(tenant_id=tenant_id, **lease)
                )
                return True
            statement = sa.update(grafana_orgs).where(_ORG.tenant_id == tenant_id, is_free)
            return session.connection.execute(statement.values(lease)).rowcount == 1
    except IntegrityError:  # another process was faster
        return False


def give_back(session: OperatorSession, tenant_id: TenantId, *, owner: str) -> bool:
    """Give a lease back; tell whether it was ours still."""
    statement = sa.update(grafana_orgs).where(
        _ORG.tenant_id == tenant_id, _ORG.lease_owner == owner
    )
    freed = statement.values(lease_owner=None, lease_until=None)
    return session.connection.execute(freed).rowcount == 1


def note_org(session: OperatorSession, tenant_id: TenantId, org_id: int) -> None:
    """Write down which organisation is a tenant's; what is in it is not known to be right yet."""
    _change(session, tenant_id, org_id=org_id, digest=None)


def note_unfinished(session: OperatorSession, tenant_id: TenantId) -> None:
    """Write down that something is being changed, so that it is looked at again if that fails."""
    _change(session, tenant_id, digest=None)


def note_digest(
    session: OperatorSession, tenant_id: TenantId, digest: str, *, now: datetime
) -> None:
    """Write down that all is as it was wanted."""
    _change(session, tenant_id, digest=digest, provisioned_at=now)


def forget(session: OperatorSession, tenant_id: TenantId) -> None:
    """Take out what is known of a tenant's organisation."""
    session.connection.execute(sa.delete(grafana_orgs).where(_ORG.tenant_id == tenant_id))


def make_source_key(
    session: OperatorSession, tenant_id: TenantId, *, now: datetime
) -> tuple[str, str]:
    """Make a key that reads the series of one tenant; return its id and its secret."""
    key, secret = create_key(
        session,
        scopes=frozenset({Scope.SERIES}),
        label=KEY_LABEL,
        tenant_id=tenant_id,
        now=now,
    )
    return key.key_id, secret


def is_source_key(session: OperatorSession, tenant_id: TenantId, key_id: str | None) -> bool:
    """Whether this key is one of the tenant's, made here and not revoked."""
    query = sa.select(_KEY.key_id).where(*_live(tenant_id), _KEY.key_id == (key_id or ""))
    return session.connection.execute(query).first() is not None


def has_other_keys(session: OperatorSession, tenant_id: TenantId, *, but: str | None) -> bool:
    """Whether keys that were made here for a tenant are good still, besides one."""
    query = sa.select(_KEY.key_id).where(*_live(tenant_id), _KEY.key_id != (but or ""))
    return session.connection.execute(query).first() is not None


def revoke_source_keys(
    session: OperatorSession, tenant_id: TenantId, *, but: str | None, now: datetime
) -> int:
    """Revoke the keys that were made here for a tenant, but for one; return how many."""
    return session.connection.execute(
        sa.update(api_keys)
        .where(*_live(tenant_id), _KEY.key_id != (but or ""))
        .values(revoked_at=now)
    ).rowcount


def _change(session: OperatorSession, tenant_id: TenantId, **values: object) -> None:
    statement = sa.update(grafana_orgs).where(_ORG.tenant_id == tenant_id)
    session.connection.execute(statement.values(values))


def _live(tenant_id: TenantId) -> tuple[sa.ColumnElement[bool], ...]:
    return _KEY.tenant_id == tenant_id, _KEY.label == KEY_LABEL, _KEY.revoked_at.is_(None)
