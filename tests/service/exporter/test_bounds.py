"""However many tenants there are, there are only so many series."""

from collections import Counter

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from exporter.collectors import choose_collectors
from exporter.watch import MAX_COSTLY_TENANTS, MAX_HIGH_AI_TENANTS
from ledger.models import (
    tenant_periods,
    tenants,
    usage_rollups_daily,
    usage_rollups_hourly,
)
from ledger.session import operator_session
from tests.builders import NOW
from tests.service.exporter.spend import WATCH, make_busy

MORE = MAX_HIGH_AI_TENANTS + 300


def multiply(engine: sa.Engine) -> None:
    """Let many tenants have what acme has."""
    with operator_session(engine, write=True) as session:
        for table in (tenants, tenant_periods, usage_rollups_daily, usage_rollups_hourly):
            own = table.select().where(table.c.tenant_id == "acme")
            rows = session.connection.execute(own).mappings().all()
            copies = [{**row, "tenant_id": f"copy{n:04}"} for n in range(MORE - 1) for row in rows]
            session.connection.execute(table.insert(), copies)


@pytest.mark.ledger("sqlite")
def test_the_number_of_series_is_bounded(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    make_busy(engine, intake, costing, now=NOW)
    multiply(engine)
    with operator_session(engine) as session:
        shown: Counter[str] = Counter()
        totals = {}
        for collect in choose_collectors(WATCH, ships=False).values():
            for sample in collect(session, NOW):
                shown[sample.name.removeprefix("meterline_")] += 1
                totals[sample.name.removeprefix("meterline_")] = sample[1]
    expected = {
        "tenant_today_cost_usd": WATCH.tenants + 1,
        "tenant_today_ai_share_ratio": WATCH.tenants,
        "high_ai_cost_usd": MAX_HIGH_AI_TENANTS,
        "high_ai_share_ratio": MAX_HIGH_AI_TENANTS,
        "hour_cost_usd": MAX_COSTLY_TENANTS,
        "hour_burn_ratio": MAX_COSTLY_TENANTS,
        "hour_ai_cost_usd": MAX_COSTLY_TENANTS,
        "hour_ai_burn_ratio": MAX_COSTLY_TENANTS,
    }
    assert expected == {name: shown[name] for name in expected}
    exact = ("high_ai_tenants", "hour_costly_tenants", "hour_ai_costly_tenants")
    assert dict.fromkeys(exact, MORE) == {name: totals[name] for name in exact}
    assert 3_100 > shown.total()
