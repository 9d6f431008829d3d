"""Fixtures: a collector behind nginx, and providers that post to it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from api.services import Services
from collector.facts.claim import Claim, ClaimKind
from collector.intake import Intake
from collector.webhooks.reception import Reception
from collector.webhooks.tally import Tally
from ledger.settings import Settings
from tests.collector import Collector
from tests.servers.nginx import Nginx
from tests.webhooks import (
    OLD_TOKEN,
    OWN,
    PUBLIC_URL,
    SHARED_KEY,
    SUB_TOKEN,
    SUBACCOUNT,
    TOKEN,
    BookedAsEvents,
    MailKey,
    Mapped,
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
        "twilio_shared_key": SHARED_KEY,
        "sendgrid_public_key": f"{mail_key.public},{SUBUSER}={subusers_key.public}",
        "feature_rules": f"number:{OWN}=ivr,category:booking_confirmation=booking_email",
        "max_body_bytes": 64 * 1024,
    }
    return Settings(**chosen)


@pytest.fixture
def booked(intake: Intake) -> BookedAsEvents:
    return BookedAsEvents(intake)


@pytest.fixture
def reception(engine: sa.Engine, booked: BookedAsEvents) -> Reception:
    mapped = Mapped(
        {
            Claim(ClaimKind.ACCOUNT, SUBACCOUNT): "karachi",
            Claim(ClaimKind.NUMBER, OWN): "acme",
            Claim(ClaimKind.SUBUSER, SUBUSER): "acme",
        }
    )
    return Reception(engine, mapped, booked)


@pytest.fixture
def services(services: Services, settings: Settings, reception: Reception) -> Services:
    return replace(services, settings=settings, reception=reception, tally=Tally())


@pytest.fixture
def collector(services: Services, nginx: Nginx) -> Iterator[Collector]:
    collector = Collector(services, port=nginx.upstream)
    yield collector
    collector.close()


@pytest.fixture
def provider(collector: Collector, nginx: Nginx, mail_key: MailKey) -> Provider:
    """A provider whose webhooks reach the collector."""
    assert collector.url.endswith(f":{nginx.upstream}")
    return Provider(nginx, mail_key)
