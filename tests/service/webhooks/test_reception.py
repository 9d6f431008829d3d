"""The way of notices to their tenants, on a real ledger."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from collector.attribution.job import Attribution
from collector.facts.claim import Claim, ClaimKind
from collector.facts.fact import Fact, Rank, Verdict
from collector.intake import Intake
from collector.webhooks.claims import Ignored, Notice
from collector.webhooks.reception import Reception, build_reception
from ledger.session import operator_session
from ledger.settings import Settings
from ledger.tenant import UNATTRIBUTED, TenantId
from ledger.tenants import add_tenant, look_up_tenant
from tests.builders import NOW, sms
from tests.service.attribution.claims import ACCOUNT, HASH_KEY, map_to
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


RECIPIENTS = (
    mail(None, "r1"),
    mail("acme", "r2"),
    mail("newcomer", "r3"),
    mail("karachi", "r4"),
)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 3, 2), (3, 2, 1, 0), (2, 0, 1, 3)])
@pytest.mark.parametrize("at_once", [4, 1], ids=["together", "one by one"])
def test_a_recipient_without_a_tenant_takes_no_other_of_its_mailing_with_it(
    reception: Reception, engine: sa.Engine, order: tuple[int, ...], at_once: int
) -> None:
    said = [RECIPIENTS[number] for number in (*order, *order)]
    for start in range(0, len(said), at_once):
        reception.receive(said[start : start + at_once], now=NOW)
    expected = [(UNATTRIBUTED, 2, 2), ("acme", 1, 1), ("karachi", 1, 1)]
    assert expected == usages(engine)


def test_a_recipient_that_waits_moves_alone_and_stays_where_it_went(
    reception: Reception, engine: sa.Engine
) -> None:
    reception.receive(RECIPIENTS, now=NOW)
    with operator_session(engine, write=True) as session:
        add_tenant(session, TenantId("newcomer"), name="Newcomer", now=NOW)
    Attribution(engine).run(now=NOW)
    reception.receive(RECIPIENTS, now=NOW)
    expected = [(UNATTRIBUTED, 1, 1), ("acme", 1, 1), ("karachi", 1, 1), ("newcomer", 1, 1)]
    assert expected == usages(engine)


def test_recipients_that_move_to_one_tenant_are_one_usage_there(
    reception: Reception, engine: sa.Engine
) -> None:
    reception.receive([mail("acme", "r0"), *(mail("newcomer", f"r{n}") for n in (1, 2))], now=NOW)
    with operator_session(engine, write=True) as session:
        add_tenant(session, TenantId("newcomer"), name="Newcomer", now=NOW)
    Attribution(engine).run(now=NOW)
    expected = [("acme", "M1", 1, 1), ("newcomer", "M1", 1, 2)]
    assert expected == [row for row in usages(engine, "usage_id") if row[0] != UNATTRIBUTED]


def test_a_recipient_is_not_counted_again_when_its_mapping_is_mended(
    reception: Reception, engine: sa.Engine
) -> None:
    by_subuser = Claim(ClaimKind.SUBUSER, "mail")
    told = notice(None, by_subuser, usage_id="M1", fact_id="r1", channel="email", adds=True)
    map_to(engine, "acme", "subuser", "mail")
    reception.receive([told], now=NOW)
    map_to(engine, "karachi", "subuser", "mail", valid_from="2025-12-31T00:00:00Z")
    map_to(engine, "karachi", "subuser", "mail", valid_from="2026-01-01T00:00:00Z")
    reception.receive([told], now=NOW)
    assert [("acme", 1, 1)] == usages(engine)


OWNER = Claim(ClaimKind.ACCOUNT, ACCOUNT)


def owned(tenant: str | None = None, **changes: Any) -> Notice:
    return replace(notice(tenant, *BY_NUMBER, OWNER, **changes), owner=OWNER)


def test_the_key_of_one_owner_reaches_its_tenant_alone_whatever_else_is_named(
    reception: Reception, engine: sa.Engine
) -> None:
    map_to(engine, "acme", "number", OWN)
    map_to(engine, "karachi", "account", ACCOUNT)
    reception.receive([owned(), owned("acme", usage_id="SM2")], now=NOW)
    assert [("karachi", 2, 2)] == usages(engine)


def test_the_key_of_an_owner_that_is_not_mapped_reaches_nobody_until_it_is(
    reception: Reception, engine: sa.Engine
) -> None:
    map_to(engine, "acme", "number", OWN)
    reception.receive([owned("acme")], now=NOW)
    before = usages(engine)
    map_to(engine, "karachi", "account", ACCOUNT)
    Attribution(engine).run(now=NOW)
    assert ([(UNATTRIBUTED, 1, 1)], [("karachi", 1, 1)]) == (before, usages(engine))


def test_the_key_of_one_owner_voids_no_usage_of_others(
    reception: Reception, engine: sa.Engine, intake: Intake
) -> None:
    intake.book([sms("SM1", quantity=3)], only_tenant=None, now=NOW)
    reception.receive([notice("acme", usage_id="SM2"), notice(usage_id="SM3")], now=NOW)
    void = {"fact_id": "canceled", "verdict": Verdict.VOID}
    names = ("SM1", "SM2", "SM3")
    forged = [owned(name, usage_id=i, **void) for i in names for name in (None, "acme")]
    reception.receive(forged, now=NOW)
    map_to(engine, "karachi", "account", ACCOUNT)
    Attribution(engine).run(now=NOW)
    reception.receive(forged, now=NOW)
    assert [(UNATTRIBUTED, 1, 1), ("acme", 2, 4)] == usages(engine)


def test_no_tenant_is_registered_by_the_name_that_the_key_of_one_owner_signed(
    engine: sa.Engine,
) -> None:
    reception = build_reception(engine, Settings(auto_register_tenants=True))
    reception.receive([owned("newcomer")], now=NOW)
    assert None is look_up_tenant(engine, TenantId("newcomer"))


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
