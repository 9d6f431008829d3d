"""Fixtures of the tests that change a server."""

from collections.abc import Callable, Iterator

import pytest

from tests.servers.postgresql import PostgreSql


@pytest.fixture
def administer(postgresql: PostgreSql) -> Iterator[Callable[..., None]]:
    """Change roles, which all databases of the server share, and have them back afterwards."""
    undoing: list[str] = []

    def change(statement: str, *, undo: str) -> None:
        postgresql.administer(statement)
        undoing.append(undo)

    yield change
    for statement in reversed(undoing):
        postgresql.administer(statement)
