"""Transactions on the ledger. One reads or writes for one tenant; seeing all is another call."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, OperationalError

from ledger.engine import BEGIN_MODE
from ledger.errors import UnavailableError
from ledger.tenant import TenantId, parse_tenant_id


@dataclass(frozen=True, kw_only=True, slots=True)
class TenantSession:
    """One transaction for one tenant. Cannot be built without the tenant."""

    tenant_id: TenantId
    connection: sa.Connection

    def __post_init__(self) -> None:
        parse_tenant_id(self.tenant_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorSession:
    """One transaction that may see every tenant. For workers and operators, never for a tenant."""

    connection: sa.Connection


@contextmanager
def tenant_session(
    engine: sa.Engine, tenant_id: TenantId, *, write: bool = False
) -> Iterator[TenantSession]:
    """Open a transaction for one tenant; commit at the end, roll back on an error.

    Raises:
        UnavailableError: `ledger_unavailable`, when the database does not answer or stays locked.
    """
    with _transaction(engine, write=write) as connection:
        yield TenantSession(tenant_id=tenant_id, connection=connection)


@contextmanager
def operator_session(engine: sa.Engine, *, write: bool = False) -> Iterator[OperatorSession]:
    """Open a transaction over all tenants; commit at the end, roll back on an error.

    Raises:
        UnavailableError: `ledger_unavailable`, when the database does not answer or stays locked.
    """
    with _transaction(engine, write=write) as connection:
        yield OperatorSession(connection=connection)


@contextmanager
def _transaction(engine: sa.Engine, *, write: bool) -> Iterator[sa.Connection]:
    # A SQLite transaction that reads first and writes later fails at once when another writer came
    # between, so writers take the lock when they begin.
    mode = "IMMEDIATE" if write else "DEFERRED"
    try:
        with (
            engine.connect().execution_options(**{BEGIN_MODE: mode}) as connection,
            connection.begin(),
        ):
            yield connection
    except DatabaseError as error:
        # A damaged SQLite file is told by the plain class; the other subclasses are our bugs.
        if type(error) not in (OperationalError, DatabaseError):
            raise
        raise UnavailableError(
            "ledger_unavailable", f"the ledger did not answer: {error.orig}"
        ) from error
