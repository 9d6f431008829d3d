"""One line for each request, with the digest of its query and never its text."""

import hashlib
import logging
import re
from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from api.app import create_app
from api.services import Services
from ledger.keys import Scope
from ledger.settings import Settings
from tests.access import make_key
from tests.servers.faults import FaultProxy, Reply
from tests.service.gateway.points import ACME

pytestmark = pytest.mark.ledger("sqlite")

PATH = "/grafana/influx/query"
TEXT = "SHOW TAG VALUES WITH KEY = feature"
LINE = re.compile(
    r"gateway query: tenant=(\S+) caller=(\S+) status=(\d+) ms=\d+ sha256=([0-9a-f]{64}|-)"
)


@pytest.fixture
def client(gateway_services: Services, caplog: pytest.LogCaptureFixture) -> FlaskClient:
    caplog.set_level(logging.INFO)
    return create_app(gateway_services).test_client()


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, ...]]:
    """Return tenant, caller without the id of a key, status and digest of each line."""
    found = [LINE.fullmatch(record.getMessage()) for record in caplog.records]
    return [(m[1], m[2].split(":")[0], m[3], m[4]) for m in found if m is not None]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(("tenant", "named"), [(ACME, ACME), (None, "*")])
def test_a_query_leaves_a_line_with_its_tenant_and_digest(
    client: FlaskClient,
    engine: sa.Engine,
    caplog: pytest.LogCaptureFixture,
    tenant: str | None,
    named: str,
) -> None:
    headers = {"Authorization": f"Token {make_key(engine, Scope.SERIES, tenant=tenant)}"}
    client.post(PATH, data={"q": TEXT}, headers=headers)
    assert [(named, "key", "200", digest(TEXT))] == lines(caplog)


def test_neither_text_nor_secret_is_in_the_log(
    client: FlaskClient, engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    secret = make_key(engine, Scope.SERIES, tenant=ACME)
    for text in (
        TEXT,
        "SELECT a_private_word FROM usage",
        f"{TEXT} WHERE channel = 'a_private_word'",
    ):
        client.get(PATH, query_string={"q": text}, headers={"Authorization": f"Token {secret}"})
    assert 3 == len(lines(caplog))
    assert [] == [word for word in (secret, "a_private_word", "SHOW") if word in caplog.text]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"q": "DROP SERIES"}, "400"),
        ({"q": TEXT, "db": "other"}, "400"),
        ({"q": TEXT, "params": "{}"}, "400"),
    ],
)
def test_a_query_that_is_refused_leaves_a_line(
    client: FlaskClient,
    engine: sa.Engine,
    caplog: pytest.LogCaptureFixture,
    query: dict[str, str],
    status: str,
) -> None:
    headers = {"Authorization": f"Token {make_key(engine, Scope.SERIES, tenant=ACME)}"}
    client.get(PATH, query_string=query, headers=headers)
    assert [(ACME, "key", status, digest(query["q"]))] == lines(caplog)


def test_whoever_has_no_secret_leaves_a_line(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.get(PATH, query_string={"q": TEXT})
    client.post(PATH, data={"q": TEXT})
    assert [("-", "-", "401", digest(TEXT)), ("-", "-", "401", "-")] == lines(caplog)


def test_a_key_of_another_scope_leaves_a_line_with_its_tenant(
    client: FlaskClient, engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Authorization": f"Token {make_key(engine, Scope.READ, tenant=ACME)}"}
    client.get(PATH, query_string={"q": TEXT}, headers=headers)
    assert [(ACME, "key", "403", digest(TEXT))] == lines(caplog)


def test_a_route_that_is_not_there_leaves_a_line(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/grafana/influx/write")
    assert [("-", "-", "404", "-")] == lines(caplog)


def test_other_routes_leave_none(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/healthz")
    assert [] == lines(caplog)


def test_a_line_tells_the_milliseconds_that_influxdb_took(
    services: Services, engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with closing(FaultProxy("http://127.0.0.1:9")) as slow:
        slow.rule = lambda _request: Reply(200, b'{"results":[{"statement_id":0}]}', delay=0.2)
        app = create_app(replace(services, settings=Settings(influx_url=slow.url)))
        headers = {"Authorization": f"Token {make_key(engine, Scope.SERIES, tenant=ACME)}"}
        app.test_client().get(PATH, query_string={"q": TEXT}, headers=headers)
    (taken,) = re.findall(r"status=200 ms=(\d+) ", caplog.text)
    assert 200 <= int(taken) < 60_000


def test_a_line_is_written_once_also_where_other_logs_are_quiet(
    gateway_services: Services,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.WARNING)
    create_app(gateway_services)
    create_app(gateway_services).test_client().get(PATH, query_string={"q": TEXT})
    assert 1 == capsys.readouterr().err.count("gateway query: tenant=- caller=- status=401")
