"""What each invented tenant of the demo spent on each of its days, through the real intake."""

from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from cli.demo.run import book_deliveries, prepare_ledger
from cli.demo.tenants import TENANTS
from cli.demo.usage import deliver_usage
from cli.wiring import Wiring
from ledger.columns import whole_sum
from ledger.engine import create_ledger_engine
from ledger.models import usage_rollups_daily
from ledger.money import Nanos
from ledger.session import operator_session
from ledger.settings import Settings

TODAY = date(2026, 3, 10)
DAYS = 90

_ROLLUP = usage_rollups_daily.c


def spend_by_day() -> dict[str, dict[date, Nanos]]:
    """Return what has a price by tenant and local date: the demo's ninety days before `TODAY`."""
    now = datetime.fromisoformat(f"{TODAY}T00:00:00+00:00")
    with TemporaryDirectory(prefix="bench-") as folder:
        engine = create_ledger_engine(f"sqlite:///{Path(folder, 'demo.db')}")
        wiring = Wiring(settings=Settings.model_construct(), engine=engine, clock=lambda: now)
        prepare_ledger(wiring, TENANTS, days=DAYS, today=TODAY)
        book_deliveries(wiring, deliver_usage(TENANTS, days=DAYS, today=TODAY), now=now)
        try:
            return _read(engine)
        finally:
            engine.dispose()


def _read(engine: sa.Engine) -> dict[str, dict[date, Nanos]]:
    query = sa.select(_ROLLUP.tenant_id, _ROLLUP.date, whole_sum(_ROLLUP.estimated_cost)).group_by(
        _ROLLUP.tenant_id, _ROLLUP.date
    )
    # The last dates are cut off in the middle where the tenant is ahead of UTC or behind it.
    last = TODAY - timedelta(days=2)
    found: dict[str, dict[date, Nanos]] = {}
    with operator_session(engine) as session:
        for tenant_id, day, cost in session.connection.execute(query):
            if cost is not None and TODAY - timedelta(days=DAYS) < day <= last:
                found.setdefault(tenant_id, {})[day] = Nanos(cost)
    return found
