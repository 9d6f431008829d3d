"""The sessions on the ledger that a view may open: its caller's tenant decides, nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import current_app

from api.auth.caller import caller
from api.auth.policy import no_tenant_context, tenant_bound
from api.services import Services
from ledger import session as ledger_session
from ledger.session import OperatorSession, TenantSession


@contextmanager
def tenant_session(*, write: bool = False) -> Iterator[TenantSession]:
    """Open a transaction for the caller's own tenant.

    Raises:
        ForbiddenError: `no_tenant_context`.
        UnavailableError: `ledger_unavailable`.
    """
    tenant_id = caller().tenant_id
    if tenant_id is None:
        raise no_tenant_context()
    engine = Services.of(current_app).engine
    with ledger_session.tenant_session(engine, tenant_id, write=write) as session:
        yield session


@contextmanager
def operator_session(*, write: bool = False) -> Iterator[OperatorSession]:
    """Open a transaction over all tenants, for a caller that belongs to none of them.

    Raises:
        ForbiddenError: `tenant_bound`.
        UnavailableError: `ledger_unavailable`.
    """
    who = caller()
    if who.tenant_id is not None or (who.role is not None and who.role.is_tenant_role):
        raise tenant_bound()
    engine = Services.of(current_app).engine
    with ledger_session.operator_session(engine, write=write) as session:
        yield session
