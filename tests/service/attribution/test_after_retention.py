"""A webhook that is sent again after retention took its usage books nothing, for nobody."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from collector.attribution.job import Attribution
from collector.attribution.routing import Outcome, Router
from collector.facts.claim import Claim, ClaimKind
from collector.facts.fact import Booked
from collector.intake import Intake
from costing.job import Costing
from ledger.models import usage_tombstones
from ledger.session import operator_session
from ledger.tenant import UNATTRIBUTED, TenantId
from tests.builders import NOW, ai, sms
from tests.service.attribution.claims import ACCOUNT, map_to
from tests.service.attribution.reports import report, take_old, totals

OLD = NOW - timedelta(days=50)
EXPIRED = Outcome(TenantId("acme"), Booked.EXPIRED)
OWNER = Claim(ClaimKind.ACCOUNT, ACCOUNT)
RECIPIENT: dict[str, Any] = {
    "usage_id": "M1",
    "fact_id": "r1",
    "adds": True,
    "quantity": 1,
    "channel": "email",
}


def old(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "time": OLD.isoformat()}


@pytest.fixture
def take(engine: sa.Engine, costing: Costing) -> Any:
    def take() -> None:
        costing.run(clock=lambda: NOW)
        take_old(engine)

    return take


def map_all(engine: sa.Engine, tenant: str, since: str = "2026-01-01") -> None:
    map_to(engine, tenant, valid_from=since)
    map_to(engine, tenant, "account", ACCOUNT, valid_from=since)


@pytest.mark.parametrize("told", [{}, {"claims": []}], ids=["claimed", "unclaimed"])
@pytest.mark.parametrize("owner", [None, OWNER], ids=["anybodys", "owners"])
def test_what_the_sdk_booked_is_booked_for_no_other(  # noqa: PLR0917 - fixtures
    router: Router,
    engine: sa.Engine,
    intake: Intake,
    take: Any,
    told: dict[str, Any],
    owner: Claim | None,
) -> None:
    intake.book([old(sms("SM1", quantity=3))], only_tenant=None, now=NOW)
    map_all(engine, "acme")
    router.book([report(time=OLD, **told)._replace(owner=owner)], now=NOW)
    take()
    map_all(engine, "karachi", "2026-02-01")
    again = router.book([report(**told)._replace(owner=owner)], now=NOW)
    assert ([EXPIRED], {}) == (again, totals(engine))


def test_a_recipient_is_booked_for_no_other(router: Router, engine: sa.Engine, take: Any) -> None:
    map_all(engine, "acme")
    router.book([report(time=OLD, **RECIPIENT)], now=NOW)
    take()
    map_all(engine, "karachi", "2026-02-01")
    assert ([EXPIRED], {}) == (router.book([report(**RECIPIENT)], now=NOW), totals(engine))


def test_what_waits_beside_an_event_that_was_taken_is_counted_no_more(
    router: Router, engine: sa.Engine, intake: Intake, attribution: Attribution, take: Any
) -> None:
    router.book([report(claims=[])], now=NOW)
    intake.book([old(sms("SM1", quantity=3))], only_tenant=None, now=NOW)
    take()
    attribution.run(now=NOW)
    assert {} == totals(engine)


def test_usage_of_ai_that_was_taken_is_no_event_of_what_providers_tell(
    router: Router, intake: Intake, take: Any
) -> None:
    intake.book([old(ai("SM1"))], only_tenant=None, now=NOW)
    take()
    expected = [Outcome(UNATTRIBUTED, Booked.STORED)]
    assert expected == router.book([report(claims=[])], now=NOW)


def test_what_an_older_version_took_may_be_an_event_of_what_providers_tell(
    router: Router, engine: sa.Engine
) -> None:
    with operator_session(engine, write=True) as session:
        values = {"tenant_id": "acme", "event_id": "SM1", "fingerprint": b"\x00"}
        session.connection.execute(sa.insert(usage_tombstones).values(values))
    assert [EXPIRED] == router.book([report(claims=[])], now=NOW)
