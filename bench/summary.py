"""One tenant's summary over HTTP, with many and with few other tenants in the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from flask.testing import FlaskClient

from api.app import create_app
from bench.ledgers import open_engine
from bench.reports import fill_rollups, make_key, make_services
from bench.table import Line
from bench.timing import Side, Work, alternate

MANY, FEW = 10_000, 100
ASKED = 1.3

_REPEATS = 50
_FEATURES = 4


def measure() -> list[Line]:
    """Compare the summary of 30 days of one of many tenants with that of one of few."""
    with TemporaryDirectory(prefix="bench-") as folder:
        sides: dict[str, Side] = {}
        for count in (MANY, FEW):
            ids = [f"tenant-{number:05}" for number in range(count)]
            path = fill_rollups(Path(folder, f"{count}.db"), ids, features=_FEATURES)
            sides[str(count)] = partial(_ask, path, ids[count // 2])
        taken = alternate(sides)
    many, few = taken[str(MANY)], taken[str(FEW)]
    name = f"{_REPEATS} summaries of a tenant; {MANY:,} tenants / {FEW:,}"
    return [Line(name, many, few, many / few, f"<= {ASKED}")]


@contextmanager
def _ask(path: Path, tenant_id: str) -> Iterator[Work]:
    with open_engine(path) as engine:
        client = create_app(make_services(engine)).test_client()
        headers = {"Authorization": f"Bearer {make_key(engine, tenant_id)}"}
        yield partial(_repeat, client, headers)


def _repeat(client: FlaskClient, headers: dict[str, str]) -> None:
    for _ in range(_REPEATS):
        total = client.get("/api/billing/usage/summary", headers=headers).get_json()["total"]
        if total["count"] != 30 * _FEATURES:
            raise AssertionError(f"not the summary of 30 days: {total}")
