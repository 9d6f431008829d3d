"""Whole transactions in one message, for what every request does.

Another transaction is three messages at least: its beginning, a statement and its end, and each
waits for its answer. Here PostgreSQL is sent all of them at once, and what several threads want at
one time goes together. Role, tenant and limits are the same. The driver puts values into the text,
since a message with parameters has one statement.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ledger.coalescing import Coalescer
from ledger.engine import is_postgresql
from ledger.postgresql import begin_operator, begin_tenant, has_citus, open_client_cursor
from ledger.session import operator_session, translate_errors
from ledger.tenant import TenantId, parse_tenant_id

_END = "COMMIT"
_MOST = 32
"""Most questions, or most events, in one message."""

_Reader = Callable[[Any], Any] | None
_Rows = list[tuple[Any, ...]]


class _Query(NamedTuple):
    """A query with its values."""

    query: sa.Select[Any]
    values: Mapping[str, str | bytes]


class _Part(NamedTuple):
    """A tenant's part of a ledger."""

    engine: sa.Engine
    tenant_id: TenantId


class _Change(NamedTuple):
    """Statements with their values; `order` is that of the rows that they lock."""

    statements: Sequence[str]
    values: Mapping[str, Any]
    order: str


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
    return _queries.ask(engine, _Query(query, values))


def tell(
    engine: sa.Engine,
    tenant_id: TenantId,
    statements: Sequence[str],
    values: Mapping[str, Any],
    *,
    order: str,
) -> list[int] | None:
    """Do statements of PostgreSQL for one tenant; return how many rows each has changed.

    None: nothing is known to be done. The connection was dead or died, or there is a cluster, whose
    nodes know no `currval`. An ordinary transaction is then what to try next.

    Args:
        engine: of the ledger.
        tenant_id: the tenant.
        statements: what to do. It may share its transaction with what other threads tell of the
            same tenant: what breaks one of them takes back all, and is raised to all.
        values: of the parameters that the statements name.
        order: what is told together is done in this order, so that transactions which meet wait for
            each other in one order.

    Raises:
        UnavailableError: see `ledger.session`.
    """
    parse_tenant_id(tenant_id, reserved=True)
    return _changes.ask(_Part(engine, tenant_id), _Change(statements, values, order))


def _send_queries(engine: sa.Engine, queries: Sequence[_Query]) -> list[_Rows]:
    with translate_errors():
        try:
            return _query(engine, queries)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # A pooled connection can be dead since the server was started anew.
            return _query(engine, queries)


def _query(engine: sa.Engine, queries: Sequence[_Query]) -> list[_Rows]:
    compiled = [_compile(query, engine.dialect) for query, _ in queries]
    with engine.connect() as connection:
        begin = begin_operator(connection, write=False)
        with open_client_cursor(connection) as cursor:
            texts = [
                cursor.mogrify(text.encode(), values)
                for (text, _), (_, values) in zip(compiled, queries, strict=True)
            ]
            cursor.execute("; ".join((begin, *texts, _END)).encode())
            results = [result.fetchall() for result in cursor.results() if result.description]
    return [
        [_read(row, readers) for row in rows]
        for (_, readers), rows in zip(compiled, results, strict=True)
    ]


def _read(row: Sequence[Any], readers: Sequence[_Reader]) -> tuple[Any, ...]:
    return tuple(
        value if read is None else read(value) for value, read in zip(row, readers, strict=True)
    )


def _send_changes(part: _Part, changes: Sequence[_Change]) -> list[list[int] | None]:
    engine, tenant_id = part
    places = sorted(range(len(changes)), key=lambda place: changes[place].order)
    with translate_errors(), engine.connect() as connection:
        if has_citus(connection):
            return [None] * len(changes)
        begin = begin_tenant(connection, tenant_id, write=True)
        try:
            with open_client_cursor(connection) as cursor:
                texts = [
                    cursor.mogrify("; ".join(statements).encode(), values)
                    for statements, values, _ in (changes[place] for place in places)
                ]
                cursor.execute("; ".join((begin, *texts, _END)).encode())
                counts = [result.rowcount for result in cursor.results()]
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return [None] * len(changes)
    counted: list[list[int] | None] = [None] * len(changes)
    end = len(counts) - 1
    for place in reversed(places):
        start = end - len(changes[place].statements)
        counted[place] = counts[start:end]
        end = start
    return counted


@lru_cache(maxsize=16)
def _compile(query: sa.Select[Any], dialect: sa.Dialect) -> tuple[str, list[_Reader]]:
    """Return the text of a query, and what makes of each column what its type says."""
    readers: list[_Reader] = [
        column.type.dialect_impl(dialect).result_processor(dialect, None)
        for column in query.selected_columns
    ]
    return str(query.compile(dialect=dialect)), readers


_queries: Coalescer[sa.Engine, _Query, _Rows] = Coalescer(_send_queries, most=_MOST)
_changes: Coalescer[_Part, _Change, list[int] | None] = Coalescer(_send_changes, most=_MOST)
