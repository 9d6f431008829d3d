"""The way of notices to their tenants, on a real ledger."""

from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from collector.facts.claim import Claim, ClaimKind
from collector.facts.fact import Fact, Rank, Verdict
from collector.webhooks.claims import Ignored, Notice
from collector.webhooks.reception import Reception, build_reception
from ledger.settings import Settings
from ledger.tenant import UNATTRIBUTED, TenantId
from ledger.tenants import look_up_tenant
from tests.builders import NOW
from tests.service.attribution.claims import HASH_KEY, map_to
from tests.webhooks import OWN, usages

BY_NUMBER = (Claim(ClaimKind.NUMBER, OWN),)


def notice(tenant: str | None = None, *claims: Claim, **changes: Any) -> Notice:
    usual: dict[str, Any] = {
        "usage_id": "SM1",
        "fact_id": "delivered",
        "rank": Rank.FINAL,
        "verdict": Verdict.BILLED,
        "time": NOW,
        "channel": "sms",
        "direction": "outbound",
        "source": "twilio",
    }
    fact = Fact(**{**usual, **changes})
    return Notice(facts=(fact,), claims=claims, tenant=None if tenant is None else TenantId(tenant))


def mail(tenant: str | None, recipient: str, usage_id: str = "M1") -> Notice:
    changes = {"channel": "email", "source": "sendgrid", "quantity": 1, "adds": True}
    return notice(tenant, usage_id=usage_id, fact_id=recipient, **changes)


@pytest.fixture
def reception(engine: sa.Engine) -> Reception:
    return build_reception(engine, Settings(hash_key=SecretStr(HASH_KEY)))


def test_claims_lead_to_the_tenant_where_none_is_named(
    reception: Reception, engine: sa.Engine
) -> None:
    map_to(engine, "acme", "number", OWN)
    outcomes = reception.receive([notice(None, *BY_NUMBER)], now=NOW)
    assert ({"stored": 1}, [("acme", 1, 1)]) == (dict(outcomes), usages(engine))


def test_the_tenant_that_is_named_goes_before_claims(
    reception: Reception, engine: sa.Engine
) -> None:
    map_to(engine, "acme", "number", OWN)
    reception.receive([notice("karachi", *BY_NUMBER)], now=NOW)
    assert [("karachi", 1, 1)] == usages(engine)


def test_recipients_of_one_mailing_are_of_the_tenants_that_each_names(
    reception: Reception, engine: sa.Engine
) -> None:
    said = [mail("karachi", "r1"), mail("acme", "r2"), mail("karachi", "r3")]
    reception.receive(said, now=NOW)
    assert [("acme", 1, 1), ("karachi", 1, 2)] == usages(engine)


def test_the_same_recipients_in_webhooks_of_their_own_come_to_the_same(
    reception: Reception, engine: sa.Engine
) -> None:
    for one in (mail("karachi", "r1"), mail("acme", "r2"), mail("karachi", "r3")):
        reception.receive([one], now=NOW)
    assert [("acme", 1, 1), ("karachi", 1, 2)] == usages(engine)


def test_a_named_tenant_is_registered_where_the_settings_say_so(engine: sa.Engine) -> None:
    reception = build_reception(engine, Settings(auto_register_tenants=True))
    reception.receive([mail("newcomer", "r1"), mail("acme", "r2")], now=NOW)
    is_there = look_up_tenant(engine, TenantId("newcomer")) is not None
    assert (True, [("acme", 1, 1), ("newcomer", 1, 1)]) == (is_there, usages(engine))


def test_without_that_setting_nobody_is_registered(reception: Reception, engine: sa.Engine) -> None:
    reception.receive([notice("newcomer")], now=NOW)
    is_there = look_up_tenant(engine, TenantId("newcomer")) is not None
    assert (False, [(UNATTRIBUTED, 1, 1)]) == (is_there, usages(engine))


def test_a_fact_that_cannot_be_booked_is_counted_by_its_code_and_fails_no_other(
    reception: Reception, engine: sa.Engine
) -> None:
    said: list[Notice | Ignored] = [
        notice("acme", usage_id="SM1", quantity=-1),
        notice("acme", usage_id="SM2"),
        Ignored.PROGRESS,
    ]
    outcomes = reception.receive(said, now=NOW)
    assert ({"invalid_quantity": 1, "stored": 1, "progress": 1}, [("acme", 1, 1)]) == (
        dict(outcomes),
        usages(engine),
    )
