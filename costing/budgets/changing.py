"""Changes one budget among all of a tenant's."""

from datetime import datetime

from costing.budgets.budget import Budget, check_together
from costing.budgets.store import Budgets, read_budgets, replace_budgets
from ledger.errors import MissingError
from ledger.session import TenantSession


def set_budget(session: TenantSession, budget: Budget, *, by: str, now: datetime) -> Budgets:
    """Make a budget one of the tenant's, in place of the one for its period and feature.

    Raises:
        InvalidError: `too_many_budgets`.
        ChangedError: `budgets_changed`.
    """
    before = read_budgets(session)
    others = [one for one in before.budgets if one.budget_id != budget.budget_id]
    budgets = check_together([*others, budget])
    return replace_budgets(session, budgets, expected=before.revision, by=by, now=now)


def remove_budget(session: TenantSession, budget_id: str, *, by: str, now: datetime) -> Budgets:
    """Take a budget away.

    Raises:
        MissingError: `unknown_budget`.
        ChangedError: `budgets_changed`.
    """
    before = read_budgets(session)
    left = [one for one in before.budgets if one.budget_id != budget_id]
    if len(left) == len(before.budgets):
        raise MissingError(
            "unknown_budget", "there is no such budget", key="budget", value=budget_id
        )
    return replace_budgets(session, left, expected=before.revision, by=by, now=now)
