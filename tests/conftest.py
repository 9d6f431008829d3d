"""Fixtures: a ledger in a temporary file, migrated once a session and copied for each test."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from api.services import Services
from cli import schema
from collector.events import Rules
from collector.intake import Intake
from collector.metadata import MetadataPolicy
from collector.webhooks.reception import build_reception
from costing.job import Costing
from costing.pricing.flat import FlatMap, load_flat_map
from ledger.engine import create_ledger_engine
from ledger.session import operator_session
from ledger.settings import Settings
from ledger.tenant import TenantId
from ledger.tenants import add_tenant
from tests.builders import NOW
from tests.servers.postgresql import Database, PostgreSql

settings.register_profile(
    "meterline", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("meterline")

SHARED = Path(__file__).parents[2] / "shared"

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Book = Callable[..., None]


_KINDS = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what meets a ledger on each database, and what looks at its file on SQLite alone."""
    if "ledger_kind" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("ledger")
    if marker is not None and marker.args:
        kinds = marker.args
    elif "ledger_path" in metafunc.fixturenames or "sdk" in metafunc.module.__name__.split("."):
        # The SDK speaks HTTP: which database is behind the collector does not reach it.
        kinds = ("sqlite",)
    else:
        kinds = _KINDS
    metafunc.parametrize("ledger_kind", kinds)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty ledger file."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    engine = create_ledger_engine(f"sqlite:///{path}")
    schema.upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """A running server."""
    server = PostgreSql()
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgresql_template(postgresql: PostgreSql) -> str:
    """The name of a migrated, empty database, which others are cloned from."""
    database = postgresql.make()
    database.migrate()
    return database.name


@pytest.fixture(scope="session")
def shared_database(postgresql: PostgreSql, postgresql_template: str) -> Database:
    """A database that tests use one after the other; each leaves it without a row."""
    return postgresql.make(postgresql_template)


@pytest.fixture
def database(postgresql: PostgreSql, postgresql_template: str) -> Iterator[Database]:
    """A database of the test's own, for what changes more than rows."""
    database = postgresql.make(postgresql_template)
    yield database
    database.drop()


@pytest.fixture
def ledger_path(template: Path, tmp_path: Path) -> Path:
    """The file of an empty ledger."""
    return Path(shutil.copy(template, tmp_path / "ledger.db"))


@pytest.fixture
def ledger_url(ledger_kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an empty ledger, on each database in turn."""
    if ledger_kind == "sqlite":
        yield f"sqlite:///{request.getfixturevalue('ledger_path')}"
        return
    marker = request.node.get_closest_marker("ledger")
    if marker is not None and marker.kwargs.get("own"):
        yield request.getfixturevalue("database").url
        return
    database: Database = request.getfixturevalue("shared_database")
    yield database.url
    database.wipe()


@pytest.fixture
def engine(ledger_url: str) -> Iterator[sa.Engine]:
    """An empty ledger with the tenants acme (UTC) and karachi (Asia/Karachi)."""
    engine = create_ledger_engine(ledger_url)
    with operator_session(engine, write=True) as session:
        add_tenant(session, TenantId("acme"), name="Acme", plan="Pro", now=NOW)
        add_tenant(session, TenantId("karachi"), name="K", timezone="Asia/Karachi", now=NOW)
    yield engine
    engine.dispose()


@pytest.fixture
def rules() -> Rules:
    policy = MetadataPolicy(hash_key=b"a key that only tests know")
    return Rules(policy=policy, max_future=timedelta(minutes=5))


@pytest.fixture
def intake(engine: sa.Engine, rules: Rules) -> Intake:
    return Intake(engine, rules=rules)


@pytest.fixture
def prices() -> FlatMap:
    return load_flat_map()


@pytest.fixture
def costing(engine: sa.Engine, prices: FlatMap) -> Costing:
    return Costing(engine, prices)


@pytest.fixture
def book(intake: Intake, costing: Costing) -> Book:
    """Book events and cost them, at the prices that ship unless another job is given."""

    def book_and_cost(*events: object, job: Costing = costing) -> None:
        results = intake.book(events, only_tenant=None, now=NOW)
        assert {"stored"} == {str(result.status) for result in results}
        job.run(clock=lambda: NOW)

    return book_and_cost


@pytest.fixture
def services(engine: sa.Engine, intake: Intake) -> Services:
    return Services(
        engine=engine,
        intake=intake,
        reception=build_reception(engine, Settings()),
        settings=Settings(),
        clock=lambda: NOW,
    )


@pytest.fixture
def meterline(ledger_url: str, tmp_path: Path) -> Run:
    """Run the command in a temporary folder on the test's ledger; returns the finished process."""

    def run(*arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [Path(sys.executable).parent / "meterline", *arguments],
            env={**os.environ, "METERLINE_DATABASE_URL": ledger_url, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the project."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the project: the real data is not there")
    return SHARED
