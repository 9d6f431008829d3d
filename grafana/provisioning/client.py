"""Grafana's HTTP API, as its server admin, in one organisation at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from grafana_client import GrafanaApi
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from collector.deadline import Deadline, watch_connections
from grafana.provisioning.errors import AbsentError, telling
from grafana.provisioning.names import MAIN_ORG
from grafana.provisioning.target import Target


class Client:
    """Calls that name what they do, and raise errors of ours alone: see `errors.telling`.

    Args:
        api: in an organisation.
        seconds: how long one answer may take, however many parts it comes in.
    """

    def __init__(self, api: GrafanaApi, *, seconds: float) -> None:
        self._api = api
        self._seconds = seconds

    def find(self, path: str, what: str) -> Any | None:
        """Return what a path has; None where it has nothing.

        Args:
            path: below `/api`; what people chose in it is quoted by `quoted`.
            what: for the sentence, see `errors.telling`.
        """
        try:
            return self.get(path, what)
        except AbsentError:
            return None

    def get(self, path: str, what: str) -> Any:
        """Return what a path has."""
        with self._asking(what):
            return self._api.client.GET(path)

    def post(self, path: str, what: str, body: dict[str, Any] | None = None) -> Any:
        """Make or change something."""
        with self._asking(what):
            return self._api.client.POST(path, json=body)

    def put(self, path: str, what: str, body: dict[str, Any]) -> Any:
        """Make something be as given."""
        with self._asking(what):
            return self._api.client.PUT(path, json=body)

    def patch(self, path: str, what: str, body: dict[str, Any]) -> Any:
        """Change a part of something."""
        with self._asking(what):
            return self._api.client.PATCH(path, json=body)

    def delete(self, path: str, what: str) -> None:
        """Take something away; nothing happens where it is gone."""
        try:
            with self._asking(what):
                self._api.client.DELETE(path)
        except AbsentError:
            pass

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        deadline = Deadline(self._seconds)
        with telling(what):
            try:
                with deadline.current():
                    yield
            finally:
                # What was cut off can look like anything else that goes wrong.
                if deadline.end():
                    raise requests.Timeout


class _Watched(HTTPAdapter):
    """Connections that the deadline of a call can close."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        watch_connections(self.poolmanager)


@contextmanager
def connect(
    target: Target, *, org_id: int = MAIN_ORG, timeout_seconds: float | None = None
) -> Iterator[Client]:
    """Open a client in an organisation, and close its connections at the end.

    Args:
        target: which Grafana.
        org_id: in which organisation calls count that name none.
        timeout_seconds: how long an answer may take, instead of what the target says.
    """
    seconds = timeout_seconds or target.timeout_seconds
    parts = urlsplit(target.url)
    host = parts.hostname or ""
    api = GrafanaApi(
        # As bytes: as text, a password with letters beyond Latin-1 could not be sent.
        HTTPBasicAuth(target.user.encode(), target.password.encode()),
        protocol=parts.scheme,
        host=f"[{host}]" if ":" in host else host,
        port=parts.port,
        url_path_prefix=f"{parts.path.strip('/')}/".lstrip("/"),
        timeout=seconds,
        organization_id=org_id,
    )
    session = api.client.s
    # Neither a proxy nor a .netrc of whoever runs this is on the way to Grafana.
    session.trust_env = False
    session.mount(f"{parts.scheme}://", _Watched())
    try:
        yield Client(api, seconds=seconds)
    finally:
        session.close()


def quoted(text: str) -> str:
    """Return text as one part of a path, or one value of a query."""
    return quote(text, safe="")
