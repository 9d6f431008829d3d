"""Rollup rows are read of one tenant, whoever reads them: two tenants have rows of the same key."""

import pytest
import sqlalchemy as sa

from ledger.rollups import read_rollups, read_rollups_of
from ledger.session import operator_session
from tests.builders import sms
from tests.conftest import Book
from tests.costed import ACME


@pytest.fixture(autouse=True)
def usage_of_two(book: Book) -> None:
    """Usage whose rows have the same key, ten units of acme and seven of karachi."""
    book(sms("A", quantity=10), sms("K", tenant="karachi", quantity=7))


def test_an_operator_reads_the_rows_of_the_tenant_that_it_names(engine: sa.Engine) -> None:
    with operator_session(engine) as session:
        (row,) = read_rollups_of(session, ACME).values()
    assert 10 == row.tally.measures.quantity


def test_an_operator_that_names_no_tenant_reads_none(engine: sa.Engine) -> None:
    with operator_session(engine) as session, pytest.raises(AttributeError, match="tenant_id"):
        read_rollups(session)  # type: ignore[arg-type]  # as the types say
