"""What Grafana sends over HTTP, and what it gets: answers and errors in InfluxDB's shape."""

import base64
import http.client
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from pydantic import SecretStr

from api.app import create_app
from api.gateway.influxql.catalogue import MEASUREMENTS
from api.services import Services
from ledger.accounts.roles import Role
from ledger.keys import Scope
from ledger.settings import Settings
from tests.access import COOKIE, claims, host_settings, make_key, make_sign_in, sign
from tests.collector import Collector
from tests.processes import free_port, wait_until
from tests.servers.faults import FaultProxy, Reply
from tests.servers.influx import Influx
from tests.service.gateway.attacks import BEGUN
from tests.service.gateway.conftest import Ask, values_of
from tests.service.gateway.points import ACME, DAYS

pytestmark = pytest.mark.ledger("sqlite")

PATH = "/grafana/influx/query"
FORM = "application/x-www-form-urlencoded"
DAILY = f"SELECT sum(emails) FROM usage_tenant_day WHERE {BEGUN} GROUP BY time(1d)"
SUM = f"SELECT sum(emails) FROM usage_tenant_day WHERE {BEGUN}"
ACMES_SUM = DAYS * (DAYS + 1) // 2


@pytest.fixture
def client(gateway_services: Services) -> FlaskClient:
    return create_app(gateway_services).test_client()


@pytest.fixture
def faults(series: Influx) -> Iterator[FaultProxy]:
    """Stands in front of InfluxDB."""
    with closing(FaultProxy(series.url)) as proxy:
        yield proxy


@pytest.fixture
def faulty_client(services: Services, faults: FaultProxy) -> FlaskClient:
    """A client of a gateway to InfluxDB behind that proxy, with little patience."""
    settings = Settings(
        influx_url=faults.url,
        influx_token=SecretStr("reads-and-writes"),
        gateway_timeout_seconds=0.5,
    )
    return create_app(replace(services, settings=settings)).test_client()


def token(engine: sa.Engine, tenant: str | None = ACME) -> dict[str, str]:
    return {"Authorization": f"Token {make_key(engine, Scope.SERIES, tenant=tenant)}"}


def error_of(response: Any) -> tuple[int, str]:
    document = orjson.loads(response.data)
    assert ["error"] == list(document)
    return response.status_code, document["error"]


def test_grafana_asks_by_get_with_all_in_the_query_string(
    client: FlaskClient, engine: sa.Engine
) -> None:
    query = {"db": "meterline", "epoch": "ms", "q": SUM}
    response = client.get(PATH, query_string=query, headers=token(engine))
    assert [[1769904000000, ACMES_SUM]] == values_of(response)


def test_grafana_asks_by_post_with_the_query_in_a_form(
    client: FlaskClient, engine: sa.Engine
) -> None:
    query = {"db": "meterline", "epoch": "ms"}
    response = client.post(PATH, query_string=query, data={"q": SUM}, headers=token(engine))
    assert [[1769904000000, ACMES_SUM]] == values_of(response)


def test_an_operators_key_sees_all_tenants(ask: Ask) -> None:
    assert ACMES_SUM * 1_000_004 == values_of(ask(SUM, None))[0][1]


@pytest.mark.parametrize("epoch", ["ns", "u", "µ", "ms", "s", "m", "h", ""])
def test_an_answer_is_the_one_that_influxdb_gives(ask: Ask, series: Influx, epoch: str) -> None:
    text = SUM.replace(" WHERE", " WHERE tenant = 'acme' AND")
    direct = series.post("/query", db="meterline", q=text, epoch=epoch)
    assert orjson.loads(direct.body) == orjson.loads(ask(SUM, epoch=epoch).data)


@pytest.mark.parametrize(
    ("sources", "groups"),
    [
        ("usage_cost", "channel, feature"),
        ("usage, usage_cost", "direction"),
        ("usage_cost", "time(12h), channel fill(0)"),
    ],
)
def test_series_of_several_groups_or_measurements_are_those_of_influxdb(
    ask: Ask, series: Influx, sources: str, groups: str
) -> None:
    text = f"SELECT sum(count) FROM {sources} WHERE {BEGUN} GROUP BY {groups}"
    own = text.replace(" WHERE", " WHERE tenant = 'acme' AND")
    direct = series.post("/query", db="meterline", q=own, epoch="ms")
    assert orjson.loads(direct.body) == orjson.loads(ask(text).data)


def test_a_series_that_comes_in_parts_is_one_series(ask: Ask, series: Influx) -> None:
    # InfluxDB sends 10,000 points at a time.
    text = SUM.split(" WHERE", maxsplit=1)[0] + f" WHERE {BEGUN} GROUP BY time(240s) fill(0)"
    direct = series.post(
        "/query", db="meterline", epoch="ms", q=text.replace("WHERE", "WHERE tenant = 'acme' AND")
    )
    answer = ask(text)
    (expected,) = orjson.loads(direct.body)["results"][0]["series"]
    assert (10_800, expected["values"]) == (len(values_of(answer)), values_of(answer))


def test_several_statements_have_an_answer_each(ask: Ask) -> None:
    document = orjson.loads(ask(f"{SUM}; SHOW DATABASES; SHOW TAG VALUES WITH KEY = plan").data)
    found = [(each["statement_id"], each["series"][0]["name"]) for each in document["results"]]
    assert [(0, "usage_tenant_day"), (1, "databases"), (2, "usage_cost")] == found


def test_an_answer_without_points_is_a_result_without_series(ask: Ask) -> None:
    answer = ask(f"{SUM} AND plan = 'Elite'")
    assert {"results": [{"statement_id": 0}]} == orjson.loads(answer.data)


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_the_lists_of_names_are_what_influxdb_has(ask: Ask, series: Influx, name: str) -> None:
    for subject in ("TAG KEYS", "FIELD KEYS"):
        text = f"SHOW {subject} FROM {name}"
        direct = series.post("/query", db="meterline", q=text)
        assert orjson.loads(direct.body) == orjson.loads(ask(text).data)


def test_the_lists_of_measurements_and_policies_are_what_influxdb_has(
    ask: Ask, series: Influx
) -> None:
    for text in ("SHOW MEASUREMENTS", "SHOW RETENTION POLICIES ON meterline"):
        direct = series.post("/query", db="meterline", q=text)
        assert orjson.loads(direct.body) == orjson.loads(ask(text).data)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("SHOW measurements", ["usage", "usage_cost", "usage_tenant_day"]),
        ("SHOW MEASUREMENTS WITH MEASUREMENT =~ /(?i)CoSt/ LIMIT 100", ["usage_cost"]),
        ("SHOW MEASUREMENTS WHERE channel = 'sms' LIMIT 1 OFFSET 1", ["usage_cost"]),
        ("SHOW MEASUREMENTS WITH MEASUREMENT = usage_tenant_day", ["usage_tenant_day"]),
        ("SHOW MEASUREMENTS WITH MEASUREMENT = usage", ["usage"]),
        ("SHOW MEASUREMENTS WITH MEASUREMENT = nothing", []),
        ("SHOW TAG KEYS ON meterline FROM usage_tenant_day LIMIT 1", ["plan"]),
        ("SHOW TAG KEYS FROM usage WHERE channel = 'sms' LIMIT 1 OFFSET 2", ["feature"]),
        ("SHOW FIELD KEYS ON meterline FROM usage_tenant_day LIMIT 1 OFFSET 4", ["string"]),
        ("SHOW DATABASES", ["meterline"]),
        ("SHOW TAG VALUES FROM usage_tenant_day WITH KEY = tenant", ["acme"]),
        ("SHOW TAG VALUES WITH KEY = feature WHERE channel = 'sms' LIMIT 1", ["broadcast"]),
    ],
)
def test_a_list_of_names_has_what_was_asked_for(ask: Ask, text: str, names: list[str]) -> None:
    assert names == [row[-1] for row in values_of(ask(text))]


# Who may ask.


def forms_of(secret: str) -> list[str]:
    basic = base64.b64encode(f"grafana:{secret}".encode()).decode()
    return [f"Token {secret}", f"Bearer {secret}", f"Basic {basic}", f"token {secret}"]


@pytest.mark.parametrize("form", range(4))
def test_a_secret_comes_in_each_form_that_grafana_has(
    client: FlaskClient, engine: sa.Engine, form: int
) -> None:
    secret = make_key(engine, Scope.SERIES, tenant=ACME)
    headers = {"Authorization": forms_of(secret)[form]}
    response = client.get(PATH, query_string={"q": SUM}, headers=headers)
    assert ACMES_SUM == values_of(response)[0][1]


@pytest.mark.parametrize("form", [0, 2])
def test_only_the_gateway_takes_the_forms_of_influxdb(
    client: FlaskClient, engine: sa.Engine, form: int
) -> None:
    headers = {"Authorization": forms_of(make_key(engine, Scope.READ, tenant=ACME))[form]}
    assert 401 == client.get("/api/billing/usage/summary", headers=headers).status_code


@pytest.mark.parametrize(
    "authorization",
    ["", "Token", "Token ", "Token mtl_wrong", "Bearer mtl_wrong", "Basic ???", "Digest x=y",
     "Basic bXRsX3dyb25nOg==", "Token Bearer"],
)  # fmt: skip
def test_without_a_secret_that_holds_nobody_is_told_anything(
    client: FlaskClient, authorization: str
) -> None:
    headers = {"Authorization": authorization}
    status, message = error_of(client.get(PATH, query_string={"q": SUM}, headers=headers))
    assert (401, False) == (status, "mtl_wrong" in message)


def test_a_secret_in_the_address_is_none(client: FlaskClient, engine: sa.Engine) -> None:
    secret = make_key(engine, Scope.SERIES, tenant=ACME)
    query = {"q": SUM, "u": "grafana", "p": secret}
    assert 401 == error_of(client.get(PATH, query_string=query))[0]


@pytest.mark.parametrize("scope", [Scope.READ, Scope.INGEST, Scope.TENANTS])
def test_a_key_of_another_scope_is_refused(
    client: FlaskClient, engine: sa.Engine, scope: Scope
) -> None:
    headers = {"Authorization": f"Token {make_key(engine, scope, tenant=ACME)}"}
    assert 403 == error_of(client.get(PATH, query_string={"q": SUM}, headers=headers))[0]


def test_a_token_of_the_host_is_refused(services: Services, series: Influx) -> None:
    settings = host_settings(influx_url=series.url)
    client = create_app(replace(services, settings=settings)).test_client()
    for form in ("Bearer", "Token"):
        headers = {"Authorization": f"{form} {sign(claims())}"}
        assert 403 == error_of(client.get(PATH, query_string={"q": SUM}, headers=headers))[0]


def test_a_signed_in_browser_is_refused(client: FlaskClient, engine: sa.Engine) -> None:
    client.set_cookie(COOKIE, make_sign_in(engine, Role.ROOT_ADMIN), domain="localhost")
    assert 401 == error_of(client.get(PATH, query_string={"q": SUM}))[0]


# What is wrong with a request.


@pytest.mark.parametrize(
    "parameters",
    [
        {}, {"q": ""}, {"q": SUM, "db": "other"}, {"q": SUM, "rp": "autogen"},
        {"q": SUM, "epoch": "d"}, {"q": SUM, "params": "{}"}, {"q": SUM, "tenant": "karachi"},
        {"q": SUM, "chunk_size": "1"}, {"q": [SUM, SUM]}, {"q": SUM, "db": ["meterline", "x"]},
        {"q": "DROP DATABASE meterline"}, {"q": "SHOW DATABASES ON x"},
        {"q": "SHOW TAG KEYS FROM elsewhere"},
        {"q": SUM, **{f"x{number}": "" for number in range(30)}},
    ],
)  # fmt: skip
def test_a_request_that_is_not_taken_is_told_so(
    client: FlaskClient, engine: sa.Engine, parameters: dict[str, Any]
) -> None:
    response = client.get(PATH, query_string=parameters, headers=token(engine))
    assert 400 == error_of(response)[0]


@pytest.mark.parametrize(
    "text", ["SHOW MEASUREMENTS ON elsewhere", "SHOW TAG VALUES ON elsewhere WITH KEY = plan"]
)
def test_no_list_is_that_of_another_database(ask: Ask, text: str) -> None:
    assert (400, "there is no such database; there is meterline") == error_of(ask(text))


@pytest.mark.parametrize(
    "parameters", [{"rp": ""}, {"chunked": "true"}, {"pretty": "true"}, {"db": "", "epoch": "ms"}]
)
def test_what_clients_of_influxdb_add_changes_no_figure(
    client: FlaskClient, engine: sa.Engine, parameters: dict[str, str]
) -> None:
    query = {"q": SUM, **parameters}
    response = client.get(PATH, query_string=query, headers=token(engine))
    assert ACMES_SUM == values_of(response)[0][1]


@pytest.mark.parametrize(
    ("query", "body", "media_type"),
    [
        ({}, urlencode({"q": SUM}), f"{FORM}; charset=utf-8"),
        ({"q": SUM}, "", FORM),
        ({"q": SUM}, "", None),
    ],
)
def test_a_post_may_name_a_charset_or_have_no_body(
    client: FlaskClient,
    engine: sa.Engine,
    query: dict[str, str],
    body: str,
    media_type: str | None,
) -> None:
    response = client.post(
        PATH, query_string=query, data=body, content_type=media_type, headers=token(engine)
    )
    assert ACMES_SUM == values_of(response)[0][1]


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"q=%ff", FORM, 400),
        (urlencode({"q": SUM}).encode(), "text/plain", 415),
        (orjson.dumps({"q": SUM}), "application/json", 415),
        (b"q=" + b"x" * 300_000, FORM, 413),
    ],
)
def test_a_body_that_is_not_taken_is_told_so(
    client: FlaskClient, engine: sa.Engine, body: bytes, media_type: str, status: int
) -> None:
    headers = {**token(engine), "Content-Type": media_type}
    assert status == error_of(client.post(PATH, data=body, headers=headers))[0]


def test_a_query_in_address_and_form_is_refused(client: FlaskClient, engine: sa.Engine) -> None:
    response = client.post(PATH, query_string={"q": SUM}, data={"q": SUM}, headers=token(engine))
    assert 400 == error_of(response)[0]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/grafana/influx/ping", 404),
        ("POST", "/grafana/influx/write", 404),
        ("GET", "/grafana/influx/", 404),
        ("DELETE", PATH, 405),
        ("PUT", PATH, 405),
    ],
)
def test_what_is_not_there_is_told_in_the_shape_of_influxdb(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    assert status == error_of(client.open(path, method=method))[0]


def test_what_influxdb_refuses_is_told_in_its_words(ask: Ask) -> None:
    status, message = error_of(ask(f"SELECT cost, sum(cost) FROM usage_cost WHERE {BEGUN}"))
    assert (400, True) == (status, "mixing aggregate and non-aggregate" in message)


def test_no_statement_runs_before_all_are_read(
    faulty_client: FlaskClient, faults: FaultProxy, engine: sa.Engine
) -> None:
    query = {"q": f"{SUM}; SELECT nothing FROM usage"}
    assert 400 == error_of(faulty_client.get(PATH, query_string=query, headers=token(engine)))[0]
    assert [] == faults.passed


# What is wrong with InfluxDB.


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(401, b'{"error":"unauthorized reads-and-writes"}'), 502),
        (Reply(403, b"{}"), 502),
        (Reply(404, b'{"error":"database not found: meterline"}'), 502),
        (Reply(404, b"<html>"), 502),
        (Reply(200, b"<html>"), 502),
        (Reply(200, b"[]"), 502),
        (Reply(200, b'{"results":null}'), 502),
        (Reply(200, b""), 502),
        (Reply(200, b'{"results":[{"error":"panic: goroutine 5"}]}'), 502),
        (Reply(500, b'{"error":"oh"}'), 503),
        (Reply(503, b""), 503),
        (Reply(200, b"{}", delay=2), 503),
        (Reply(400, b'{"error":"error parsing query"}'), 400),
    ],
)
def test_an_influxdb_that_does_not_answer_is_told_and_no_secret_with_it(
    faulty_client: FlaskClient, faults: FaultProxy, engine: sa.Engine, reply: Reply, status: int
) -> None:
    faults.rule = lambda _request: reply
    response = faulty_client.get(PATH, query_string={"q": SUM}, headers=token(engine))
    found, message = error_of(response)
    assert (status, False) == (found, "reads-and-writes" in message)


def test_an_influxdb_that_is_down_is_told(services: Services, engine: sa.Engine) -> None:
    settings = Settings(influx_url=f"http://127.0.0.1:{free_port()}")
    client = create_app(replace(services, settings=settings)).test_client()
    response = client.get(PATH, query_string={"q": SUM}, headers=token(engine))
    assert 503 == error_of(response)[0]


def test_without_an_influxdb_there_are_no_series(services: Services, engine: sa.Engine) -> None:
    client = create_app(services).test_client()
    status, message = error_of(client.get(PATH, query_string={"q": SUM}, headers=token(engine)))
    assert (503, True) == (status, "METERLINE_INFLUX_URL" in message)


def test_the_gateway_reads_with_the_token_that_only_reads(
    services: Services, faults: FaultProxy, engine: sa.Engine
) -> None:
    settings = Settings(
        influx_url=faults.url,
        influx_token=SecretStr("writes-too"),
        influx_read_token=SecretStr("only-reads"),
    )
    client = create_app(replace(services, settings=settings)).test_client()
    client.get(PATH, query_string={"q": SUM}, headers=token(engine))
    assert "Token only-reads" == faults.passed[0].headers["Authorization"]


def test_an_answer_that_is_too_large_is_given_up_and_its_query_ends(
    ask: Ask, series: Influx
) -> None:
    columns = ", ".join(f"{name}(cost)" for name in ("mean", "sum", "max", "min") * 3)
    groups = "time(240s), channel, feature fill(123456.789)"
    text = f"SELECT {columns} FROM usage_cost WHERE {BEGUN} GROUP BY {groups}"
    status, message = error_of(ask(text))
    assert (400, True) == (status, "bytes" in message)
    wait_until(lambda: 1 == len(series.query("SHOW QUERIES")[0]["values"]), "no query goes on")


def test_raw_points_can_be_in_a_bucket_of_their_own(
    services: Services, faults: FaultProxy, engine: sa.Engine
) -> None:
    settings = Settings(influx_url=faults.url, influx_usage_bucket="raw")
    client = create_app(replace(services, settings=settings)).test_client()
    faults.rule = lambda request: Reply(200, b'{"results":[{}]}') if asked(request) else None
    places: list[str] = []

    def asked(request: Any) -> bool:
        places.append(request.path.split("db=")[1].split("&")[0])
        return True

    query = f"{SUM}; SELECT sum(quantity) FROM usage WHERE {BEGUN}"
    client.get(PATH, query_string={"q": query}, headers=token(engine))
    assert ["meterline", "raw"] == places
    mixed = f"SELECT count FROM usage, usage_cost WHERE {BEGUN}"
    response = client.get(PATH, query_string={"q": mixed}, headers=token(engine))
    assert 400 == error_of(response)[0]


def test_over_a_real_connection_the_answer_is_the_same(
    collector: Collector, engine: sa.Engine
) -> None:
    host, port = collector.url.removeprefix("http://").split(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=10)) as connection:
        headers = {**token(engine), "Content-Type": FORM}
        connection.request("POST", f"{PATH}?db=meterline&epoch=s", urlencode({"q": SUM}), headers)
        response = connection.getresponse()
        assert (200, "application/json") == (response.status, response.headers["Content-Type"])
        document = orjson.loads(response.read())
    assert [[1769904000, ACMES_SUM]] == document["results"][0]["series"][0]["values"]
