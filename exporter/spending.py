"""What is spent today, which is each tenant's own: by kind of usage, and by tenant."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from heapq import nsmallest
from typing import NamedTuple

from exporter.metric import Sample
from exporter.store import GroupToday, TenantToday, read_groups_today, read_tenants_today
from exporter.watch import MAX_GROUPS, MAX_HIGH_AI_TENANTS, OTHER, Watch
from ledger.money import NANOS_PER_USD
from ledger.session import OperatorSession


class _Sums(NamedTuple):
    """What a series of a kind of usage shows."""

    usages: int
    cost: int
    unpriced_usages: int


def collect_spending(watch: Watch, session: OperatorSession, now: datetime) -> Iterator[Sample]:
    """What was used and spent today, by kind of usage and by tenant."""
    yield from _show_groups(read_groups_today(session, now=now))
    tenants = read_tenants_today(session, now=now)
    yield from _show_total(tenants)
    yield from _show_top(tenants, most=watch.tenants)
    yield from _show_high_ai(tenants, watch)


def to_usd(nanos: float) -> float:
    """Return an amount as the float that a metric has: an indication, no money to reckon with."""
    return nanos / NANOS_PER_USD


def _show_groups(groups: Sequence[GroupToday]) -> Iterator[Sample]:
    shown: defaultdict[tuple[str, str, str], _Sums] = defaultdict(lambda: _Sums(0, 0, 0))
    order = sorted(groups, key=lambda g: (-g.cost, g.channel, g.source or "", g.feature or ""))
    for place, group in enumerate(order):
        rest = (OTHER, OTHER) if place >= MAX_GROUPS else (group.source or "", group.feature or "")
        sums = shown[group.channel, *rest]
        shown[group.channel, *rest] = _Sums(
            sums.usages + group.usages,
            sums.cost + group.cost,
            sums.unpriced_usages + group.unpriced_usages,
        )
    for labels, sums in shown.items():
        yield Sample("meterline_today_usages", sums.usages, labels)
        yield Sample("meterline_today_cost_usd", to_usd(sums.cost), labels)
        yield Sample("meterline_today_unpriced_usages", sums.unpriced_usages, labels)


def _show_total(tenants: Sequence[TenantToday]) -> Iterator[Sample]:
    yield Sample("meterline_today_active_tenants", len(tenants))
    unknown = sum(tenant.unpriced_ai_rows > 0 for tenant in tenants)
    yield Sample("meterline_ai_share_unknown_tenants", unknown)
    total = sum(tenant.cost for tenant in tenants)
    if total > 0 and not unknown:
        share = sum(tenant.ai_cost for tenant in tenants) / total
        yield Sample("meterline_today_ai_share_ratio", share)


def _show_top(tenants: Sequence[TenantToday], *, most: int) -> Iterator[Sample]:
    top = nsmallest(most, tenants, key=lambda tenant: (-tenant.cost, tenant.tenant_id))
    for tenant in top:
        label = (tenant.tenant_id,)
        yield Sample("meterline_tenant_today_cost_usd", to_usd(tenant.cost), label)
        yield Sample("meterline_tenant_today_ai_cost_usd", to_usd(tenant.ai_cost), label)
        if tenant.cost > 0 and not tenant.unpriced_ai_rows:
            share = tenant.ai_cost / tenant.cost
            yield Sample("meterline_tenant_today_ai_share_ratio", share, label)
    cost = sum(tenant.cost for tenant in tenants) - sum(tenant.cost for tenant in top)
    ai_cost = sum(tenant.ai_cost for tenant in tenants) - sum(tenant.ai_cost for tenant in top)
    yield Sample("meterline_tenant_today_cost_usd", to_usd(cost), (OTHER,))
    yield Sample("meterline_tenant_today_ai_cost_usd", to_usd(ai_cost), (OTHER,))


def _show_high_ai(tenants: Sequence[TenantToday], watch: Watch) -> Iterator[Sample]:
    high = [tenant for tenant in tenants if _is_high(tenant, watch)]
    yield Sample("meterline_high_ai_tenants", len(high))
    shown = nsmallest(MAX_HIGH_AI_TENANTS, high, key=lambda t: (-t.ai_cost, t.tenant_id))
    for tenant in shown:
        label = (tenant.tenant_id,)
        yield Sample("meterline_high_ai_cost_usd", to_usd(tenant.ai_cost), label)
        yield Sample("meterline_high_ai_share_ratio", tenant.ai_cost / tenant.cost, label)


def _is_high(tenant: TenantToday, watch: Watch) -> bool:
    """Whether AI spend is over both limits, exactly.

    AI usage without a price is no reason to be silent: whatever it costs, both only rise by it.
    """
    return (
        tenant.cost > 0
        and tenant.ai_cost > watch.ai_amount
        and tenant.ai_cost > watch.ai_share * tenant.cost
    )
