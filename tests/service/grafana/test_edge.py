"""The nginx.conf that we ship, in a real nginx: who gets through to Grafana, and as whom."""

import http.client
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from api.embedding.assertion import LIFETIME
from api.embedding.keys import rotate_keys
from grafana.provisioning.names import OPERATOR_LOGIN, login_of
from ledger.accounts.roles import Role
from ledger.clock import system_clock
from ledger.engine import create_ledger_engine
from ledger.keys import Scope
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant
from tests.access import bearer, make_key, make_sign_in
from tests.edge import SHIPPED, ask, read_assertion
from tests.processes import Launcher, Server
from tests.servers.nginx import Edge
from tests.standins.grafana_api import ADMIN, PASSWORD, GrafanaStandIn
from tests.standins.server import Answer, StandIn

PANEL = "/grafana/d-solo/meterline-tenant-usage?panelId=1"

FORGED = {
    "X-JWT-Assertion": "forged",
    "Authorization": "Basic YWRtaW46YWRtaW4=",
    "X-Grafana-Org-Id": "1",
    "X-WEBAUTH-USER": "admin",
    "X-DS-Authorization": "Bearer forged",
    "X-Forwarded-For": "10.0.0.1",
    "X-Forwarded-Host": "elsewhere.example",
    "X-Real-IP": "10.0.0.1",
    "FromAlert": "true",
    "Cookie": "grafana_session=forged",
}
PASSED_ON = {
    "x-jwt-assertion",
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "accept",
    "accept-language",
    "content-type",
    "content-length",
    "if-modified-since",
    "if-none-match",
    "user-agent",
}


class Site(NamedTuple):
    """nginx, with Meterline and Grafana's stand-in behind it."""

    nginx: Edge
    grafana: GrafanaStandIn
    engine: sa.Engine
    keys: Path

    def sign_in(
        self, role: Role, tenant: str | None = None, *, ago: timedelta | None = None
    ) -> str:
        now = system_clock() - (ago or timedelta())
        return make_sign_in(self.engine, role, tenant, now=now)

    def assertion(self, session: str) -> str:
        """Return the token with which a look at a panel reached Grafana."""
        self.grafana.looked.clear()
        assert 200 == ask(self.nginx, PANEL, session=session).status
        return self.grafana.looked[0].headers["x-jwt-assertion"]


@pytest.fixture(scope="module")
def site(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("edge")
    database = f"sqlite:///{shutil.copy(template, folder / 'ledger.db')}"
    with ExitStack() as stack:
        grafana = stack.enter_context(closing(GrafanaStandIn()))
        engine = create_ledger_engine(database)
        stack.callback(engine.dispose)
        with operator_session(engine, write=True) as session:
            for name in ("acme", "karachi"):
                add_tenant(session, TenantId(name), name=name.title(), now=system_clock())
        keys = folder / "keys"
        rotate_keys(keys)
        launcher = Launcher(
            folder / "processes",
            database,
            METERLINE_INFLUX_URL="http://127.0.0.1:9",
            METERLINE_GRAFANA_URL=grafana.url,
            METERLINE_GRAFANA_USER=ADMIN,
            METERLINE_GRAFANA_PASSWORD=PASSWORD,
            METERLINE_GRAFANA_KEYS=str(keys),
            METERLINE_GRAFANA_GATEWAY_URL="http://127.0.0.1:8000/grafana/influx",
            METERLINE_TRUSTED_PROXIES="1",
        )
        stack.callback(launcher.close)
        server = Server(launcher, "--no-work", "--workers", "1")
        port = urlsplit(grafana.url).port or 0
        nginx = Edge(
            folder / "nginx", meterline=server.port, grafana=port, shipped=SHIPPED.read_text()
        )
        stack.callback(nginx.close)
        yield Site(nginx, grafana, engine, keys)


@pytest.mark.parametrize("tenant", ["acme", "karachi"])
def test_people_of_a_tenant_come_to_grafana_as_its_viewer(site: Site, tenant: str) -> None:
    token = site.assertion(site.sign_in(Role.TENANT_ADMIN, tenant))
    claims = read_assertion(token, site.keys)
    assert (login_of(TenantId(tenant)), LIFETIME.total_seconds()) == (
        claims["sub"],
        claims["exp"] - claims["iat"],
    )


@pytest.mark.parametrize("role", [Role.ROOT_ADMIN, Role.OPS])
def test_operators_come_as_the_viewer_of_the_main_organisation(site: Site, role: Role) -> None:
    claims = read_assertion(site.assertion(site.sign_in(role)), site.keys)
    assert OPERATOR_LOGIN == claims["sub"]


def test_a_token_says_nothing_of_roles_and_organisations(site: Site) -> None:
    token = site.assertion(site.sign_in(Role.TENANT_ADMIN, "acme"))
    assert {"iss", "aud", "sub", "iat", "exp"} == set(read_assertion(token, site.keys))


def test_tokens_of_before_and_after_a_rotation_hold_by_the_keys_that_grafana_read(
    site: Site, tmp_path: Path
) -> None:
    # What Grafana read when it started, and goes by while keys are rotated.
    read = shutil.copytree(site.keys, tmp_path / "read")
    session = site.sign_in(Role.TENANT_ADMIN, "acme")
    before = site.assertion(session)
    rotate_keys(site.keys)
    after = site.assertion(session)
    subjects = [read_assertion(token, read)["sub"] for token in (before, after)]
    assert [login_of(TenantId("acme"))] * 2 == subjects
    assert login_of(TenantId("acme")) == read_assertion(before, site.keys)["sub"]


@pytest.mark.parametrize("path", [PANEL, "/grafana/", "/grafana/api/ds/query", "/grafana/public/x"])
def test_without_a_session_nobody_gets_through(site: Site, path: str) -> None:
    site.grafana.looked.clear()
    key = make_key(site.engine, Scope.SERIES, tenant="acme")
    ended = site.sign_in(Role.TENANT_ADMIN, "acme", ago=timedelta(days=400))
    told = [
        ask(site.nginx, path).status,
        ask(site.nginx, path, session="invented").status,
        ask(site.nginx, path, session=ended).status,
        ask(site.nginx, path, headers=bearer(key)).status,
        ask(site.nginx, path, headers=FORGED).status,
    ]
    assert ([401] * 5, []) == (told, site.grafana.looked)


def test_a_member_who_sees_no_bills_is_refused(site: Site) -> None:
    site.grafana.looked.clear()
    session = site.sign_in(Role.TENANT_MEMBER, "acme")
    assert (403, []) == (ask(site.nginx, PANEL, session=session).status, site.grafana.looked)


def test_who_signs_out_is_out_at_once(site: Site) -> None:
    session = site.sign_in(Role.TENANT_ADMIN, "acme")
    site.assertion(session)
    with operator_session(site.engine, write=True) as writing:
        writing.connection.execute(sa.text("DELETE FROM sign_ins"))
    assert 401 == ask(site.nginx, PANEL, session=session).status


def test_what_a_client_sent_does_not_reach_grafana(site: Site) -> None:
    session = site.sign_in(Role.TENANT_ADMIN, "acme")
    site.grafana.looked.clear()
    assert 200 == ask(site.nginx, PANEL, session=session, headers=FORGED).status
    (looked,) = site.grafana.looked
    claims = read_assertion(looked.headers["x-jwt-assertion"], site.keys)
    assert (set(), "127.0.0.1", "meter.example", login_of(TenantId("acme"))) == (
        set(looked.headers) - PASSED_ON,
        looked.headers["x-forwarded-for"],
        looked.headers["x-forwarded-host"],
        claims["sub"],
    )


def test_a_query_goes_through_with_its_body(site: Site) -> None:
    session = site.sign_in(Role.TENANT_ADMIN, "acme")
    site.grafana.looked.clear()
    body = b'{"queries": [' + b" " * 200_000 + b"]}"
    kind = {"Content-Type": "application/json"}
    for path in ("/grafana/api/ds/query?ds_type=influxdb", "/grafana/apis/query.grafana.app/v0/x"):
        told = ask(site.nginx, path, session=session, method="POST", body=body, headers=kind)
        assert 200 == told.status
    assert [(body, "application/json")] * 2 == [
        (looked.body, looked.headers["content-type"]) for looked in site.grafana.looked
    ]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/grafana/api/user/password", 403),
        ("POST", "/grafana/api/user/using/1", 403),
        ("PATCH", "/grafana/api/user/preferences", 403),
        ("DELETE", "/grafana/api/dashboards/uid/x", 403),
        ("PUT", "/grafana/api/ds/query", 403),
        ("POST", "/grafana/api/ds/query/more", 403),
        ("GET", "/grafana/api/live/ws", 404),
        ("GET", "/grafana/metrics", 404),
        ("GET", "/grafana/auth", 404),
    ],
)
def test_what_would_change_the_viewer_or_outlast_a_session_is_refused(
    site: Site, method: str, path: str, status: int
) -> None:
    session = site.sign_in(Role.TENANT_ADMIN, "acme")
    site.grafana.looked.clear()
    told = ask(site.nginx, path, session=session, method=method).status
    assert (status, []) == (told, site.grafana.looked)


@pytest.mark.parametrize(
    "path",
    [
        "/grafana/influx/../d/x",
        "/grafana/influx/%2e%2e/d/x",
        "/grafana/influx/..%2fd/x",
        "//grafana/d/x",
        "/grafana//d/x",
        "/usage/../grafana/d/x",
        "/%67rafana/d/x",
    ],
)
def test_no_spelling_of_an_address_goes_around_the_question(site: Site, path: str) -> None:
    site.grafana.looked.clear()
    assert (401, []) == (ask(site.nginx, path).status, site.grafana.looked)


def test_grafana_leaves_no_cookie_and_is_framed_by_our_pages_alone(site: Site) -> None:
    headers = ask(site.nginx, PANEL, session=site.sign_in(Role.OPS)).headers
    assert ("frame-ancestors 'self'", "nosniff", False, False) == (
        headers["content-security-policy"],
        headers["x-content-type-options"],
        "set-cookie" in headers,
        "x-frame-options" in headers,
    )


def test_pages_and_the_ways_of_programs_lead_to_meterline(site: Site) -> None:
    told = {
        path: ask(site.nginx, path).status
        for path in ("/healthz", "/signin", "/usage", "/api/openapi.json")
    }
    assert {"/healthz": 200, "/signin": 200, "/usage": 303, "/api/openapi.json": 200} == told


def test_a_grafana_that_is_down_is_a_bad_gateway(tmp_path: Path) -> None:
    # The port of the discard service, on which nobody listens here.
    folder = tmp_path / "nginx"
    with closing(StandIn(lambda _asked: Answer(status=204))) as meterline:
        port = urlsplit(meterline.url).port or 0
        with closing(Edge(folder, meterline=port, grafana=9, shipped=SHIPPED.read_text())) as nginx:
            assert 502 == ask(nginx, PANEL).status


def test_the_question_who_looks_carries_the_cookie_and_nothing_else_of_the_request(
    tmp_path: Path,
) -> None:
    with (
        closing(StandIn(lambda _asked: Answer(status=204))) as meterline,
        closing(GrafanaStandIn()) as grafana,
        closing(
            Edge(
                tmp_path / "nginx",
                meterline=urlsplit(meterline.url).port or 0,
                grafana=urlsplit(grafana.url).port or 0,
                shipped=SHIPPED.read_text(),
            )
        ) as nginx,
    ):
        path = "/grafana/api/ds/query"
        ask(nginx, path, session="s", method="POST", body=b"q" * 1000, headers=FORGED)
        gateway = "/grafana/influx/query"
        ask(nginx, gateway, method="POST", body=b"q=1", headers={"Authorization": "Token t"})
        question, query = meterline.asked
    assert (
        "/grafana/auth",
        b"",
        {"cookie", "host", "x-forwarded-for", "x-forwarded-proto"},
        "127.0.0.1",
    ) == (
        question.path,
        question.body,
        set(question.headers),
        question.headers["x-forwarded-for"],
    )
    assert (gateway, b"q=1", "Token t") == (query.path, query.body, query.headers["authorization"])


def test_over_plain_http_everybody_is_sent_to_tls(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.nginx.plain_port, timeout=10)
    connection.request("GET", "/usage?range=90d", headers={"Host": "elsewhere.example"})
    response = connection.getresponse()
    connection.close()
    assert (308, "https://meter.example/usage?range=90d") == (
        response.status,
        response.headers["Location"],
    )
