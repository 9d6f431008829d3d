"""`rebuild series --drop`: whatever comes between, what was deleted is sent again."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.influx.target import Target
from collector.relay.job import Relay
from ledger.session import operator_session
from ledger.shipping import measure_unshipped
from tests.builders import sms
from tests.commands import Done, run_here
from tests.conftest import Book
from tests.costed import tamper
from tests.servers.faults import FaultProxy, Reply, Request
from tests.service.series.conftest import Ship
from tests.service.series.test_verify_series import differences

Drop = Callable[..., Done]


@pytest.fixture
def drop(faults: FaultProxy, ledger_url: str) -> Drop:
    """Run `rebuild series --drop`, with an InfluxDB that can be told to fail."""

    def run(*options: str | Path) -> Done:
        settings = {
            "METERLINE_DATABASE_URL": ledger_url,
            "METERLINE_INFLUX_URL": faults.url,
            "METERLINE_INFLUX_TIMEOUT_SECONDS": "0.5",
        }
        return run_here("rebuild", "series", "--drop", *options, **settings)

    return run


@pytest.fixture
def shipped(book: Book, ship: Ship) -> None:
    book(sms("a"), sms("k", tenant="karachi"))
    ship()


def on_first_delete(happen: Callable[[], object]) -> Callable[[Request], None]:
    """Let something happen before the first points are deleted."""
    happenings = [happen]

    def rule(request: Request) -> None:
        if b"DELETE" in request.body and happenings:
            happenings.pop()()

    return rule


@pytest.mark.usefixtures("shipped")
def test_no_relay_ships_a_tenant_whose_points_are_being_deleted(
    relay: Relay, faults: FaultProxy, drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.rebuilding._LEASE_SECONDS", -1.0)  # nothing but what a DELETE may take
    found: list[int] = []
    faults.rule = on_first_delete(lambda: found.append(relay.run().busy))
    drop("--tenant", "acme")
    assert [1] == found


@pytest.mark.usefixtures("shipped")
def test_what_was_shipped_before_it_was_deleted_is_sent_again(
    engine: sa.Engine, target: Target, faults: FaultProxy, drop: Drop
) -> None:
    def mark_all() -> None:
        tamper(engine, "DELETE FROM unshipped_batches")
        tamper(engine, "UPDATE usage_rollups_daily SET shipped_revision = revision")
        tamper(engine, "UPDATE usage_tenant_days SET shipped_revision = revision")
        tamper(engine, "UPDATE usage_tenant_days SET rows_shipped_revision = revision")

    faults.rule = on_first_delete(mark_all)
    drop()
    assert [] == differences(engine, target)


@pytest.mark.usefixtures("shipped")
def test_nothing_more_is_deleted_when_another_relay_has_the_tenant(
    engine: sa.Engine, faults: FaultProxy, drop: Drop
) -> None:
    faults.rule = on_first_delete(
        lambda: tamper(
            engine,
            "UPDATE relay_state SET lease_owner = 'other', lease_until = '2199-01-01 00:00:00.000000'",  # noqa: E501 - one statement
        )
    )
    done = drop("--tenant", "acme")
    deleted = sum(b"DELETE" in request.body for request in faults.passed)
    assert (1, 1, True) == (done.returncode, deleted, "another relay has taken over" in done.stderr)


@pytest.mark.usefixtures("shipped")
def test_after_a_deletion_that_nobody_answered_the_tenant_stays_due_and_leased(
    engine: sa.Engine, relay: Relay, faults: FaultProxy, drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.influx.target._PATIENCE_SECONDS", 0.5)
    faults.rule = lambda request: Reply(204, delay=30) if b"DELETE" in request.body else None
    done = drop("--tenant", "acme")
    with operator_session(engine) as session:
        due = measure_unshipped(session).points
    assert (1, 3, 1) == (done.returncode, due, relay.run().busy)


@pytest.mark.usefixtures("shipped")
def test_after_a_deletion_that_was_refused_the_tenant_is_anybodys(
    relay: Relay, faults: FaultProxy, drop: Drop
) -> None:
    faults.rule = lambda request: Reply(403) if b"DELETE" in request.body else None
    done = drop("--tenant", "acme")
    assert (1, 3) == (done.returncode, relay.run().points)


def test_some_dates_alone_cannot_be_dropped(drop: Drop) -> None:
    # Where a tenant moved to another zone, dates and instants do not match one to one.
    done = drop("--from", "2026-03-08", "--to", "2026-03-08")
    assert (2, True) == (done.returncode, "--drop takes all dates" in done.stderr)
