"""Ledgers full of rollup rows, and the application over them."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from api.services import Services
from bench.ledgers import NOW, create_ledger, open_driver, open_engine, open_intake
from collector.webhooks.reception import build_reception
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from ledger.keys import Scope, create_key
from ledger.session import operator_session
from ledger.settings import Settings
from ledger.tenant import TenantId

TENANT = "acme"
DAYS = 90
FEATURES = 100

_FILL_CACHE_KIB = 400_000


def fill_rollups(path: Path, tenant_ids: Sequence[str], *, features: int) -> Path:
    """Make a ledger in which each tenant has a row for every feature on each of 90 days.

    One row is booked and costed; the others are copies of it, under other keys.
    """
    create_ledger(path, tenant_ids)
    with open_engine(path) as engine:
        model = book_one(engine, tenant_ids[0])
    insert = (
        f"INSERT INTO usage_rollups_daily ({', '.join(model)})"
        f" VALUES ({', '.join(f':{name}' for name in model)})"
    )
    with open_driver(path) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # of this connection alone: a file to make
        connection.execute(f"PRAGMA cache_size = -{_FILL_CACHE_KIB}")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM usage_rollups_daily")
        connection.executemany(insert, _copies(model, tenant_ids, features))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def make_services(engine: sa.Engine) -> Services:
    """Return services at the time of the bench, whatever the environment says."""
    settings = Settings.model_construct()
    return Services(
        engine=engine,
        intake=open_intake(engine),
        reception=build_reception(engine, settings),
        settings=settings,
        clock=lambda: NOW,
    )


def make_key(engine: sa.Engine, tenant_id: str | None) -> str:
    """Return the secret of a key that reads a tenant's reports, or those of all tenants."""
    with operator_session(engine, write=True) as session:
        _, secret = create_key(
            session,
            scopes=frozenset({Scope.READ}),
            label="bench",
            tenant_id=None if tenant_id is None else TenantId(tenant_id),
            now=NOW,
        )
    return secret


def book_one(engine: sa.Engine, tenant_id: str) -> dict[str, Any]:
    """Book and cost one message; return its rollup row."""
    event = {
        "id": "SM1",
        "tenant": tenant_id,
        "time": NOW.isoformat(),
        "channel": "sms",
        "direction": "outbound",
        "source": "twilio",
        "feature": "broadcast",
        "quantity": 1,
    }
    open_intake(engine).book([event], only_tenant=None, now=NOW)
    Costing(engine, load_flat_map()).run(clock=lambda: NOW)
    with operator_session(engine) as session:
        row = session.connection.exec_driver_sql("SELECT * FROM usage_rollups_daily").one()
        return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to read a row by name


def _copies(
    model: dict[str, Any], tenant_ids: Sequence[str], features: int
) -> Iterator[dict[str, Any]]:
    # In the order of the key, as a ledger that grew has its pages by tenant and date.
    for number, tenant_id in enumerate(tenant_ids):
        for day in range(DAYS):
            date = (NOW - timedelta(days=DAYS - 1 - day)).date().isoformat()
            for feature in range(features):
                yield {
                    **model,
                    "tenant_id": tenant_id,
                    "date": date,
                    "feature": f"feature_{feature:03}",
                    "rollup_id": f"{number * 10**9 + day * 10**6 + feature:032x}",
                }
