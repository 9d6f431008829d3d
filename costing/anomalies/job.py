"""Looks for anomalies in the last days of every tenant, and keeps the list of them."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa

from costing.anomalies.daily import DAYS, find_anomaly
from ledger.anomalies import Anomaly, read_anomalies, replace_anomalies
from ledger.columns import whole_sum
from ledger.models import usage_rollups_daily
from ledger.money import Nanos
from ledger.session import OperatorSession, insist, operator_session, tenant_session
from ledger.tenant import UNATTRIBUTED, TenantId

LISTED_DAYS = 7
"""How many local dates are looked at each time, those that are running included: late usage is
found as long as that, and what is older stays listed nowhere."""

_ROLLUP = usage_rollups_daily.c
_DAY = timedelta(days=1)

_Spent = dict[str, dict[date, Nanos]]


def listed_since(now: datetime) -> date:
    """Return the first date (UTC) of which anomalies are listed."""
    return now.date() - LISTED_DAYS * _DAY


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
    query = (
        sa.select(*key, whole_sum(_ROLLUP.estimated_cost))
        .where(
            _ROLLUP.date >= first,
            _ROLLUP.tenant_id != UNATTRIBUTED,
            _ROLLUP.estimated_cost.is_not(None),
        )
        .group_by(*key)
        .order_by(_ROLLUP.tenant_id)
    )
    rows = session.connection.execute(query)
    for tenant_id, of_tenant in groupby(rows, key=itemgetter(0)):
        spent: _Spent = defaultdict(dict)
        for _, channel, day, cost in of_tenant:
            spent[channel][day] = Nanos(cost)
        yield TenantId(tenant_id), spent
