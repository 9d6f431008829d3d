"""The CSV export over HTTP, against the bare select of the same lines written by csv.writer.

The bare side has the same statement as text, the driver's own cursor and the same file object; it
knows no tenants' zones, credentials, headers or chunks.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from tempfile import TemporaryDirectory

from flask.testing import FlaskClient

from api.app import create_app
from bench.ledgers import open_driver, open_engine
from bench.reports import DAYS, FEATURES, TENANT, fill_rollups, make_key, make_services
from bench.table import Line
from bench.timing import Side, Work, alternate

ASKED = 2

_SELECT = """
SELECT date, channel, direction,
  nullif(coalesce(source, ''), ''), nullif(coalesce(feature, ''), ''),
  sum(count), sum(estimated_cost)
FROM usage_rollups_daily WHERE tenant_id = ? AND date >= ? AND date < ?
GROUP BY date, channel, direction, coalesce(source, ''), coalesce(feature, ''),
  estimated_cost IS NULL
ORDER BY date, channel, direction, coalesce(source, ''), coalesce(feature, ''),
  estimated_cost IS NULL
"""


def measure() -> list[Line]:
    """Compare the export of 90 days."""
    with TemporaryDirectory(prefix="bench-") as folder:
        path = fill_rollups(Path(folder, "ledger.db"), [TENANT], features=FEATURES)
        sides: dict[str, Side] = {"ours": partial(_ours, path), "bare": partial(_bare, path)}
        taken = alternate(sides)
    lines = DAYS * FEATURES
    name = f"export {DAYS} days, {lines:,} lines, over HTTP / bare select and csv.writer"
    ours, bare = taken["ours"], taken["bare"]
    return [Line(name, ours, bare, ours / bare, f"<= {ASKED}")]


@contextmanager
def _ours(path: Path) -> Iterator[Work]:
    with open_engine(path) as engine:
        client = create_app(make_services(engine)).test_client()
        headers = {"Authorization": f"Bearer {make_key(engine, TENANT)}"}
        yield partial(_export, client, headers)


def _export(client: FlaskClient, headers: dict[str, str]) -> None:
    response = client.get("/api/billing/usage/export?range=90d", headers=headers)
    if response.data.count(b"\n") != DAYS * FEATURES + 1:
        raise AssertionError(f"not the whole export: {response.status}")


@contextmanager
def _bare(path: Path) -> Iterator[Work]:
    with open_driver(path) as connection:
        yield partial(_write, connection)


def _write(connection: Connection) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("date", "channel", "direction", "source", "feature", "count", "cost"))
    writer.writerows(connection.execute(_SELECT, (TENANT, "2000-01-01", "2100-01-01")))
    if text.getvalue().count("\n") != DAYS * FEATURES + 1:
        raise AssertionError("not the whole export")
