"""Fixtures: the application with a hash key, and who may map."""

from dataclasses import replace

import pytest
from flask import Flask
from pydantic import SecretStr

from api.app import create_app
from api.services import Services
from ledger.settings import Settings
from tests.service.attribution.claims import HASH_KEY


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(replace(services, settings=Settings(hash_key=SecretStr(HASH_KEY))))
