"""Where facts are booked: for the tenant that claims or a name lead to, or for nobody."""

import pytest
import sqlalchemy as sa

from collector.attribution.routing import Outcome, Report, Router
from collector.facts.claim import Claim, ClaimKind
from collector.facts.fact import Booked, Rank, Verdict
from collector.intake import Intake
from ledger.models import unattributed_usage
from ledger.session import operator_session
from ledger.tenant import UNATTRIBUTED, TenantId
from ledger.tenants import close_tenant
from tests.builders import NOW, ai, sms
from tests.service.attribution.claims import ACCOUNT, NUMBER, map_to
from tests.service.attribution.reports import YESTERDAY, report, totals

NAME = str(UNATTRIBUTED)
BY_ACCOUNT = (Claim(ClaimKind.ACCOUNT, ACCOUNT),)


def entries(engine: sa.Engine) -> list[str]:
    with operator_session(engine) as session:
        return list(session.connection.execute(sa.select(unattributed_usage.c.claims)).scalars())


def test_what_is_mapped_is_booked_for_its_tenant(router: Router, engine: sa.Engine) -> None:
    map_to(engine, "acme")
    assert [Outcome(TenantId("acme"), Booked.STORED)] == router.book([report()], now=NOW)
    assert {"acme": (1, 3)} == totals(engine)


def test_what_nobody_claims_is_booked_for_nobody(router: Router, engine: sa.Engine) -> None:
    assert [Outcome(UNATTRIBUTED, Booked.STORED)] == router.book([report()], now=NOW)
    assert {NAME: (1, 3)} == totals(engine)


def test_the_same_again_is_a_duplicate_there_too(router: Router, engine: sa.Engine) -> None:
    booked = [router.book([report()], now=NOW)[0].booked for _ in range(2)]
    assert ([Booked.STORED, Booked.DUPLICATE], {NAME: (1, 3)}) == (booked, totals(engine))


def test_of_a_claim_no_number_is_kept(router: Router, engine: sa.Engine) -> None:
    router.book([report(claims=[Claim(ClaimKind.NUMBER, NUMBER), *BY_ACCOUNT])], now=NOW)
    (claims,) = entries(engine)
    assert (False, True) == ("5550100" in claims, ACCOUNT in claims)


def test_without_a_hash_key_a_number_claims_nothing(engine: sa.Engine, rules: object) -> None:
    router = Router(engine, rules, hash_key=None)  # type: ignore[arg-type] # the fixture's
    router.book([report()], now=NOW)
    assert ["[]"] == entries(engine)


def test_usage_before_a_mapping_is_not_its_tenants(router: Router, engine: sa.Engine) -> None:
    map_to(engine, "acme", valid_from=None)
    router.book([report()], now=NOW)
    assert {NAME: (1, 3)} == totals(engine)


def test_a_tenant_that_closed_takes_no_usage_of_later(router: Router, engine: sa.Engine) -> None:
    map_to(engine, "acme")
    with operator_session(engine, write=True) as session:
        close_tenant(session, TenantId("acme"), now=YESTERDAY)
    router.book([report()], now=NOW)
    assert {NAME: (1, 3)} == totals(engine)


def test_a_named_tenant_goes_before_what_is_mapped(router: Router, engine: sa.Engine) -> None:
    map_to(engine, "acme")
    router.book([report(named="karachi")], now=NOW)
    assert {"karachi": (1, 3)} == totals(engine)


def test_usage_of_a_named_tenant_that_is_not_there_is_nobody_elses(
    router: Router, engine: sa.Engine
) -> None:
    map_to(engine, "acme")
    router.book([report(named="umbrella")], now=NOW)
    assert {NAME: (1, 3)} == totals(engine)


def test_a_usage_that_waits_goes_to_the_tenant_that_a_later_message_names(
    router: Router, engine: sa.Engine
) -> None:
    router.book([report(fact_id="sent", rank=Rank.PROGRESS, quantity=1)], now=NOW)
    router.book([report(named="karachi")], now=NOW)
    assert {"karachi": (1, 3)} == totals(engine)


def test_facts_of_a_usage_stay_together_when_what_is_mapped_changes(
    router: Router, engine: sa.Engine
) -> None:
    map_to(engine, "acme")
    map_to(engine, "karachi", valid_from="2026-03-10T00:00:00Z")
    router.book([report(fact_id="sent", rank=Rank.PROGRESS, quantity=1)], now=NOW)
    router.book([report(time=NOW)], now=NOW)
    router.book([report("SM2", time=NOW)], now=NOW)
    assert {"acme": (1, 3), "karachi": (1, 3)} == totals(engine)


def test_facts_of_a_usage_stay_together_when_a_mistaken_mapping_is_mended(
    router: Router, engine: sa.Engine
) -> None:
    map_to(engine, "acme")
    router.book([report(fact_id="sent", rank=Rank.PROGRESS, quantity=1)], now=NOW)
    map_to(engine, "karachi", valid_from="2026-01-01T00:00:00Z")
    router.book([report(), report("SM2")], now=NOW)
    assert {"acme": (1, 3), "karachi": (1, 3)} == totals(engine)


def test_a_fact_goes_to_the_event_of_its_usage_when_the_mapping_has_ended(
    router: Router, engine: sa.Engine, intake: Intake
) -> None:
    map_to(engine, "acme", valid_from=None)
    intake.book([sms("SM1", quantity=2)], only_tenant=None, now=NOW)
    router.book([report()], now=NOW)
    assert {"acme": (1, 3)} == totals(engine)


def test_what_nobody_claims_goes_to_the_event_that_the_sdk_booked(
    router: Router, engine: sa.Engine, intake: Intake
) -> None:
    intake.book([sms("SM1", quantity=2)], only_tenant=None, now=NOW)
    router.book([report(claims=[])], now=NOW)
    assert {"acme": (1, 3)} == totals(engine)


def test_what_is_mapped_to_another_goes_to_the_event_that_the_sdk_booked(
    router: Router, engine: sa.Engine, intake: Intake
) -> None:
    map_to(engine, "karachi")
    intake.book([sms("SM1", quantity=2)], only_tenant=None, now=NOW)
    router.book([report()], now=NOW)
    assert {"acme": (1, 3)} == totals(engine)


def test_recipients_of_a_mailing_that_the_sdk_booked_are_counted_already(
    router: Router, engine: sa.Engine, intake: Intake
) -> None:
    mailing = sms("M1", channel="email", source="sendgrid", quantity=2)
    intake.book([mailing], only_tenant=None, now=NOW)
    router.book([mail(f"r{n}") for n in range(2)], now=NOW)
    assert {"acme": (1, 2)} == totals(engine)


def mail(fact_id: str) -> Report:
    return report("M1", fact_id, claims=[], adds=True, quantity=1, channel="email")


def test_of_two_tenants_that_have_the_event_the_mapped_one_and_else_nobody_is_told(
    router: Router, engine: sa.Engine, intake: Intake
) -> None:
    events = [sms(i, tenant=t) for i in ("SM1", "SM2") for t in ("acme", "karachi")]
    intake.book(events, only_tenant=None, now=NOW)
    map_to(engine, "karachi")
    places = [one.tenant_id for one in router.book([report(), report("SM2", claims=[])], now=NOW)]
    assert ["karachi", NAME] == places


def test_usage_of_ai_is_no_event_of_what_providers_tell(router: Router, intake: Intake) -> None:
    intake.book([ai("SM1")], only_tenant=None, now=NOW)
    (answer,) = router.book([report(claims=[])], now=NOW)
    assert UNATTRIBUTED == answer.tenant_id


def test_what_waits_goes_to_the_event_when_it_is_told_of_again(
    router: Router, engine: sa.Engine, intake: Intake
) -> None:
    router.book([report(fact_id="sent", rank=Rank.PROGRESS, claims=[], quantity=1)], now=NOW)
    intake.book([sms("SM1", quantity=2)], only_tenant=None, now=NOW)
    router.book([report(claims=[])], now=NOW)
    assert {"acme": (1, 3)} == totals(engine)


def test_later_messages_add_to_what_claims_a_usage(router: Router, engine: sa.Engine) -> None:
    router.book([report(fact_id="sent", claims=[])], now=NOW)
    router.book([report(claims=BY_ACCOUNT)], now=NOW)
    (claims,) = entries(engine)
    assert ACCOUNT in claims


def test_a_fact_that_cannot_be_fails_none_of_the_others(router: Router, engine: sa.Engine) -> None:
    map_to(engine, "acme")
    good, bad = report("SM1"), report("SM2", channel="fax")
    answers = router.book([bad, good, bad], now=NOW)
    codes = [answer.error and answer.error.code for answer in answers]
    assert (["unknown_channel", None, "unknown_channel"], {"acme": (1, 3)}) == (
        codes,
        totals(engine),
    )


def test_many_facts_of_many_tenants_are_answered_in_order(
    router: Router, engine: sa.Engine
) -> None:
    map_to(engine, "acme")
    map_to(engine, "karachi", "account", ACCOUNT)
    reports = [
        report(f"SM{n}", claims=(BY_ACCOUNT if n % 3 == 1 else [] if n % 3 == 2 else ()) or
               ([Claim(ClaimKind.NUMBER, NUMBER)] if n % 3 == 0 else []))
        for n in range(1200)
    ]  # fmt: skip
    found = [answer.tenant_id for answer in router.book(reports, now=NOW)]
    assert ["acme", "karachi", NAME] * 400 == found
    assert {"acme": (400, 1200), "karachi": (400, 1200), NAME: (400, 1200)} == totals(engine)


@pytest.mark.parametrize("verdict", [Verdict.VOID, Verdict.FAILED])
def test_what_is_not_billed_is_told_for_nobody_too(
    router: Router, engine: sa.Engine, verdict: Verdict
) -> None:
    router.book([report(fact_id="sent", rank=Rank.PROGRESS)], now=NOW)
    router.book([report(fact_id="end", verdict=verdict)], now=NOW)
    expected = {} if verdict is Verdict.VOID else {NAME: (1, 1)}
    assert expected == totals(engine)
