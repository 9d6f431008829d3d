"""What a worker does by turns goes on, whatever becomes of one thing of it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from cli.steps import Guard, Step
from ledger.errors import UnavailableError
from ledger.session import operator_session
from ledger.stoppages import Stoppage, list_stoppages
from tests.builders import NOW

pytestmark = pytest.mark.ledger("sqlite")

MINUTE = timedelta(minutes=1)


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


class Work:
    """Counts how often it is done, and fails where it is told how."""

    def __init__(self, engine: sa.Engine, watch: Watch, *, pause: timedelta = timedelta(0)) -> None:
        self.done = 0
        self.error: Exception | None = None
        self.faults: Iterable[str] = ()
        self.step = Step(Guard("the work", engine, watch), self._do, pause=pause, clock=watch)

    def _do(self, _now: datetime) -> Iterable[str]:
        self.done += 1
        if self.error is not None:
            raise self.error
        return self.faults


def test_a_step_waits_for_its_time(engine: sa.Engine, watch: Watch) -> None:
    work = Work(engine, watch, pause=3 * MINUTE)
    for minutes in (0, 1, 2, 3, 4):
        watch.now = NOW + minutes * MINUTE
        work.step.run()
    assert 2 == work.done


def test_one_that_was_stopped_short_is_tried_again_within_a_minute(
    engine: sa.Engine, watch: Watch
) -> None:
    work = Work(engine, watch, pause=30 * MINUTE)
    work.error = UnavailableError("ledger_unavailable", "it is down")
    work.step.run()
    watch.now += MINUTE
    work.step.run()
    assert 2 == work.done


def test_an_error_that_nobody_foresaw_is_told_with_where_it_is_from(
    engine: sa.Engine, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Work(engine, watch)
    work.error = ZeroDivisionError("no such number")
    work.step.run()
    told = capsys.readouterr().err
    assert told.startswith("the work stopped short")
    assert "in _do\n" in told
    assert told.rstrip().endswith("ZeroDivisionError: no such number")


def test_it_is_told_once_whatever_it_says_the_next_time(
    engine: sa.Engine, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Work(engine, watch)
    for number in range(3):
        work.error = ZeroDivisionError(str(number))
        work.step.run()
    assert 1 == capsys.readouterr().err.count("Traceback")


def test_what_came_again_after_it_was_well_is_told_again(
    engine: sa.Engine, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Work(engine, watch)
    for error in (ZeroDivisionError(), None, ZeroDivisionError()):
        work.error = error
        work.step.run()
    assert 2 == capsys.readouterr().err.count("Traceback")


def test_a_tenant_that_fails_beside_one_that_failed_before_is_told_alone(
    engine: sa.Engine, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Work(engine, watch)
    for faults in (["acme"], ["acme", "karachi"]):
        work.faults = faults
        work.step.run()
    assert "acme\nkarachi\n" == capsys.readouterr().err


def test_the_ledger_has_what_stopped_it_last_noted_about_every_minute(
    engine: sa.Engine, watch: Watch
) -> None:
    work = Work(engine, watch)
    for seconds in (0, 30, 61, 90):
        watch.now = NOW + timedelta(seconds=seconds)
        work.error = ZeroDivisionError(f"after {seconds}\nat most")
        work.step.run()
    with operator_session(engine) as session:
        found = list_stoppages(session)
    noted_at = NOW + timedelta(seconds=61)
    assert [Stoppage("the work", "ZeroDivisionError: after 61", noted_at)] == found
