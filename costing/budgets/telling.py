"""Who knows of the thresholds that were reached: by what became of their notices."""

from collections.abc import Mapping
from typing import NamedTuple

from costing.budgets.store import read_crossings
from costing.budgets.wording import make_notice_id
from ledger.budget_notices import Fate, Medium, read_fates
from ledger.period import DateRange
from ledger.session import TenantSession


class Told(NamedTuple):
    """Thresholds that a crossing was noted of in a period, each in one of these, ascending.

    Attributes:
        told: a notice of it was taken.
        waiting: none was taken yet, and one is on its way.
        untold: there was nowhere to send one, or it was given up.
    """

    told: tuple[int, ...]
    waiting: tuple[int, ...]
    untold: tuple[int, ...]


def read_told(session: TenantSession, periods: Mapping[str, DateRange]) -> dict[str, Told]:
    """Return by budget who knows of what was reached in its period.

    Args:
        session: of the tenant.
        periods: the dates that are asked about, by budget.
    """
    if not periods:
        return {}
    crossed = read_crossings(session, since=min(dates.start for dates in periods.values()))
    thresholds = {
        budget_id: crossed.get((budget_id, dates.start), []) for budget_id, dates in periods.items()
    }

    def names(budget_id: str, threshold: int) -> list[str]:
        start = periods[budget_id].start
        return [make_notice_id(budget_id, start, threshold, medium) for medium in Medium]

    made = [name for each, found in thresholds.items() for n in found for name in names(each, n)]
    fates = read_fates(session, made)

    def sort(budget_id: str) -> Told:
        found = {
            n: {fates.get(name) for name in names(budget_id, n)} for n in thresholds[budget_id]
        }
        told = tuple(n for n, fate in found.items() if Fate.SENT in fate)
        late = tuple(n for n, fate in found.items() if n not in told and Fate.WAITING in fate)
        return Told(told, late, tuple(n for n in found if n not in told + late))

    return {budget_id: sort(budget_id) for budget_id in periods}
