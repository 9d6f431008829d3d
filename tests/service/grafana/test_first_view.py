"""Whether Grafana is there, and what the first look of a tenant begins: nobody waits for it."""

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from threading import Event
from threading import enumerate as enumerate_threads

import pytest
import sqlalchemy as sa

from grafana.embedded import RESTS, Embedded
from grafana.provisioning.job import Provisioner
from grafana.provisioning.names import login_of
from grafana.provisioning.probe import HOLDS, THREAD, Probe
from grafana.provisioning.target import Target
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import change_tenant
from tests.builders import NOW
from tests.processes import wait_until
from tests.service.grafana.conftest import Moving, tenant_of
from tests.standins.grafana_api import Fault, GrafanaStandIn
from tests.standins.server import Answer, Asked

pytestmark = pytest.mark.ledger("sqlite")

ACME = TenantId("acme")
LATER = HOLDS + timedelta(milliseconds=1)


@pytest.fixture
def released(grafana: GrafanaStandIn) -> Iterator[Event]:
    """Holds Grafana's answers back from where a test clears it; lets go at the end."""
    event = Event()
    event.set()
    grafana.before = lambda _asked: event.wait(30)
    yield event
    event.set()


def asked_of(grafana: GrafanaStandIn) -> list[str]:
    """Note the paths that Grafana is asked from now on."""
    paths: list[str] = []

    def note(asked: Asked) -> None:
        paths.append(asked.path)

    grafana.before = note
    return paths


@pytest.fixture
def probe(target: Target, clock: Moving) -> Probe:
    return Probe(target, clock=clock, patience_seconds=0.2)


@pytest.fixture
def embedded(job: Provisioner, probe: Probe, clock: Moving) -> Embedded:
    return Embedded(job, probe, clock=clock, logger=logging.getLogger("test"))


def test_a_grafana_that_answers_is_up(
    grafana: GrafanaStandIn, target: Target, clock: Moving
) -> None:
    paths = asked_of(grafana)
    assert Probe(target, clock=clock).is_up()
    assert ["/grafana/api/health"] == paths


def test_an_answer_counts_for_some_seconds(
    grafana: GrafanaStandIn, target: Target, clock: Moving
) -> None:
    paths, probe = asked_of(grafana), Probe(target, clock=clock)
    for _ in range(3):
        probe.is_up()
    assert 1 == len(paths)
    clock.pass_by(LATER)
    probe.is_up()
    assert 2 == len(paths)


def test_a_grafana_that_is_not_there_is_down_and_is_up_again_when_it_comes_back(
    probe: Probe, clock: Moving, released: Event
) -> None:
    released.clear()
    assert not probe.is_up()
    released.set()
    clock.pass_by(LATER)
    wait_until(lambda: _asks_again(probe, clock), "Grafana is up again")


def _asks_again(probe: Probe, clock: Moving) -> bool:
    clock.pass_by(LATER)
    return probe.is_up()


def test_that_grafana_does_not_answer_is_asked_once_in_some_seconds(
    grafana: GrafanaStandIn, probe: Probe, released: Event
) -> None:
    held: list[str] = []

    def hold(asked: Asked) -> None:
        held.append(asked.path)
        released.wait(30)

    grafana.before = hold
    released.clear()
    assert [False] * 5 == [probe.is_up() for _ in range(5)]
    assert 1 == len(held)


def test_an_answer_that_trickles_in_is_none(grafana: GrafanaStandIn, probe: Probe) -> None:
    # Every part of it comes in time, and the whole would take a minute.
    parts = [b" "] * 600 + [b"{}"]
    trickle = Answer(parts, pause=0.1, headers={"content-type": "application/json"})
    with grafana.failing(Fault("GET", re.compile("/health"), trickle)):
        assert not probe.is_up()
        wait_until(
            lambda: THREAD not in {one.name for one in enumerate_threads()}, "nobody waits for it"
        )
        assert not probe.is_up()


def test_the_first_look_provisions_a_tenant_behind_the_page(
    embedded: Embedded, grafana: GrafanaStandIn, engine: sa.Engine, released: Event
) -> None:
    released.clear()
    tenant = tenant_of(engine, "acme")
    # Grafana holds all its answers back, and the page has its own.
    assert [False, False] == [embedded.is_ready(tenant) for _ in range(2)]
    released.set()
    wait_until(lambda: embedded.is_ready(tenant), "the tenant is provisioned")
    assert "Acme (acme)" == grafana.orgs[grafana.org_of(login_of(ACME))]


def test_what_is_current_is_not_asked_of_grafana(
    embedded: Embedded, job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    tenant = tenant_of(engine, "acme")
    job.provision(tenant)
    paths = asked_of(grafana)
    assert (True, []) == (embedded.is_ready(tenant), paths)


def test_a_new_name_is_provisioned_by_the_next_look(
    embedded: Embedded, job: Provisioner, grafana: GrafanaStandIn, engine: sa.Engine
) -> None:
    job.provision(tenant_of(engine, "acme"))
    with operator_session(engine, write=True) as session:
        change_tenant(session, ACME, name="Apex", now=NOW)
    tenant = tenant_of(engine, "acme")
    wait_until(lambda: embedded.is_ready(tenant), "the tenant is provisioned again")
    assert "Apex (acme)" == grafana.orgs[grafana.org_of(login_of(ACME))]


def test_a_tenant_whose_provisioning_failed_is_left_alone_for_a_while(
    embedded: Embedded,
    grafana: GrafanaStandIn,
    engine: sa.Engine,
    clock: Moving,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tenant = tenant_of(engine, "acme")
    grafana.roles.clear()  # the admin may do nothing any more
    assert not embedded.is_ready(tenant)
    wait_until(lambda: len(caplog.records) == 1, "the failure is logged")
    assert "Grafana: tenant acme" in caplog.messages[0]
    paths = asked_of(grafana)
    wait_until(lambda: not embedded.is_ready(tenant) and not embedded.is_busy, "it is tried")
    assert [] == paths
    grafana.roles[1, 1] = "Admin"
    clock.pass_by(RESTS)
    wait_until(lambda: embedded.is_ready(tenant), "it is tried again")
