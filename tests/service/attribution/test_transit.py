"""What is on its way, in units and in money."""

from datetime import timedelta

import sqlalchemy as sa
from flask import Flask

from collector.attribution.job import Attribution
from collector.attribution.routing import Router
from collector.attribution.transit import read_in_transit
from collector.facts.fact import Rank, Verdict
from costing.job import Costing
from costing.reports.travelling import cost_of_travelling
from ledger.keys import Scope
from ledger.models import usage_rollups_daily
from ledger.session import operator_session
from ledger.tenant import UNATTRIBUTED, TenantId
from tests.access import bearer, make_key
from tests.builders import NOW
from tests.service.attribution.reports import report

GONE = TenantId("gone")
"""It is not there, so that what goes to it does not arrive."""

SENT = [
    report("SM1"),
    report("SM2", time=NOW - timedelta(days=9), quantity=2),
    report("SM3", verdict=Verdict.FAILED),
    report("SM4", verdict=Verdict.VOID),
    report("SM5", "sent", rank=Rank.PROGRESS, quantity=1, feature="broadcast"),
    report("SM5", feature="ivr"),
    *(report("M1", r, channel="email", source="sendgrid", adds=True, quantity=1) for r in "ab"),
    report("CA1", channel="voice", quantity=2, direction="inbound"),
]
IDS = ("SM1", "SM2", "SM3", "SM4", "SM5", "M1:a", "M1:b", "CA1")


def moneys(engine: sa.Engine) -> dict[str, int | None]:
    with operator_session(engine) as session:
        return {
            part.channel: cost_of_travelling(session, UNATTRIBUTED, part.measures)
            for part in read_in_transit(session)
        }


def rolled_up(engine: sa.Engine) -> dict[str, int]:
    columns = usage_rollups_daily.c
    query = sa.select(columns.channel, sa.func.sum(columns.estimated_cost)).group_by(
        columns.channel
    )
    with operator_session(engine) as session:
        return {row[0]: int(row[1]) for row in session.connection.execute(query)}


def test_what_is_on_its_way_is_the_money_that_left(
    router: Router, attribution: Attribution, engine: sa.Engine, costing: Costing
) -> None:
    router.book(SENT, now=NOW)
    costing.run(clock=lambda: NOW)
    before = rolled_up(engine)
    attribution.move(dict.fromkeys(IDS, GONE), now=NOW)
    costing.run(clock=lambda: NOW)
    assert (before, {"sms": 0, "email": 0, "voice": 0}) == (moneys(engine), rolled_up(engine))


def test_what_left_before_it_was_costed_has_its_price_when_that_is_done(
    router: Router, attribution: Attribution, engine: sa.Engine, costing: Costing
) -> None:
    router.book([report()], now=NOW)
    attribution.move({"SM1": GONE}, now=NOW)
    before = moneys(engine)
    costing.run(clock=lambda: NOW)
    assert ({"sms": None}, {"sms": 26_700_000}) == (before, moneys(engine))


def test_the_api_tells_what_is_on_its_way(
    router: Router, attribution: Attribution, app: Flask, engine: sa.Engine, costing: Costing
) -> None:
    router.book([report()], now=NOW)
    costing.run(clock=lambda: NOW)
    attribution.move({"SM1": GONE}, now=NOW)
    headers = bearer(make_key(engine, Scope.TENANTS))
    answer = app.test_client().get("/api/admin/mappings", headers=headers).get_json()
    expected = {
        "tenant": "gone",
        "channel": "sms",
        "usages": 1,
        "quantity": 3,
        "estimated_cost": "0.0267",
    }
    assert [expected] == answer["in_transit"]
