"""Lets things happen at once, or at a chosen point of another's transaction."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import event

from ledger.engine import BEGIN

T = TypeVar("T")

_WRITES = re.compile("^BEGIN IMMEDIATE|READ WRITE")


def at_once(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run the tasks in threads that start together; return what they return."""
    gate = threading.Barrier(len(tasks))

    def wait_and_run(task: Callable[[], T]) -> T:
        gate.wait(timeout=10)
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(wait_and_run, tasks))


@contextmanager
def before_write(
    engine: sa.Engine | type[sa.Engine], act: Callable[[], object], *, at: int = 1
) -> Iterator[None]:
    """Let `act` happen once, just before the engine's write transaction number `at` begins.

    The class stands for whatever engine a command makes for itself.
    """
    begun = 0

    def on_options(_c: object, options: Mapping[str, object]) -> None:
        nonlocal begun
        if _WRITES.search(str(options.get(BEGIN))):
            begun += 1
            if begun == at:
                act()

    event.listen(engine, "set_connection_execution_options", on_options)
    yield
    event.remove(engine, "set_connection_execution_options", on_options)


@contextmanager
def before_statement(engine: sa.Engine, text: str, act: Callable[[], object]) -> Iterator[None]:
    """Let `act` happen once, inside the transaction that is about to execute `text…`."""
    is_due = True

    def on_statement(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        nonlocal is_due
        if is_due and statement.startswith(text):
            is_due = False
            act()

    event.listen(engine, "before_cursor_execute", on_statement)
    yield
    event.remove(engine, "before_cursor_execute", on_statement)
