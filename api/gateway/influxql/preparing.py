"""From a statement to the text that InfluxDB gets: checked, bounded, confined, written anew."""

from dataclasses import dataclass
from datetime import datetime

from api.gateway.influxql.confine import confine_select, confine_show
from api.gateway.influxql.limits import bound_select, bound_show, check_size, selects_in
from api.gateway.influxql.names import check_select, check_show
from api.gateway.influxql.render import render_select, render_show
from api.gateway.influxql.tree import Select, ShowTagValues
from ledger.tenant import TenantId

Read = Select | ShowTagValues
"""A statement that InfluxDB has to answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What InfluxDB gets, and the measurements that it reads."""

    text: str
    measurements: frozenset[str]


def prepare_for_tenant(statement: Read, tenant_id: TenantId, *, now: datetime) -> Prepared:
    """Return a statement that sees nothing but this tenant's points.

    Raises:
        InvalidError: `query_refused`.
    """
    bounded = _bound(statement, now)
    if isinstance(bounded, Select):
        return _write(confine_select(bounded, tenant_id))
    return _write(confine_show(bounded, tenant_id))


def prepare_for_operator(statement: Read, *, now: datetime) -> Prepared:
    """Return a statement that sees the points of all tenants.

    Raises:
        InvalidError: `query_refused`.
    """
    return _write(_bound(statement, now))


def _bound(statement: Read, now: datetime) -> Read:
    if isinstance(statement, Select):
        check_size(statement)
        check_select(statement)
        return bound_select(statement, now)
    check_show(statement)
    return bound_show(statement, now)


def _write(statement: Read) -> Prepared:
    if isinstance(statement, Select):
        return Prepared(text=render_select(statement), measurements=_measurements(statement))
    return Prepared(text=render_show(statement), measurements=frozenset(statement.measurements))


def _measurements(select: Select) -> frozenset[str]:
    return frozenset(
        source for each in selects_in(select) for source in each.sources if isinstance(source, str)
    )
