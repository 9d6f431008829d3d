"""What a report of one tenant begins with: one snapshot, the tenant, and the range asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

from flask import current_app

from api.auth.tenancy import tenant_session
from api.parameters import read_parameters
from api.services import Services
from ledger.period import DEFAULT_RANGE, DateRange, parse_date, parse_range
from ledger.session import TenantSession
from ledger.tenant import Tenant
from ledger.tenants import get_own_tenant


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportRequest:
    """A caller's own tenant and the local dates to report on, in one read transaction.

    Attributes:
        range_name: None where the dates were given one by one.
        as_reported: the local date at whose end it was known; None: as it is known now.
    """

    session: TenantSession
    tenant: Tenant
    dates: DateRange
    range_name: str | None
    now: datetime
    as_reported: date | None = None


@contextmanager
def open_report(*, may_look_back: bool = False) -> Iterator[ReportRequest]:
    """Read `range`, or `from` and `to`, in the zone of the caller's tenant.

    All that is read while it is open comes from one snapshot, so that its figures tie.

    Args:
        may_look_back: read `as_reported`, too.

    Raises:
        InvalidError: as of `read_parameters` and `parse_range`.
        MissingError: `unknown_tenant`, for a credential whose tenant is not registered.
        ForbiddenError: `no_tenant_context`.
    """
    looking_back = ("as_reported",) if may_look_back else ()
    given = read_parameters("range", "from", "to", *looking_back)
    known_on = given.get("as_reported")
    now = Services.of(current_app).clock()
    with tenant_session() as session:
        tenant = get_own_tenant(session)
        dates = parse_range(
            given["range"], given["from"], given["to"], now=now, zone=tenant.zone_at(now)
        )
        yield ReportRequest(
            session=session,
            tenant=tenant,
            dates=dates,
            range_name=(given["range"] or DEFAULT_RANGE) if given["from"] is None else None,
            now=now,
            as_reported=None if known_on is None else parse_date(known_on, key="as_reported"),
        )
