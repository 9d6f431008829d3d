"""Asks a running server over HTTP, as Grafana and the host do, with the secret of an API key."""

import urllib.request
from typing import Any
from urllib.parse import urlencode

import orjson

from tests.access import bearer

_PATIENCE_SECONDS = 30


def get_json(url: str, secret: str) -> Any:
    """Return what a route answers."""
    return _send(urllib.request.Request(url, headers=bearer(secret)))


def ask_gateway(url: str, secret: str, text: str) -> list[dict[str, Any]]:
    """Return the series of a query as Grafana's backend posts it, with times in nanoseconds."""
    target = f"{url}/grafana/influx/query?{urlencode({'db': 'meterline', 'epoch': 'ns'})}"
    body = urlencode({"q": text}).encode()
    headers = {"Authorization": f"Token {secret}"}
    (result,) = _send(urllib.request.Request(target, body, headers))["results"]
    series: list[dict[str, Any]] = result.get("series", [])
    return series


def _send(request: urllib.request.Request) -> Any:
    with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS) as response:
        return orjson.loads(response.read())
