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
from costing.job import Costing
from costing.prices import PriceBook, load_price_book
from ledger.engine import create_ledger_engine
from ledger.session import operator_session
from ledger.settings import Settings
from ledger.tenant import TenantId
from ledger.tenants import add_tenant
from tests.builders import NOW

settings.register_profile(
    "meterline", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("meterline")

SHARED = Path(__file__).parents[2] / "shared"

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Book = Callable[..., None]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty ledger file."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    engine = create_ledger_engine(f"sqlite:///{path}")
    schema.upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def ledger_path(template: Path, tmp_path: Path) -> Path:
    """The file of an empty ledger."""
    return Path(shutil.copy(template, tmp_path / "ledger.db"))


@pytest.fixture
def ledger_url(ledger_path: Path) -> str:
    return f"sqlite:///{ledger_path}"


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
def prices() -> PriceBook:
    return load_price_book()


@pytest.fixture
def costing(engine: sa.Engine, prices: PriceBook) -> Costing:
    return Costing(engine, prices)


@pytest.fixture
def book(intake: Intake, costing: Costing) -> Book:
    """Book events and cost them, at the prices that ship unless another job is given."""

    def book_and_cost(*events: object, job: Costing = costing) -> None:
        results = intake.book(events, only_tenant=None, now=NOW)
        assert {"stored"} == {str(result.status) for result in results}
        job.run(now=NOW)

    return book_and_cost


@pytest.fixture
def services(engine: sa.Engine, intake: Intake) -> Services:
    return Services(engine=engine, intake=intake, settings=Settings(), clock=lambda: NOW)


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
