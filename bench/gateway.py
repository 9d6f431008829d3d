"""Grafana's gateway: a tenant's panel through the server, against the same query at InfluxDB.

Both sides ask over a kept connection, as Grafana's backend does. The query that goes straight to
InfluxDB is the one that the gateway makes of the other: it reads the same points.
"""

import http.client
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from api.gateway.influxql.parsing import Parser
from api.gateway.influxql.preparing import Prepared, prepare_for_tenant
from api.gateway.influxql.tree import Select
from bench.ledgers import NOW, create_ledger, open_engine
from bench.table import Line
from bench.timing import Side, Work, alternate
from ledger.keys import Scope
from ledger.measures import MEASURE_COLUMNS
from ledger.tenant import TenantId
from tests.access import make_key
from tests.processes import Launcher, Server
from tests.servers.influx import Influx

DAYS = 90
TENANTS = 50
ROWS_A_DAY = 100
ASKED = 1.3
ASKED_MILLISECONDS = 1.0

_TENANT = "tenant-07"
_CHANNELS = ("sms", "mms", "voice", "email", "ai")
_REPEATS = 40
_READINGS = 500
_LINES_A_CALL = 10_000
_OK = 200
_FIRST = NOW - timedelta(days=DAYS)
_PANEL = (
    'SELECT sum("cost") AS "cost" FROM "usage_cost" WHERE'
    f" time >= {round(_FIRST.timestamp() * 1000)}ms and time <= {round(NOW.timestamp() * 1000)}ms"
    " GROUP BY time(1d), \"channel\"::tag fill(null) ORDER BY time ASC tz('Europe/Berlin')"
)


def measure() -> list[Line]:
    """Compare the panel's answers, then look at the time that reading and writing a query takes."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with closing(Influx(folder / "influx")) as influx:
            _fill(influx)
            return [_panel(folder, influx), _reading()]


def _panel(folder: Path, influx: Influx) -> Line:
    create_ledger(folder / "ledger.db", [_TENANT])
    with open_engine(folder / "ledger.db") as engine:
        secret = make_key(engine, Scope.SERIES, tenant=_TENANT)
    # Reading needs no translation: both sides speak to the engine itself.
    launcher = Launcher(
        folder / "processes",
        f"sqlite:///{folder / 'ledger.db'}",
        METERLINE_INFLUX_URL=f"http://127.0.0.1:{influx.bare_port}",
    )
    with closing(launcher):
        server = Server(launcher, "--no-work")
        sides: dict[str, Side] = {
            "ours": partial(_asking, server.port, "/grafana/influx/query", _PANEL, secret),
            "bare": partial(_asking, influx.bare_port, "/query", _prepare(Parser()).text, ""),
        }
        taken = alternate(sides)
    name = f"a panel of {DAYS} days, {_REPEATS} times, by the gateway / by InfluxDB"
    return Line(name, taken["ours"], taken["bare"], taken["ours"] / taken["bare"], f"<= {ASKED}")


@contextmanager
def _asking(port: int, path: str, query: str, secret: str) -> Iterator[Work]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        headers = {"Authorization": f"Token {secret}"} if secret else {}
        target = f"{path}?{urlencode({'db': 'meterline', 'epoch': 'ms', 'q': query})}"
        yield partial(_ask, connection, target, headers)


def _ask(connection: http.client.HTTPConnection, target: str, headers: dict[str, str]) -> None:
    for _ in range(_REPEATS):
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != _OK or body.count(b'"tags"') != len(_CHANNELS):
            raise AssertionError(f"{response.status}: {body[:300]!r}")


def _reading() -> Line:
    parser = Parser()

    @contextmanager
    def reading() -> Iterator[Work]:
        def read() -> None:
            for _ in range(_READINGS):
                _prepare(parser)

        yield read

    milliseconds = alternate({"ours": reading})["ours"] / _READINGS * 1000
    name = f"milliseconds to read, confine and write a query / {ASKED_MILLISECONDS}"
    ratio = milliseconds / ASKED_MILLISECONDS
    return Line(name, milliseconds, ASKED_MILLISECONDS, ratio, "<= 1")


def _prepare(parser: Parser) -> Prepared:
    (statement,) = parser.parse(_PANEL)
    if not isinstance(statement, Select):
        raise TypeError("the panel is no SELECT")
    return prepare_for_tenant(statement, TenantId(_TENANT), now=NOW)


def _fill(influx: Influx) -> None:
    influx.query('CREATE DATABASE "meterline"')
    waiting: list[str] = []
    for line in _lines():
        waiting.append(line)
        if len(waiting) == _LINES_A_CALL:
            influx.write(*waiting)
            waiting = []
    influx.write(*waiting)


def _lines() -> Iterator[str]:
    """Yield a point for each of a hundred rollup rows of each tenant on each day."""
    midnight = NOW.replace(hour=0)
    for day in range(DAYS):
        stamp = round((midnight - timedelta(days=day)).timestamp()) * 1_000_000_000
        for number in range(TENANTS * ROWS_A_DAY):
            tenant, row = divmod(number, ROWS_A_DAY)
            counts = ",".join(f"{name}={row}i" for name in ("count", *MEASURE_COLUMNS))
            yield (
                f"usage_cost,channel={_CHANNELS[row % len(_CHANNELS)]},direction=outbound,"
                f"feature=feature_{row:03},plan=Pro,price_class=standard,source=twilio,"
                f"tenant=tenant-{tenant:02} {counts},cost={row / 8},cost_nanos={row}i,unpriced=0i"
                f" {stamp}"
            )
