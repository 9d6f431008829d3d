"""`meterline rebuild`: computes anew what is derived from the ledger."""

import sys
import time
from datetime import datetime, timedelta
from uuid import uuid4

import click

from cli.options import known_tenant, known_tenants
from cli.shipping import ship_all, tell_shipped
from cli.wiring import Wiring, open_ledger
from collector.influx.target import Target
from collector.relay.leases import Leases
from collector.relay.resend import EVER, Dropping, make_due
from ledger.errors import ConflictError, ForbiddenError, InvalidError, MissingError
from ledger.period import DateRange
from ledger.session import operator_session
from ledger.shipping import measure_unshipped
from ledger.tenant import Tenant


@click.group()
def rebuild() -> None:
    """Recompute what is derived from the ledger."""


@rebuild.command("rollups")
@click.option("--tenant", "tenant_id", help="Only this tenant.")
@click.option("--price-version", help="What rated rows that were deleted, where it is not known.")
def rebuild_rollups(tenant_id: str | None, price_version: str | None) -> None:
    """Recompute the daily rollups from raw usage. Rows keep the price version that rated them."""
    wiring = open_ledger()
    mended = wiring.costing.rebuild(
        known_tenant(wiring, tenant_id), lost_version=price_version, clock=wiring.clock
    )
    click.echo(f"rollup rows that were wrong and are mended: {mended}")


_DAY = click.DateTime(["%Y-%m-%d"])
_WAIT_SECONDS = 0.5
_LEASE_SECONDS = 60.0


@rebuild.command("series")
@click.option("--tenant", "tenant_id", help="Only this tenant.")
@click.option("--from", "first", type=_DAY, help="First local date.")
@click.option("--to", "last", type=_DAY, help="Last local date, included.")
@click.option("--drop", is_flag=True, help="Delete the points first; not with InfluxDB 3.")
def rebuild_series(
    tenant_id: str | None, first: datetime | None, last: datetime | None, *, drop: bool
) -> None:
    """Send everything to InfluxDB again. A point that is there already is overwritten by itself."""
    if (first is None) != (last is None):
        raise click.UsageError("--from and --to go together")
    dates = EVER
    if first is not None and last is not None:
        dates = DateRange.inclusive(first.date(), last.date())
        if drop:
            raise click.UsageError("--drop takes all dates: leave out --from and --to")
    wiring = open_ledger()
    target, relay = wiring.target, wiring.relay
    if target is None or relay is None:
        raise InvalidError("influx_not_configured", "set METERLINE_INFLUX_URL first")
    dropping = Dropping(wiring.engine, target) if drop else None
    if dropping is not None:
        dropping.check()
    for tenant in known_tenants(wiring, tenant_id):
        _make_due(wiring, target, tenant, dates, dropping)
    only = known_tenant(wiring, tenant_id)
    with operator_session(wiring.engine) as session:
        due = measure_unshipped(session, only).points
    with click.progressbar(length=due, label="series", file=sys.stderr) as bar:
        shipped = ship_all(relay, bar.update, only=only)
    if not tell_shipped(shipped):
        sys.exit(1)


def _make_due(
    wiring: Wiring, target: Target, tenant: Tenant, dates: DateRange, dropping: Dropping | None
) -> None:
    """Make a tenant's points due while no relay is in the midst of it."""
    leases = Leases(wiring.engine, owner=uuid4().hex)
    # It outlasts a deletion that takes as long as it may, and one more that nobody waits for.
    lease = timedelta(seconds=_LEASE_SECONDS + 2 * target.patient.timeout_seconds)

    def take() -> bool:
        now = wiring.clock()
        return leases.take(tenant.tenant_id, now=now, until=now + lease)

    def keep() -> None:
        if not take():
            raise ConflictError(
                "lease_lost",
                f"another relay has taken over tenant {tenant.tenant_id}; run the command again",
            )

    def make_all_due() -> None:
        for _date in make_due(wiring.engine, tenant, dates, now=wiring.clock()):
            keep()

    while not take():
        time.sleep(_WAIT_SECONDS)
    is_certain = True
    try:
        make_all_due()
        if dropping is not None:
            is_certain = False
            dropping.drop(tenant, before_call=keep)
            is_certain = True
            # Once more: what another relay had sent before its points were deleted is due again.
            make_all_due()
    except (ForbiddenError, InvalidError, MissingError):  # InfluxDB has said no: it deletes nothing
        is_certain = True
        raise
    finally:
        # A deletion that nobody waits for may go on: until the lease ends nobody ships into it.
        if is_certain:
            leases.release(tenant.tenant_id)
