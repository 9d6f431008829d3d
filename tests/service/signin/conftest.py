"""Fixtures of sign-ins: browsers, people with a password, and a clock that can be turned."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from api.app import create_app
from api.services import Services
from ledger.accounts.passwords import hash_password
from ledger.accounts.roles import Role
from ledger.models import users
from ledger.session import operator_session
from tests.access import (
    host_settings,
)
from tests.builders import NOW
from tests.service.signin.browsers import PASSWORD, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_app(services: Services, clock: Clock) -> Callable[..., FlaskClient]:
    """Return a new browser's client of an application with these settings."""

    def open_app(**settings: Any) -> FlaskClient:
        changed = replace(services, settings=host_settings(**settings), clock=clock)
        return create_app(changed).test_client()

    return open_app


@pytest.fixture
def client(open_app: Callable[..., FlaskClient]) -> FlaskClient:
    return open_app()


@pytest.fixture(scope="session")
def password_hash() -> str:
    """Made once, since it takes long on purpose."""
    return hash_password(PASSWORD)


@pytest.fixture(autouse=True)
def people(engine: sa.Engine, password_hash: str) -> None:
    """An admin of acme and a root admin, each with the role as login."""
    rows = [(Role.TENANT_ADMIN, "acme"), (Role.ROOT_ADMIN, None)]
    with operator_session(engine, write=True) as session:
        session.connection.execute(
            sa.insert(users),
            [
                {
                    "login": role,
                    "role": role,
                    "tenant_id": tenant,
                    "password_hash": password_hash,
                    "created_at": NOW,
                }
                for role, tenant in rows
            ],
        )
