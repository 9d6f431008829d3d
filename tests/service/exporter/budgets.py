"""Gives a ledger what the metrics of budgets and anomalies are made of."""

from datetime import timedelta

import sqlalchemy as sa

from ledger.anomalies import Anomaly, replace_anomalies
from ledger.budget_standings import Standing, replace_standings
from ledger.clock import system_clock
from ledger.money import Nanos
from ledger.session import tenant_session
from tests.costed import ACME


def spend_a_budget(engine: sa.Engine) -> None:
    """Write down what the worker would, by the clock of the exporter."""
    now = system_clock()
    standing = Standing(
        budget_id="daily",
        period="daily",
        feature=None,
        amount=Nanos(2),
        spent=Nanos(1),
        has_unpriced=False,
        ends_at=now + timedelta(hours=1),
    )
    anomaly = Anomaly(date=now.date(), channel="ai", spent=Nanos(3), usual=Nanos(1), bound=Nanos(2))
    with tenant_session(engine, ACME, write=True) as session:
        replace_standings(session, [standing])
        replace_anomalies(session, [anomaly], since=now.date())
