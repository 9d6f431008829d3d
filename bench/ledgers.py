"""Ledger files to measure on: made once, copied for every run."""

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from cli import schema
from collector.intake import Intake, build_intake
from ledger.engine import create_ledger_engine
from ledger.session import operator_session
from ledger.settings import Settings
from ledger.tenant import TenantId
from ledger.tenants import add_tenant

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
"""The instant at which everything here is booked and costed."""

ZONE = "America/New_York"

FIRST_DAY = NOW - timedelta(days=90)


@contextmanager
def open_engine(path: Path) -> Iterator[sa.Engine]:
    """Connect to a ledger file as the server does."""
    engine = create_ledger_engine(f"sqlite:///{path}")
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def open_driver(path: Path) -> Iterator[sqlite3.Connection]:
    """Hand out the bare connection of the driver, with the pragmas of a ledger.

    Transactions are opened and ended by hand.
    """
    with open_engine(path) as engine:
        pooled = engine.raw_connection()
        connection = pooled.driver_connection
        if not isinstance(connection, sqlite3.Connection):
            raise TypeError("the embedded ledger is SQLite")
        try:
            yield connection
        finally:
            pooled.close()


def create_ledger(path: Path, tenant_ids: Iterable[str]) -> Path:
    """Make an empty ledger that knows these tenants."""
    with open_engine(path) as engine:
        schema.upgrade(engine)
        with operator_session(engine, write=True) as session:
            for tenant_id in tenant_ids:
                add_tenant(
                    session, TenantId(tenant_id), name=tenant_id, timezone=ZONE, now=FIRST_DAY
                )
    return path


@contextmanager
def open_copy(template: Path) -> Iterator[sa.Engine]:
    """Connect to a copy of a ledger, and remove the copy in the end."""
    path = Path(shutil.copyfile(template, template.with_suffix(".copy")))
    # On its way to the disk, the copy would slow down the commits of whoever comes next.
    with path.open("rb") as file:
        os.fsync(file.fileno())
    try:
        with open_engine(path) as engine:
            yield engine
    finally:
        path.unlink()


def open_intake(engine: sa.Engine) -> Intake:
    """Return the intake of the default settings, whatever the environment says."""
    return build_intake(engine, Settings.model_construct())
