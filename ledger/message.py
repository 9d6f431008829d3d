"""Whole transactions in one message, for what every request does.

Another transaction is three messages at least, its beginning, a statement and its end, and each
waits for its answer. Here PostgreSQL is sent all of them at once. Role, tenant and limits are the
same. The driver puts the values into the text, since a message with parameters has one statement.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ledger.engine import is_postgresql
from ledger.postgresql import begin_operator, begin_tenant, has_citus, open_cursor
from ledger.session import operator_session, translate_errors
from ledger.tenant import TenantId, parse_tenant_id

_END = "COMMIT"
# The last result is that of COMMIT.
_LAST_BUT_ONE = -2

_Reader = Callable[[Any], Any] | None


def ask(engine: sa.Engine, query: sa.Select[Any], **values: str | bytes) -> list[tuple[Any, ...]]:
    """Return the rows of one query over all tenants.

    Args:
        engine: of the ledger.
        query: always the same object, since its text is kept.
        values: of the parameters that the query names.

    Raises:
        UnavailableError: see `ledger.session`.
    """
    if not is_postgresql(engine):
        with operator_session(engine) as session:
            return [tuple(row) for row in session.connection.execute(query, values)]
    with translate_errors():
        try:
            return _ask(engine, query, values)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # A pooled connection can be dead since the server was started anew.
            return _ask(engine, query, values)


def tell(
    engine: sa.Engine, tenant_id: TenantId, statements: Sequence[str], values: Mapping[str, Any]
) -> list[int] | None:
    """Do statements of PostgreSQL for one tenant; return how many rows each has changed.

    None: nothing is known to be done. The connection was dead or died, or there is a cluster, whose
    nodes know no `currval`. An ordinary transaction is then what to try next.

    Raises:
        UnavailableError: see `ledger.session`.
    """
    parse_tenant_id(tenant_id, reserved=True)
    with translate_errors(), engine.connect() as connection:
        if has_citus(connection):
            return None
        begin = begin_tenant(connection, tenant_id, write=True)
        message = "; ".join((begin, *statements, _END))
        try:
            with open_cursor(connection, psycopg.ClientCursor) as cursor:
                cursor.execute(message.encode(), values)
                counts = [result.rowcount for result in cursor.results()]
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return None
        return counts[-1 - len(statements) : -1]


def _ask(
    engine: sa.Engine, query: sa.Select[Any], values: Mapping[str, str | bytes]
) -> list[tuple[Any, ...]]:
    text, readers = _compile(query, engine.dialect)
    with engine.connect() as connection:
        begin = begin_operator(connection, write=False)
        with open_cursor(connection, psycopg.ClientCursor) as cursor:
            cursor.execute(f"{begin}; {text}; {_END}".encode(), values)
            cursor.set_result(_LAST_BUT_ONE)
            rows = cursor.fetchall()
    return [
        tuple(
            value if read is None else read(value) for value, read in zip(row, readers, strict=True)
        )
        for row in rows
    ]


@lru_cache(maxsize=16)
def _compile(query: sa.Select[Any], dialect: sa.Dialect) -> tuple[str, list[_Reader]]:
    """Return the text of a query, and what makes of each column what its type says."""
    readers: list[_Reader] = [
        column.type.dialect_impl(dialect).result_processor(dialect, None)
        for column in query.selected_columns
    ]
    return str(query.compile(dialect=dialect)), readers
