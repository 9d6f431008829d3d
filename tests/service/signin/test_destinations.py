"""Where a sign-in leads, and where a page without one does."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.service.signin.browsers import (
    Clock,
    make_link,
    submit,
)


@pytest.mark.parametrize("wanted", ["/usage?range=90d", "/admin/usage?plan=Pro%20Plus"])
def test_a_sign_in_leads_where_the_browser_wanted_to_go(client: FlaskClient, wanted: str) -> None:
    page = client.get("/signin?next=" + quote(wanted))
    hidden = re.search(r'name="next" value="([^"]+)"', page.text)
    assert hidden is not None
    assert wanted == submit(client, next=hidden[1]).location


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "/\\evil.example", "https:", "https://evil.example", "/\t/evil.example"],
)
def test_a_sign_in_never_leads_to_another_server(client: FlaskClient, wanted: str) -> None:
    by_form = submit(client, next=wanted)
    by_link = client.get(f"{make_link(client)}&next={quote(wanted)}")
    assert ["/usage", "/usage"] == [by_form.location, by_link.location]


def test_the_form_does_not_repeat_an_address_on_another_server(client: FlaskClient) -> None:
    assert "evil" not in client.get("/signin?next=//evil.example").text


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/", "/signin?next=/"), ("/?a=b%20c&d=//e", "/signin?next=/%3Fa%3Db%2520c%26d%3D//e")],
)
def test_a_page_without_a_sign_in_leads_to_the_form_and_back(
    client: FlaskClient, path: str, expected: str
) -> None:
    response = client.get(path)
    assert (303, expected) == (response.status_code, response.location)


def test_a_page_with_a_sign_in_that_ended_leads_to_the_form(
    client: FlaskClient, clock: Clock
) -> None:
    submit(client)
    clock.now += timedelta(hours=12)
    assert "/signin?next=/" == client.get("/").location


def test_a_tenant_member_gets_an_explanation(client: FlaskClient) -> None:
    response = client.get(make_link(client, role="tenant_member"), follow_redirects=True)
    found = (response.status_code, response.request.path, "administrators" in response.text)
    assert (200, "/", True) == found
