"""Finds rated rows that new entries come too late for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from costing.pricing.entries import AliasEntry, Entry, MarkupEntry, RateEntry
from costing.pricing.files import Line
from costing.pricing.resolution import Book, kind_of
from costing.usages import RATED, Usage, read_usages, since
from ledger.period import day_start
from ledger.session import OperatorSession
from ledger.tenant import Tenant, TenantId
from ledger.units import load_catalogue


@dataclass(kw_only=True, slots=True)
class Late:
    """Rated rows that would have other rates: how many, whose, and from which date to which."""

    first: date
    last: date
    rows: int = 0
    tenants: set[TenantId] = field(default_factory=set)

    def add(self, usage: Usage) -> None:
        """Count the rows of a usage."""
        self.rows += usage.rows
        self.tenants.add(usage.tenant_id)
        self.first = min(self.first, usage.key.date)
        self.last = max(self.last, usage.key.date)


def find_late(
    session: OperatorSession,
    before: Book,
    new: Sequence[Line],
    tenants: Mapping[TenantId, Tenant],
    *,
    among: Callable[[Usage], bool] | None = None,
) -> dict[int, Late]:
    """Return by line which rated rows would have other rates with new entries than without them.

    Args:
        session: reads the rows.
        before: the price book as it is.
        new: the new entries.
        tenants: all there are.
        among: whether rows are looked at; None: all are.
    """
    found: dict[int, Late] = {}
    if not new:
        return found
    first = min(line.entry.starts_on for line in new)
    after = Book(flat=before.flat, laid=[*before.laid, *(line.entry for line in new)])
    aliases = [entry for entry in after.laid if isinstance(entry, AliasEntry)]

    @lru_cache(maxsize=65_536)
    def plan_of(tenant_id: TenantId, day: date) -> str:
        tenant = tenants[tenant_id]
        return tenant.period_at(day_start(day, tenant)).plan

    for usage in read_usages(session, RATED, since(first)):
        if usage.tenant_id not in tenants or not (among is None or among(usage)):
            continue
        plan = plan_of(usage.tenant_id, usage.key.date)
        kind = kind_of(usage.tenant_id, plan, usage.key)
        if before.resolve(kind) == after.resolve(kind):
            continue
        names = {usage.key.model, *(a.prices_as for a in aliases if a.model == usage.key.model)}
        day = usage.key.date
        blamed = [line for line in new if _reaches(line.entry, usage, plan, names)]
        # Whatever the reason, rows that would change are never passed over.
        for line in blamed or new:
            found.setdefault(line.number, Late(first=day, last=day)).add(usage)
    return found


def _reaches(entry: Entry, usage: Usage, plan: str, names: Iterable[str | None]) -> bool:
    """Whether an entry is for such usage; `names`: what its model may be priced as."""
    key, scope = usage.key, entry.scope
    if entry.starts_on > key.date or scope.tenant_id not in {None, usage.tenant_id}:
        return False
    if scope.plan not in {None, plan}:
        return False
    match entry:
        case MarkupEntry():
            return True
        case AliasEntry():
            return entry.model == key.model
        case RateEntry():
            units = load_catalogue().units_of(key.channel, key.price_class)
            return (
                entry.unit in {unit.name for unit in units}
                and entry.direction in {None, key.direction}
                and entry.model in {None, *names}
            )
