"""Fills a demo ledger: registers the tenants, books through the intake, costs day by day."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from cli import schema
from cli.demo.tenants import DemoTenant
from cli.demo.usage import Delivery
from cli.prices.first import take_first_catalogue
from cli.wiring import Wiring
from collector.intake import Intake
from costing.job import Costing
from ledger.errors import ConflictError
from ledger.event import Status
from ledger.session import operator_session
from ledger.tenants import add_tenant, list_tenants

_CHUNK_EVENTS = 5000


def trust_the_cache(engine: sa.Engine) -> None:
    """Let a ledger file that is made anew when in doubt not wait for the disk: 1.6 ms a commit."""
    sa.event.listen(engine, "connect", _trust_the_cache)


def need_no_tenants(wiring: Wiring) -> None:
    """Check that a ledger has nobody's usage before invented usage is put into it.

    Raises:
        ConflictError: `ledger_in_use`.
    """
    with operator_session(wiring.engine) as session:
        if list_tenants(session):
            raise ConflictError(
                "ledger_in_use", "the ledger has tenants; invented usage goes into an empty one"
            )


def prepare_ledger(
    wiring: Wiring, tenants: Sequence[DemoTenant], *, days: int, today: date
) -> None:
    """Make the schema and register the tenants, on the day that each came."""
    schema.upgrade(wiring.engine)
    take_first_catalogue(wiring)
    midnight = datetime.combine(today, time(), UTC)
    with operator_session(wiring.engine, write=True) as session:
        for tenant in tenants:
            since = days if tenant.since is None else min(tenant.since, days)
            add_tenant(
                session,
                tenant.tenant_id,
                name=tenant.name,
                plan=tenant.plan,
                timezone=tenant.timezone,
                now=midnight - timedelta(days=since),
            )


def book_deliveries(
    wiring: Wiring, deliveries: Iterable[Delivery], *, now: datetime
) -> Counter[Status]:
    """Book and cost every delivery as if it were its own instant, the newest one `now`.

    So days close while the usage comes in, and what comes later than that is journalled, as in a
    ledger that was there all the time.
    """
    intake, costing = wiring.intake, wiring.costing
    counts: Counter[Status] = Counter()
    for at, events in deliveries:
        instant = now if at.date() == now.date() else at
        counts += _book_delivery(intake, costing, events, now=instant)
    return counts


def _book_delivery(
    intake: Intake, costing: Costing, events: Sequence[dict[str, Any]], *, now: datetime
) -> Counter[Status]:
    counts: Counter[Status] = Counter()
    for start in range(0, len(events), _CHUNK_EVENTS):
        chunk = events[start : start + _CHUNK_EVENTS]
        for result in intake.book(chunk, only_tenant=None, now=now):
            counts[result.status] += 1
            if result.status is Status.REJECTED:
                raise AssertionError(f"a demo event was rejected: {result}")
    costing.run(clock=lambda: now)
    return counts


def _trust_the_cache(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")
