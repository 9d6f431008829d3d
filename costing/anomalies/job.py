"""Looks for anomalies in the last days of every tenant, and keeps the list of them."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa

from costing.anomalies.daily import DAYS, find_anomaly
from ledger.anomalies import Anomaly, listed_since, read_anomalies, replace_anomalies
from ledger.columns import whole_sum
from ledger.models import tenants, usage_rollups_daily
from ledger.money import Nanos
from ledger.session import OperatorSession, insist, operator_session, tenant_session
from ledger.tenant import UNATTRIBUTED, TenantId

_ROLLUP = usage_rollups_daily.c
_DAY = timedelta(days=1)

_Spent = dict[str, dict[date, Nanos]]


class AnomalySearch:
    """Looks for anomalies of all tenants. Any number of these may run: they find the same."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def run(self, *, now: datetime) -> int:
        """Look through the days that are listed; return how many anomalies there are.

        Raises:
            UnavailableError: the ledger did not answer.
        """
        since = listed_since(now)
        with operator_session(self._engine) as session:
            found = dict(_search(session, since=since, now=now))
            known: defaultdict[TenantId, set[Anomaly]] = defaultdict(set)
            for tenant_id, _, anomaly in read_anomalies(session, since=since):
                known[tenant_id].add(anomaly)
        for tenant_id in sorted(found.keys() | known.keys()):
            if found.get(tenant_id, set()) != known[tenant_id]:
                self._replace(tenant_id, found.get(tenant_id, set()), since=since)
        return sum(map(len, found.values()))

    def _replace(self, tenant_id: TenantId, found: set[Anomaly], *, since: date) -> None:
        def replace() -> None:
            with tenant_session(self._engine, tenant_id, write=True) as session:
                replace_anomalies(session, found, since=since)

        insist(replace)


def _search(
    session: OperatorSession, *, since: date, now: datetime
) -> Iterator[tuple[TenantId, set[Anomaly]]]:
    # Somewhere tomorrow has begun already.
    days = [since + n * _DAY for n in range((now.date() - since).days + 2)]
    for tenant_id, spent in _read_spent(session, first=since - DAYS * _DAY):
        candidates = (
            find_anomaly(channel, day, by_date)
            for channel, by_date in spent.items()
            for day in days
            if by_date.get(day)
        )
        found = {anomaly for anomaly in candidates if anomaly is not None}
        if found:
            yield tenant_id, found


def _read_spent(session: OperatorSession, *, first: date) -> Iterator[tuple[TenantId, _Spent]]:
    """Yield what each tenant spent by channel and date, from a date on; one tenant at a time."""
    key = (_ROLLUP.tenant_id, _ROLLUP.channel, _ROLLUP.date)
    spent_lately = sa.and_(
        _ROLLUP.tenant_id == tenants.c.tenant_id,
        _ROLLUP.date >= first,
        _ROLLUP.estimated_cost.is_not(None),
    )
    # Outer, so that tenants come first: the other way, all rows there ever were are read.
    query = (
        sa.select(*key, whole_sum(_ROLLUP.estimated_cost))
        .select_from(tenants.outerjoin(usage_rollups_daily, spent_lately))
        .where(tenants.c.tenant_id != UNATTRIBUTED)
        .group_by(*key)
        .having(sa.func.count(_ROLLUP.tenant_id) > 0)
        .order_by(_ROLLUP.tenant_id)
    )
    rows = session.connection.execute(query)
    for tenant_id, group in groupby(rows, key=itemgetter(0)):
        spent: _Spent = defaultdict(dict)
        for _, channel, day, cost in group:
            spent[channel][day] = Nanos(cost)
        yield TenantId(tenant_id), spent
