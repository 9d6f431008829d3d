"""A tenant's answer is the one it would get if it were alone; and nothing is ever written."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from api.gateway.gateway import Gateway
from api.gateway.request import Query
from collector.influx.target import Target
from ledger.errors import MeterlineError
from ledger.tenant import TenantId
from tests.builders import NOW
from tests.servers.influx import Influx
from tests.service.gateway.attacks import ATTACKS, queries
from tests.service.gateway.conftest import ALONE
from tests.service.gateway.points import ACME, MARK, OTHER
from tests.soaking import long_only

LONG = 100_000
pytestmark = pytest.mark.ledger("sqlite")

_LOOKS = (
    "SHOW SERIES",
    "SHOW DATABASES",
    "SHOW MEASUREMENTS",
    "SHOW RETENTION POLICIES",
    "SHOW USERS",
    "SHOW CONTINUOUS QUERIES",
    'SELECT count(*), sum(*) FROM "usage"',
    'SELECT count(*), sum(*) FROM "usage_cost"',
    'SELECT count(*), sum(*) FROM "usage_tenant_day"',
)


def contents(influx: Influx) -> list[Any]:
    """Return all that a statement that writes could change."""
    return [influx.query(look, db=db) for db in ("meterline", ALONE) for look in _LOOKS]


@pytest.fixture(scope="module", autouse=True)
def untouched(series: Influx) -> Iterator[None]:
    """The databases are after all tests what they were before."""
    before = contents(series)
    yield
    assert before == contents(series)


@pytest.fixture(scope="module")
def shared_gateway(series: Influx) -> Gateway:
    """A gateway to the database with two tenants."""
    return Gateway(Target(url=series.url), queries=4, seconds=10)


@pytest.fixture(scope="module")
def own_gateway(series: Influx) -> Gateway:
    """A gateway to the database with one."""
    return Gateway(Target(url=series.url, bucket=ALONE, usage_bucket=ALONE), queries=4, seconds=10)


def told(gateway: Gateway, text: str) -> tuple[bool, str]:
    """Return whether acme's query is answered, and with what, whatever the database is called."""
    query = Query(text=text, database="", epoch="ns")
    try:
        found = gateway.answer_tenant(query, TenantId(ACME), now=NOW).decode()
    except MeterlineError as error:
        return False, f"{error.code}: {error.message}".replace(ALONE, "meterline")
    return True, found.replace(ALONE, "meterline")


@pytest.mark.parametrize("text", ATTACKS)
def test_an_attack_is_told_what_it_would_be_told_were_there_nobody_else(
    shared_gateway: Gateway, own_gateway: Gateway, text: str
) -> None:
    _, expected = told(own_gateway, text)
    _, answer = told(shared_gateway, text)
    assert (expected, False) == (answer, MARK in answer or f'"{OTHER}"' in answer)


@pytest.mark.parametrize(
    "examples", [pytest.param(500), pytest.param(LONG, marks=[pytest.mark.soak, long_only])]
)
def test_no_query_tells_a_tenant_whether_there_is_another(
    shared_gateway: Gateway, own_gateway: Gateway, examples: int
) -> None:
    answered = []

    @settings(max_examples=examples, derandomize=examples < LONG, phases=[Phase.generate])
    @given(queries)
    def is_told_the_same(text: str) -> None:
        taken, expected = told(own_gateway, text)
        _, answer = told(shared_gateway, text)
        answered.append(taken)
        assert (expected, False) == (answer, MARK in answer)

    is_told_the_same()
    # Queries that are all refused would prove nothing.
    assert examples // 8 < sum(answered)
