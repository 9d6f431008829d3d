"""Fixtures: a collector behind nginx, and providers that post to it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from api.services import Services
from collector.webhooks.reception import build_reception
from collector.webhooks.tally import Tally
from ledger.settings import Settings
from tests.collector import Collector
from tests.servers.nginx import Nginx
from tests.service.attribution.claims import HASH_KEY, map_to
from tests.webhooks import (
    OLD_TOKEN,
    OWN,
    PUBLIC_URL,
    SHARED_KEY,
    SUB_SHARED_KEY,
    SUB_TOKEN,
    SUBACCOUNT,
    TOKEN,
    MailKey,
    Provider,
)

SUBUSER = "acme-mail"


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    nginx = Nginx(tmp_path_factory.mktemp("nginx"))
    yield nginx
    nginx.close()


@pytest.fixture(scope="session")
def mail_key() -> MailKey:
    return MailKey()


@pytest.fixture(scope="session")
def subusers_key() -> MailKey:
    return MailKey()


@pytest.fixture
def settings(mail_key: MailKey, subusers_key: MailKey) -> Settings:
    chosen: dict[str, Any] = {
        "public_url": PUBLIC_URL,
        "twilio_auth_token": f"{TOKEN},{OLD_TOKEN},{SUBACCOUNT}={SUB_TOKEN}",
        "twilio_shared_key": f"{SHARED_KEY},{SUBACCOUNT}={SUB_SHARED_KEY}",
        "sendgrid_public_key": f"{mail_key.public},{SUBUSER}={subusers_key.public}",
        "hash_key": HASH_KEY,
        "feature_rules": f"number:{OWN}=ivr,category:booking_confirmation=booking_email",
        "max_body_bytes": 64 * 1024,
    }
    return Settings(**chosen)


@pytest.fixture
def mapped(engine: sa.Engine) -> None:
    """A number and a subuser of acme, and a subaccount of karachi."""
    map_to(engine, "acme", "number", OWN)
    map_to(engine, "acme", "subuser", SUBUSER)
    map_to(engine, "karachi", "account", SUBACCOUNT)


@pytest.fixture
def services(services: Services, settings: Settings) -> Services:
    reception = build_reception(services.engine, settings)
    return replace(services, settings=settings, reception=reception, tally=Tally())


@pytest.fixture
def collector(services: Services, nginx: Nginx) -> Iterator[Collector]:
    collector = Collector(services, port=nginx.upstream)
    yield collector
    collector.close()


@pytest.fixture
def unknown(collector: Collector, nginx: Nginx, mail_key: MailKey) -> Provider:
    """A provider whose webhooks reach the collector, and name nothing that is mapped."""
    assert collector.url.endswith(f":{nginx.upstream}")
    return Provider(nginx, mail_key)


@pytest.fixture
def provider(unknown: Provider, mapped: None) -> Provider:
    """A provider whose webhooks reach the collector, which knows what they name."""
    del mapped  # it is there by now
    return unknown
