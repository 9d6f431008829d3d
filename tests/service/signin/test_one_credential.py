"""A request is judged by one credential, never by two."""

import pytest
from flask.testing import FlaskClient

from tests.access import (
    bearer,
    claims,
    sign,
)
from tests.service.signin.browsers import TENANT, submit


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", "Basic YTpi", "Bearer mtl_wrong", "Bearer a.b.c"]
)
def test_a_bad_authorization_header_never_falls_back_to_the_cookie(
    client: FlaskClient, header: str
) -> None:
    submit(client, "root_admin")
    assert 401 == client.get(TENANT, headers={"Authorization": header}).status_code


def test_a_weaker_credential_in_the_header_is_not_mended_by_the_cookie(
    client: FlaskClient,
) -> None:
    submit(client, "root_admin")
    assert 403 == client.get(TENANT, headers=bearer(sign(claims()))).status_code


def test_a_page_with_a_bad_authorization_header_is_401_in_html(client: FlaskClient) -> None:
    submit(client)
    response = client.get("/", headers=bearer("wrong"))
    found = (response.status_code, response.mimetype, response.headers["WWW-Authenticate"])
    assert (401, "text/html", "Bearer") == found
