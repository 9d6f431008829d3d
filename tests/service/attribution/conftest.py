"""Fixtures: the application with a hash key, and who may map."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from flask import Flask
from pydantic import SecretStr

from api.app import create_app
from api.services import Services
from collector.attribution.job import Attribution
from collector.attribution.routing import Router
from collector.events import Rules
from ledger.settings import Settings
from tests.service.attribution.claims import HASH_KEY


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(replace(services, settings=Settings(hash_key=SecretStr(HASH_KEY))))


@pytest.fixture
def router(engine: sa.Engine, rules: Rules) -> Router:
    return Router(engine, rules, hash_key=HASH_KEY.encode())


@pytest.fixture
def attribution(engine: sa.Engine) -> Attribution:
    return Attribution(engine)
