"""Browsers that sign in at the same moment: a link is used once, and a limit is not run over."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.app import create_app
from api.auth.cookies import FORM
from api.auth.csrf import make_csrf
from api.services import Services
from tests.access import bearer, claims, host_settings, sign

AT_ONCE = 8


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(replace(services, settings=host_settings()))


def ask_at_once(app: Flask, ask: Callable[[FlaskClient], int]) -> Counter[int]:
    """Let browsers of their own ask at the same moment; return how often each status came."""
    barrier = Barrier(AT_ONCE)

    def wait_and_ask(_: int) -> int:
        client = app.test_client()
        barrier.wait(timeout=30)
        return ask(client)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(wait_and_ask, range(AT_ONCE)))


def test_of_browsers_that_open_one_link_at_once_one_is_signed_in(app: Flask) -> None:
    made = app.test_client().post("/api/session-links", headers=bearer(sign(claims())))
    link = made.get_json()["url"]
    found = ask_at_once(app, lambda client: client.get(link).status_code)
    assert {303: 1, 403: AT_ONCE - 1} == found


def test_of_passwords_that_are_tried_at_once_no_more_than_the_limit_are_looked_at(
    app: Flask,
) -> None:
    data = {"csrf": make_csrf("a secret"), "login": "nobody", "password": "guessed"}

    def guess(client: FlaskClient) -> int:
        client.set_cookie(f"__Host-{FORM}", "a secret")
        return client.post("/signin", data=data).status_code

    assert {403: 5, 429: AT_ONCE - 5} == ask_at_once(app, guess)
