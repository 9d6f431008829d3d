"""The limit on failed sign-ins."""

from collections.abc import Callable
from datetime import timedelta

import sqlalchemy as sa
from flask.testing import FlaskClient

from ledger.models import sign_in_failures
from tests.service.signin.browsers import Clock, count, csrf_in, session_in, submit


def test_the_sixth_try_of_a_login_is_429_with_when_to_come_again(
    client: FlaskClient, clock: Clock
) -> None:
    statuses = [submit(client, password="wrong").status_code for _ in range(5)]
    clock.now += timedelta(seconds=60)
    response = submit(client)
    found = (statuses, response.status_code, response.headers["Retry-After"], session_in(response))
    assert ([403] * 5, 429, "840", None) == found


def test_the_limit_of_unknown_logins_is_the_same(client: FlaskClient) -> None:
    statuses = [submit(client, "nobody").status_code for _ in range(6)]
    assert [403] * 5 + [429] == statuses


def test_after_a_quarter_of_an_hour_the_login_may_try_again(
    client: FlaskClient, clock: Clock
) -> None:
    for _ in range(5):
        submit(client, password="wrong")
    clock.now += timedelta(minutes=15)
    assert 303 == submit(client).status_code


def test_a_right_password_starts_the_count_anew(client: FlaskClient, engine: sa.Engine) -> None:
    for _ in range(4):
        submit(client, password="wrong")
    submit(client)
    assert 0 == count(engine, sign_in_failures)


def test_an_address_that_tries_many_logins_is_stopped(client: FlaskClient) -> None:
    statuses = [submit(client, f"login{number}").status_code for number in range(21)]
    assert [403] * 20 + [429] == statuses


def from_address(client: FlaskClient, address: str) -> int:
    csrf = csrf_in(client.get("/signin"))
    data = {"csrf": csrf, "login": "tenant_admin", "password": "wrong"}
    return client.post("/signin", data=data, headers={"X-Forwarded-For": address}).status_code


def test_an_invented_forwarded_address_does_not_evade_the_limit(client: FlaskClient) -> None:
    statuses = [from_address(client, f"192.0.2.{number}") for number in range(6)]
    assert [403] * 5 + [429] == statuses


def test_behind_proxies_the_limit_counts_by_the_address_that_ours_saw(
    open_app: Callable[..., FlaskClient],
) -> None:
    client = open_app(trusted_proxies=1)
    one = [from_address(client, f"203.0.113.{number}, 192.0.2.1") for number in range(6)]
    assert ([403] * 5 + [429], 403) == (one, from_address(client, "192.0.2.2"))
