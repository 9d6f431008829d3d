"""Asks nginx in front, as a browser or anybody else does, and reads tokens as Grafana does."""

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jwt

from api.embedding.assertion import AUDIENCE, ISSUER
from api.embedding.keys import PUBLIC_FILE
from tests.access import COOKIE
from tests.servers.nginx import PUBLIC_HOST, Nginx

SHIPPED = Path(__file__).parents[1] / "deploy/nginx.conf"


class Reply(NamedTuple):
    """What nginx answered; names of headers in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    nginx: Nginx,
    path: str,
    *,
    session: str | None = None,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send one request over TLS to the public name."""
    sent = {"Host": PUBLIC_HOST, **(headers or {})}
    if session is not None:
        sent["Cookie"] = "; ".join(filter(None, (sent.get("Cookie"), f"{COOKIE}={session}")))
    connection = http.client.HTTPSConnection(
        "127.0.0.1", nginx.port, timeout=30, context=nginx.trusting
    )
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, found, response.read())
    finally:
        connection.close()


def read_assertion(token: str, folder: Path) -> dict[str, Any]:
    """Return the claims of a token, checked as Grafana does, by what it expects and public keys."""
    keys = jwt.PyJWKSet.from_dict(json.loads((folder / PUBLIC_FILE).read_bytes()))
    kid = jwt.get_unverified_header(token)["kid"]
    claims: dict[str, Any] = jwt.decode(
        token,
        keys[kid].key,
        algorithms=["ES256"],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={"require": ["exp", "iat", "sub"]},
    )
    return claims
