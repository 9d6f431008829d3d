"""Which tenants spend faster than usual: the hour that runs, or the one before, against their own.

A tenant's usual hour is the mean of the hours of the last week in which it spent anything, so that
nights and weekends without usage do not make every working hour look dear. With fewer than
`LEAST_HOURS` of them there is none.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from heapq import nlargest
from typing import NamedTuple

from exporter.metric import Sample
from exporter.spending import to_usd
from exporter.store import HourCost, UsualCost, read_costly_hours, read_usual_hours
from exporter.watch import MAX_COSTLY_TENANTS, Watch
from ledger.session import OperatorSession

USUAL_DAYS = 7
LEAST_HOURS = 12


class _Kind(NamedTuple):
    """Spend that is looked at: its metrics, what of an hour it is, and how much is usual."""

    name: str
    of_hour: Callable[[HourCost], float]
    usual: Callable[[UsualCost], tuple[float, int]]


_KINDS = (
    _Kind("meterline_hour", lambda hour: hour.cost, lambda usual: (usual.cost, usual.hours)),
    _Kind(
        "meterline_hour_ai",
        lambda hour: hour.ai_cost,
        lambda usual: (usual.ai_cost, usual.ai_hours),
    ),
)


def collect_burning(watch: Watch, session: OperatorSession, now: datetime) -> Iterator[Sample]:
    """What tenants spent in an hour, all or for AI, where it is much; and how unusual that is."""
    hours = read_costly_hours(session, at_least=watch.hour_amount, now=now)
    shown = {kind: _choose(hours, kind, at_least=watch.hour_amount) for kind in _KINDS}
    names = sorted({name for costly in shown.values() for name in _top(costly)})
    usual = {
        each.tenant_id: each
        for each in (read_usual_hours(session, names, days=USUAL_DAYS, now=now) if names else ())
    }
    for kind, costly in shown.items():
        yield Sample(f"{kind.name}_costly_tenants", len(costly))
        for name in _top(costly):
            yield Sample(f"{kind.name}_cost_usd", to_usd(costly[name]), (name,))
            cost, count = kind.usual(usual[name]) if name in usual else (0.0, 0)
            if count >= LEAST_HOURS and cost > 0:
                yield Sample(f"{kind.name}_burn_ratio", costly[name] * count / cost, (name,))


def _choose(hours: Sequence[HourCost], kind: _Kind, *, at_least: int) -> dict[str, float]:
    """Return the dearer hour of each tenant that spent enough in one."""
    costly: dict[str, float] = {}
    for hour in hours:
        cost = kind.of_hour(hour)
        if cost >= at_least:
            costly[hour.tenant_id] = max(cost, costly.get(hour.tenant_id, cost))
    return costly


def _top(costly: dict[str, float]) -> list[str]:
    return nlargest(MAX_COSTLY_TENANTS, costly, key=lambda name: (costly[name], name))
