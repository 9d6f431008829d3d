from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from ledger.accounts.throttle import (
    ThrottledError,
    check_throttle,
    forget_failures,
    record_failure,
)
from ledger.engine import create_ledger_engine
from ledger.models import sign_in_failures
from ledger.session import operator_session
from tests.builders import NOW
from tests.interleaving import at_once

HOME, ELSEWHERE = "192.0.2.7", "192.0.2.8"
QUARTER = 15 * 60


def fail(
    engine: sa.Engine,
    login: str = "admin",
    address: str = HOME,
    *,
    times: int = 1,
    after: float = 0,
) -> None:
    with operator_session(engine, write=True) as session:
        for _ in range(times):
            record_failure(session, login, address, now=NOW + timedelta(seconds=after))


def retry_after(
    engine: sa.Engine, login: str = "admin", address: str = HOME, *, after: float = 0
) -> int | None:
    """Return after how many seconds one may come again, None where one may try now."""
    try:
        with operator_session(engine) as session:
            check_throttle(session, login, address, now=NOW + timedelta(seconds=after))
    except ThrottledError as error:
        return error.retry_after
    return None


def test_the_error_says_its_code_and_when_to_come_again() -> None:
    error = ThrottledError(17)
    assert ("too_many_attempts", 17, True) == (error.code, error.retry_after, "17" in str(error))


@pytest.mark.parametrize(("failures", "expected"), [(0, None), (4, None), (5, QUARTER)])
def test_five_failures_of_a_login_from_an_address_are_enough(
    engine: sa.Engine, failures: int, expected: int | None
) -> None:
    fail(engine, times=failures)
    assert expected == retry_after(engine)


@pytest.mark.parametrize(("failures", "expected"), [(19, None), (20, QUARTER)])
def test_twenty_failures_from_an_address_are_enough_whatever_the_logins(
    engine: sa.Engine, failures: int, expected: int | None
) -> None:
    for n in range(failures):
        fail(engine, f"user{n}")
    assert expected == retry_after(engine, "another")


@pytest.mark.parametrize(("login", "address"), [("admin", ELSEWHERE), ("other", HOME)])
def test_another_address_and_another_login_are_not_held_up(
    engine: sa.Engine, login: str, address: str
) -> None:
    fail(engine, times=5)
    assert None is retry_after(engine, login, address)


def test_twenty_failures_at_one_address_leave_the_others_free(engine: sa.Engine) -> None:
    for n in range(20):
        fail(engine, f"user{n}")
    assert None is retry_after(engine, "user1", ELSEWHERE)


@pytest.mark.parametrize(
    ("after", "expected"),
    [(4, QUARTER - 4), (QUARTER - 0.5, 1), (QUARTER - 0.000001, 1), (QUARTER, None)],
)
def test_the_window_slides_with_the_oldest_failure_that_counts(
    engine: sa.Engine, after: float, expected: int | None
) -> None:
    for second in range(5):
        fail(engine, after=second)
    assert expected == retry_after(engine, after=after)


def test_a_failure_after_the_window_slid_holds_up_again(engine: sa.Engine) -> None:
    for second in range(5):
        fail(engine, after=second)
    fail(engine, after=QUARTER)
    assert 1 == retry_after(engine, after=QUARTER)


def test_who_comes_again_when_told_may_try(engine: sa.Engine) -> None:
    fail(engine, times=5, after=0.25)
    told = retry_after(engine, after=100.5)
    assert (800, None) == (told, retry_after(engine, after=100.5 + 800))


def test_after_a_success_the_failures_of_that_login_and_address_are_forgotten(
    engine: sa.Engine,
) -> None:
    fail(engine, times=5)
    with operator_session(engine, write=True) as session:
        forget_failures(session, "admin", HOME)
    assert None is retry_after(engine)


@pytest.mark.parametrize(("login", "address"), [("admin", ELSEWHERE), ("other", HOME)])
def test_a_success_forgets_nothing_of_others(engine: sa.Engine, login: str, address: str) -> None:
    fail(engine, login, address, times=5)
    with operator_session(engine, write=True) as session:
        forget_failures(session, "admin", HOME)
    assert QUARTER == retry_after(engine, login, address)


def test_tries_that_come_at_once_to_many_processes_are_counted_one_by_one(
    engine: sa.Engine, ledger_url: str
) -> None:
    engines = [create_ledger_engine(ledger_url) for _ in range(10)]

    def attempt(own: sa.Engine) -> Callable[[], bool]:
        def try_once() -> bool:
            try:
                with operator_session(own, write=True) as session:
                    check_throttle(session, "admin", HOME, now=NOW)
                    record_failure(session, "admin", HOME, now=NOW)
            except ThrottledError:
                return False
            return True

        return try_once

    allowed = at_once([attempt(own) for own in engines])
    for own in engines:
        own.dispose()
    assert (5, QUARTER) == (sum(allowed), retry_after(engine))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", QUARTER),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", None),
        ("192.0.2.7", "::ffff:192.0.2.7", QUARTER),
        ("unix:", "unix:", QUARTER),
    ],
)
def test_all_addresses_of_a_site_count_as_one(
    engine: sa.Engine, one: str, other: str, expected: int | None
) -> None:
    fail(engine, address=one, times=5)
    assert expected == retry_after(engine, address=other)


def test_failures_older_than_the_window_are_taken_out(engine: sa.Engine) -> None:
    fail(engine, times=3)
    fail(engine, "other", ELSEWHERE, after=QUARTER)
    with operator_session(engine) as session:
        query = sa.select(sa.func.count()).select_from(sign_in_failures)
        assert 1 == session.connection.execute(query).scalar_one()


def test_neither_login_nor_address_is_in_the_ledger(engine: sa.Engine) -> None:
    fail(engine, "jo@example.org")
    with operator_session(engine) as session:
        (row,) = session.connection.execute(sa.select(sign_in_failures)).all()
    found = repr(row)
    assert (False, False, 32, 32) == (
        "jo@example.org" in found,
        HOME in found,
        len(row.login_hash),
        len(row.address_hash),
    )


def test_a_login_that_is_no_text_is_counted_too(engine: sa.Engine) -> None:
    fail(engine, "\ud800", times=5)
    assert QUARTER == retry_after(engine, "\ud800")
