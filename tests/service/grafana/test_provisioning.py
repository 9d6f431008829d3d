"""What provisioning makes of a Grafana, whatever state that is in."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa

from grafana.provisioning.job import LEASE, Provisioner
from grafana.provisioning.names import OPERATOR_LOGIN, login_of
from grafana.provisioning.target import Target
from ledger.errors import ConflictError, MeterlineError, UnavailableError
from ledger.keys import Scope, list_keys, look_up_key
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant, change_tenant
from tests.builders import NOW
from tests.servers.faults import Drip
from tests.service.grafana.conftest import Moving, render, tenant_of
from tests.standins.grafana_api import MAIN_ORG, Fault, GrafanaStandIn, told
from tests.standins.server import Answer, Asked

pytestmark = pytest.mark.ledger("sqlite")

ACME, KARACHI = TenantId("acme"), TenantId("karachi")
SOURCE, BOARD = "meterline-series", "meterline-tenant-usage"


def secret_of(grafana: GrafanaStandIn, tenant: TenantId) -> str:
    """Return what the data source of a tenant sends to the gateway."""
    org = grafana.org_of(login_of(tenant))
    secret: str = grafana.sources[org, SOURCE]["secrets"]["httpHeaderValue1"]
    return secret.removeprefix("Token ")


def live_keys(engine: sa.Engine, tenant: TenantId = ACME) -> int:
    with operator_session(engine) as session:
        found = list_keys(session)
    return sum(key.revoked_at is None and key.tenant_id == tenant for key in found)


@pytest.mark.ledger("sqlite", "postgresql")
def test_a_tenant_gets_an_organisation_a_viewer_a_data_source_a_folder_and_its_board(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    job.provision(tenant_of(engine, "karachi"))
    org = grafana.org_of(login_of(KARACHI))
    source, board = grafana.sources[org, SOURCE], grafana.boards[org, BOARD]
    assert {
        "org": "K (karachi)",
        "role": "Viewer",
        "url": "http://127.0.0.1:8000/grafana/influx",
        "header": "Authorization",
        "zone": "Asia/Karachi",
        "folder": "Meterline",
    } == {
        "org": grafana.orgs[org],
        "role": grafana.roles[org, grafana.user(login_of(KARACHI))["id"]],
        "url": source["url"],
        "header": source["jsonData"]["httpHeaderName1"],
        "zone": board["dashboard"]["timezone"],
        "folder": grafana.folders[org, board["meta"]["folderUid"]]["title"],
    }


def test_a_second_time_nothing_is_written(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    job.provision(tenant_of(engine, "acme"))
    job.provision_operators()
    before = len(grafana.writes)
    assert ([], []) == (job.provision(tenant_of(engine, "acme")), job.provision_operators())
    assert [] == grafana.writes[before:]


def test_the_secret_of_a_data_source_is_a_key_that_reads_the_series_of_its_tenant_alone(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    for name in ("acme", "karachi"):
        job.provision(tenant_of(engine, name))
    keys = [look_up_key(engine, secret_of(grafana, tenant)) for tenant in (ACME, KARACHI)]
    assert [(ACME, [Scope.SERIES]), (KARACHI, [Scope.SERIES])] == [
        (key.tenant_id, list(key.scopes)) for key in keys if key is not None
    ]


def test_the_secret_is_in_grafana_alone(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    job.provision(tenant_of(engine, "acme"))
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        dump = "\n".join(raw.iterdump())
    assert ["grafana_orgs" in dump, secret_of(grafana, ACME) in dump] == [True, False]


def test_the_viewer_of_operators_is_in_the_main_organisation_alone(
    job: Provisioner, grafana: GrafanaStandIn
) -> None:
    job.provision_operators()
    assert (MAIN_ORG, "Viewer") == (
        grafana.org_of(OPERATOR_LOGIN),
        grafana.roles[MAIN_ORG, grafana.user(OPERATOR_LOGIN)["id"]],
    )


def test_tenants_whose_ids_differ_in_capitals_alone_have_viewers_and_organisations_of_their_own(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    with operator_session(engine, write=True) as session:
        add_tenant(session, TenantId("Acme"), name="Acme", now=NOW)
    for name in ("acme", "Acme"):
        job.provision(tenant_of(engine, name))
    assert grafana.org_of(login_of(ACME)) != grafana.org_of(login_of(TenantId("Acme")))


def test_two_tenants_may_be_called_the_same(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    with operator_session(engine, write=True) as session:
        change_tenant(session, KARACHI, name="Acme", now=NOW)
    for name in ("acme", "karachi"):
        job.provision(tenant_of(engine, name))
    assert ["Main Org.", "Acme (acme)", "Acme (karachi)"] == list(grafana.orgs.values())


def test_a_new_name_and_a_new_zone_reach_grafana(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    job.provision(tenant_of(engine, "acme"))
    org, key = grafana.org_of(login_of(ACME)), secret_of(grafana, ACME)
    with operator_session(engine, write=True) as session:
        change_tenant(session, ACME, name="Apex", timezone="Europe/Paris", now=NOW)
    tenant = tenant_of(engine, "acme")
    assert not job.is_current(tenant)
    job.provision(tenant)
    assert ("Apex (acme)", "Apex", "Europe/Paris", org, key, True) == (
        grafana.orgs[org],
        grafana.user(login_of(ACME))["name"],
        grafana.boards[org, BOARD]["dashboard"]["timezone"],
        grafana.org_of(login_of(ACME)),
        secret_of(grafana, ACME),
        job.is_current(tenant),
    )


def _edit_query(grafana: GrafanaStandIn, org: int) -> None:
    board = grafana.boards[org, BOARD]["dashboard"]
    board["panels"][0]["targets"][0]["query"] = "SELECT 1"
    board["version"] += 1


def _add_panel(grafana: GrafanaStandIn, org: int) -> None:
    grafana.boards[org, BOARD]["dashboard"]["panels"].append({"id": 99})


def _move_board(grafana: GrafanaStandIn, org: int) -> None:
    grafana.boards[org, BOARD]["meta"]["folderUid"] = ""


def _lead_elsewhere(grafana: GrafanaStandIn, org: int) -> None:
    grafana.sources[org, SOURCE]["url"] = "http://elsewhere.example"


def _lose_secret(grafana: GrafanaStandIn, org: int) -> None:
    grafana.sources[org, SOURCE]["secureJsonFields"] = {}


def _drop_source(grafana: GrafanaStandIn, org: int) -> None:
    del grafana.sources[org, SOURCE]


def _drop_viewer(grafana: GrafanaStandIn, org: int) -> None:
    number = grafana.user(login_of(ACME))["id"]
    del grafana.users[number], grafana.roles[org, number]


def _raise_viewer(grafana: GrafanaStandIn, org: int) -> None:
    grafana.roles[org, grafana.user(login_of(ACME))["id"]] = "Admin"


def _raise_over_the_server(grafana: GrafanaStandIn, org: int) -> None:
    del org
    grafana.user(login_of(ACME))["isGrafanaAdmin"] = True


def _add_to_main(grafana: GrafanaStandIn, org: int) -> None:
    del org
    user = grafana.user(login_of(ACME))
    grafana.roles[MAIN_ORG, user["id"]], user["orgId"] = "Viewer", MAIN_ORG


def _lose_admin(grafana: GrafanaStandIn, org: int) -> None:
    del grafana.roles[org, 1]


def _rename_folder(grafana: GrafanaStandIn, org: int) -> None:
    grafana.folders[org, "meterline"]["title"] = "Old"


@pytest.mark.parametrize(
    ("spoil", "changes"),
    [
        (_edit_query, ["updated the board Usage and cost"]),
        (_add_panel, ["updated the board Usage and cost"]),
        (_move_board, ["updated the board Usage and cost"]),
        (_lead_elsewhere, ["changed the data source"]),
        (_lose_secret, ["changed the data source"]),
        (_drop_source, ["made the data source"]),
        (_drop_viewer, ["made the viewer"]),
        (_raise_viewer, ["made the viewer a viewer"]),
        (_raise_over_the_server, ["took the viewer's rights over the server"]),
        (
            _add_to_main,
            [
                "took the viewer out of another organisation",
                "put the viewer into its organisation",
            ],
        ),
        (_lose_admin, ["became admin of the organisation"]),
        (_rename_folder, ["renamed the folder"]),
    ],
)
def test_what_somebody_changed_in_grafana_is_put_right(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine, spoil: Any, changes: list[str]
) -> None:
    tenant = tenant_of(engine, "acme")
    job.provision(tenant)
    spoil(grafana, grafana.org_of(login_of(ACME)))
    assert changes == job.provision(tenant)
    assert [] == job.provision(tenant)
    assert look_up_key(engine, secret_of(grafana, ACME)) is not None


def test_what_grafana_adds_to_a_board_of_its_own_accord_is_no_change(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    job.provision(tenant_of(engine, "acme"))
    board = grafana.boards[grafana.org_of(login_of(ACME)), BOARD]["dashboard"]
    board["liveNow"] = False
    board["panels"][0]["pluginVersion"] = "12.0.0"
    assert [] == job.provision(tenant_of(engine, "acme"))


def test_a_grafana_that_was_set_up_anew_is_provisioned_anew(
    job: Provisioner, engine: sa.Engine, target: Target, clock: Moving
) -> None:
    for name in ("acme", "karachi"):
        job.provision(tenant_of(engine, name))
    anew = GrafanaStandIn()
    try:
        after = Provisioner(engine, replace(target, url=anew.url), render=render, clock=clock)
        # The number of the one's organisation is that of the other's now.
        for name in ("karachi", "acme"):
            assert not after.is_current(tenant_of(engine, name))
            after.provision(tenant_of(engine, name))
        orgs = [anew.orgs[anew.org_of(login_of(tenant))] for tenant in (ACME, KARACHI)]
    finally:
        anew.close()
    assert ["Acme (acme)", "K (karachi)"] == orgs
    assert [1, 1] == [live_keys(engine, tenant) for tenant in (ACME, KARACHI)]


def test_another_secret_is_given_on_demand_and_the_old_one_is_worth_nothing(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    job.provision(tenant_of(engine, "acme"))
    old = secret_of(grafana, ACME)
    assert ["changed the data source"] == job.rotate(tenant_of(engine, "acme"))
    assert (None, ACME, 1) == (
        look_up_key(engine, old),
        getattr(look_up_key(engine, secret_of(grafana, ACME)), "tenant_id", None),
        live_keys(engine),
    )


@pytest.mark.ledger("sqlite", "postgresql")
def test_a_removed_tenant_leaves_nothing_in_grafana_and_no_key(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    for name in ("acme", "karachi"):
        job.provision(tenant_of(engine, name))
    secret = secret_of(grafana, ACME)
    removed = ["removed the organisation", "removed the viewer", "revoked the key"]
    assert removed == job.remove(ACME)
    assert (["Main Org.", "K (karachi)"], 3 - 1, None) == (
        list(grafana.orgs.values()),
        len(grafana.users),
        look_up_key(engine, secret),
    )
    assert [] == job.remove(ACME)


def test_removing_never_takes_another_organisation_that_has_the_number_now(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    job.provision(tenant_of(engine, "acme"))
    grafana.orgs[grafana.org_of(login_of(ACME))] = "Somebody else"
    assert "removed the organisation" not in job.remove(ACME)
    assert "Somebody else" in grafana.orgs.values()


FAILING = [
    ("GET", "/orgs/name/"),
    ("POST", "/orgs$"),
    ("POST", "/admin/users$"),
    ("GET", "/users/lookup"),
    ("POST", "/datasources$"),
    ("POST", "/folders$"),
    ("POST", "/dashboards/db$"),
]


@pytest.mark.parametrize(("method", "path"), FAILING)
@pytest.mark.parametrize("is_done", [False, True])
def test_a_call_that_fails_is_made_good_by_the_next_time_whether_it_took_effect_or_not(
    job: Provisioner,
    grafana: GrafanaStandIn,
    engine: sa.Engine,
    method: str,
    path: str,
    *,
    is_done: bool,
) -> None:
    tenant = tenant_of(engine, "acme")
    fault = Fault(method, re.compile(path), told("database is locked", 500), is_done)
    with grafana.failing(fault), pytest.raises(UnavailableError, match="database is locked"):
        job.provision(tenant)
    assert not job.is_current(tenant)
    job.provision(tenant)
    assert [] == job.provision(tenant)
    assert (1, ACME) == (
        live_keys(engine),
        getattr(look_up_key(engine, secret_of(grafana, ACME)), "tenant_id", None),
    )


@pytest.mark.parametrize("is_done", [False, True])
def test_a_rotation_that_fails_leaves_a_secret_that_is_good(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine, *, is_done: bool
) -> None:
    tenant = tenant_of(engine, "acme")
    job.provision(tenant)
    fault = Fault("PUT", re.compile("/datasources/"), told("oh", 502), is_done)
    with grafana.failing(fault), pytest.raises(UnavailableError):
        job.rotate(tenant)
    assert not job.is_current(tenant)
    assert look_up_key(engine, secret_of(grafana, ACME)) is not None
    job.provision(tenant)
    assert (1, True) == (
        live_keys(engine),
        look_up_key(engine, secret_of(grafana, ACME)) is not None,
    )


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (told("Invalid username or password", 401), "grafana_refused", "server admin"),
        (told("nope", 403), "grafana_refused", "METERLINE_GRAFANA_PASSWORD"),
        (told("Organization name taken", 409), "grafana_conflict", "Organization name taken"),
        (told("precondition", 412), "grafana_conflict", "precondition"),
        (told("bad data", 400), "grafana_unavailable", "bad data"),
        (Answer(b"<html>", 502), "grafana_unavailable", "status 502"),
        (
            Answer(b"<html>hello", 200),
            "grafana_unavailable",
            "what answers at this address is not Grafana",
        ),
    ],
)
def test_what_grafana_refuses_is_told_in_a_sentence_without_the_password(
    job: Provisioner,
    grafana: GrafanaStandIn,
    engine: sa.Engine,
    target: Target,
    *,
    answer: Answer,
    code: str,
    words: str,
) -> None:
    fault = Fault("POST", re.compile("/orgs$"), answer)
    with grafana.failing(fault), pytest.raises(MeterlineError) as caught:
        job.provision(tenant_of(engine, "acme"))
    assert (code, True, False) == (
        caught.value.code,
        words in caught.value.message,
        target.password in caught.value.message,
    )


def test_a_grafana_that_is_not_there_is_told_in_a_sentence(
    grafana: GrafanaStandIn, engine: sa.Engine, target: Target, clock: Moving
) -> None:
    grafana.close()
    job = Provisioner(engine, target, render=render, clock=clock)
    with pytest.raises(UnavailableError, match="it cannot be reached") as caught:
        job.provision(tenant_of(engine, "acme"))
    assert target.password not in str(caught.value)


def test_a_grafana_that_is_slow_is_given_up(
    grafana: GrafanaStandIn, engine: sa.Engine, target: Target, clock: Moving
) -> None:
    released = Event()
    grafana.before = lambda _asked: released.wait(10)
    job = Provisioner(engine, replace(target, timeout_seconds=0.1), render=render, clock=clock)
    with pytest.raises(UnavailableError, match="did not answer in time"):
        job.provision(tenant_of(engine, "acme"))
    released.set()


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Filler: "])
def test_a_grafana_whose_answer_drips_in_is_given_up(
    engine: sa.Engine, target: Target, clock: Moving, head: bytes
) -> None:
    with closing(Drip(head + b" " * 2000, pause=0.03)) as drip:  # each byte comes in time
        slow = replace(target, url=drip.url, timeout_seconds=0.3)
        job = Provisioner(engine, slow, render=render, clock=clock)
        with pytest.raises(UnavailableError, match="did not answer in time"):
            job.provision(tenant_of(engine, "acme"))


def test_a_board_that_somebody_saves_meanwhile_is_read_again(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    tenant = tenant_of(engine, "acme")
    job.provision(tenant)
    org = grafana.org_of(login_of(ACME))
    _edit_query(grafana, org)
    saved: list[str] = []

    def save_once(asked: Asked) -> None:
        if asked.method != "POST":
            return
        saved.append(asked.path)
        if len(saved) == 1:
            _add_panel(grafana, org)
            grafana.boards[org, BOARD]["dashboard"]["version"] += 1

    grafana.before = save_once
    assert ["updated the board Usage and cost"] == job.provision(tenant)
    # What was saved meanwhile was seen before it was put right.
    assert (2, 1) == (len(saved), len(grafana.boards[org, BOARD]["dashboard"]["panels"]))


@pytest.mark.ledger("sqlite", "postgresql")
def test_two_at_the_same_time_do_no_harm(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    tenant = tenant_of(engine, "acme")

    def provision(_number: int) -> str:
        try:
            job.provision(tenant)
        except ConflictError as error:
            return error.code
        return "done"

    with ThreadPoolExecutor(4) as pool:
        told_codes = set(pool.map(provision, range(4)))
    assert "done" in told_codes
    assert set() == told_codes - {"done", "grafana_busy"}
    assert ([], 2, 1) == (job.provision(tenant), len(grafana.orgs), live_keys(engine))


def test_who_has_a_tenant_keeps_others_out_until_the_lease_ends(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine, clock: Moving
) -> None:
    tenant = tenant_of(engine, "acme")
    told_codes: list[str] = []

    def provision() -> str:
        try:
            return job.provision(tenant)[-1]
        except ConflictError as error:
            return error.code

    def try_too(asked: Asked) -> None:
        if asked.path.endswith("/folders") and not told_codes:
            told_codes.append("begun")
            told_codes.append(provision())
            clock.pass_by(LEASE + timedelta(seconds=1))
            told_codes.append(provision())

    grafana.before = try_too
    job.provision(tenant)
    assert ["begun", "grafana_busy", "made the board Usage and cost"] == told_codes
    assert 1 == live_keys(engine)


def test_who_had_a_tenant_for_longer_than_the_lease_has_it_looked_at_again(
    job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine, clock: Moving
) -> None:
    tenant = tenant_of(engine, "acme")
    job.provision(tenant)
    lost: list[str] = []

    def lose(asked: Asked) -> None:
        if (asked.method, lost) == ("PUT", []):
            lost.append(asked.path)
            clock.pass_by(LEASE + timedelta(seconds=1))
            # It sees the secret of before, and revokes the one that is on its way.
            job.provision(tenant)

    grafana.before = lose
    job.rotate(tenant)
    assert ([f"/grafana/api/datasources/uid/{SOURCE}"], False) == (lost, job.is_current(tenant))
    job.provision(tenant)
    assert (True, True) == (
        job.is_current(tenant),
        look_up_key(engine, secret_of(grafana, ACME)) is not None,
    )
