"""An InfluxDB that hangs or drips: a query ends in time, and everything else goes on meanwhile."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import orjson
import pytest
import sqlalchemy as sa

from api.app import create_app
from api.services import Services
from ledger.keys import Scope
from ledger.settings import Settings
from tests.access import make_key
from tests.builders import sms
from tests.processes import Launcher, Sender, Server, wait_until
from tests.servers.faults import Drip, FaultProxy, Reply
from tests.service.gateway.points import ACME, OTHER

pytestmark = pytest.mark.ledger("sqlite")

PATH = "/grafana/influx/query"
QUERY = urlencode({"q": "SHOW TAG VALUES WITH KEY = feature"})
PLACES = 4
HELD = PLACES + 2 * PLACES
"""What the gateway holds at the same time: those that InfluxDB has, and those that wait."""

_ANSWER = b'{"results":[{"statement_id":0}]}'
_LENGTH = b"Content-Length: %d\r\n" % len(_ANSWER)


@pytest.mark.parametrize(
    ("head", "pause"),
    [
        # Each of them would be a whole answer, some seconds too late.
        pytest.param(b"HTTP/1.1 200 OK\r\n" + _LENGTH, 0.05, id="its headers, too"),
        pytest.param(b"HTTP/1.1 200 OK\r\nConnection: close\r\n", 0.05, id="to the end"),
        pytest.param(b"HTTP/1.1 500 No\r\n" + _LENGTH, 0.05, id="an error"),
    ],
)
def test_an_answer_that_drips_in_is_given_up_in_time(
    services: Services, engine: sa.Engine, head: bytes, pause: float
) -> None:
    with closing(Drip(head + b"\r\n" + _ANSWER, pause=pause)) as drip:
        settings = Settings(influx_url=drip.url, gateway_timeout_seconds=0.3)
        client = create_app(replace(services, settings=settings)).test_client()
        headers = {"Authorization": f"Token {make_key(engine, Scope.SERIES, tenant=ACME)}"}
        response = client.get(f"{PATH}?{QUERY}", headers=headers)
    told = orjson.loads(response.data)
    assert (503, "InfluxDB does not answer in time; ask for less") == (
        response.status_code,
        told.get("error"),
    )


def test_all_statements_of_a_query_have_one_time_together(
    services: Services, engine: sa.Engine
) -> None:
    with closing(FaultProxy("http://127.0.0.1:9")) as slow:
        # One answer comes within the time, two after each other do not.
        slow.rule = lambda _request: Reply(200, _ANSWER, delay=0.6)
        settings = Settings(influx_url=slow.url, gateway_timeout_seconds=1.0)
        client = create_app(replace(services, settings=settings)).test_client()
        headers = {"Authorization": f"Token {make_key(engine, Scope.SERIES, tenant=ACME)}"}
        text = "SHOW TAG VALUES WITH KEY = feature"
        told = [
            client.get(PATH, query_string={"q": query}, headers=headers).status_code
            for query in (text, f"{text}; {text}")
        ]
    assert [200, 503] == told


class Crowd:
    """Queries over connections of their own, each of which waits for its answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._threads: list[threading.Thread] = []
        self.told: list[int | None] = []

    def ask(self, secret: str, times: int) -> None:
        """Send so many queries at once."""
        for _ in range(times):
            thread = threading.Thread(target=self._ask, args=(secret,))
            thread.start()
            self._threads.append(thread)

    def wait(self) -> None:
        """Wait until all are answered."""
        for thread in self._threads:
            thread.join()

    def _ask(self, secret: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with closing(connection):
            try:
                connection.request(
                    "GET", f"{PATH}?{QUERY}", headers={"Authorization": f"Token {secret}"}
                )
                self.told.append(connection.getresponse().status)
            except (OSError, http.client.HTTPException):
                self.told.append(None)


@pytest.fixture
def hung() -> Iterator[FaultProxy]:
    """An InfluxDB that takes every query and answers none."""
    with closing(FaultProxy("http://127.0.0.1:9")) as proxy:
        proxy.rule = lambda _request: Reply(503, delay=600)
        yield proxy


def test_beside_an_influxdb_that_hangs_everything_else_is_answered(
    engine: sa.Engine, hung: FaultProxy, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        launcher = Launcher(
            tmp_path / "processes",
            str(engine.url),
            METERLINE_INFLUX_URL=hung.url,
            METERLINE_GATEWAY_QUERIES=str(PLACES),
            METERLINE_GATEWAY_TIMEOUT_SECONDS="300",
        )
        stack.callback(launcher.close)
        server = Server(launcher, "--no-work", "--workers", "1")
        crowd = Crowd(server.port)
        stack.callback(crowd.wait)
        stack.callback(launcher.close)
        for tenant in (ACME, OTHER, None):
            crowd.ask(make_key(engine, Scope.SERIES, tenant=tenant), PLACES * 2)
        refused = 3 * PLACES * 2 - HELD
        wait_until(lambda: refused == len(crowd.told), "no more queries wait than may")
        sender = Sender(make_key(engine, Scope.INGEST), lambda: server.port)
        with closing(sender):
            booked = sender.send([sms()])
        told = [server.get(path) for path in ("/healthz", "/readyz", "/signin", PATH)]
        assert (["stored"], [200, 200, 200, 401], [503] * refused) == (booked, told, crowd.told)
