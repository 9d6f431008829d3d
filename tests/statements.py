"""Watches what is sent to the database, and asks SQLite how it goes about it; changes a schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from ledger.session import operator_session, owner_session

Sent = list[tuple[str, Any]]


@contextmanager
def statements(engine: sa.Engine, *, naming: str) -> Iterator[Sent]:
    """Collect the statements that name a table, with their parameters."""
    sent: Sent = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if naming in statement:
            sent.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def change_schema(engine: sa.Engine, statement: str) -> None:
    """Run a statement as the owner of the tables."""
    with owner_session(engine, write=True) as session:
        session.connection.execute(sa.text(statement))


def plan_steps(engine: sa.Engine, sent: Sent, *, naming: str) -> list[str]:
    """Return the steps of SQLite's plans for these statements that name a table."""
    with operator_session(engine) as session:
        return [
            step[3]
            for statement, parameters in sent
            for step in session.connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            if naming in step[3]
        ]
