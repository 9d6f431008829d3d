"""What a notice of a crossing says, as data: by webhook as it stands, by mail in words."""

from datetime import date, datetime, timedelta

import orjson

from costing.budgets.standing import BudgetStanding
from ledger.budget_notices import BudgetNotice, Medium
from ledger.money import format_usd
from ledger.tenant import Tenant

KIND = "budget.threshold_reached"


def make_notice_id(budget_id: str, start: date, threshold: int, medium: Medium) -> str:
    """Return the name, within its tenant, of the notice of a crossing for one medium."""
    return f"{budget_id}/{start}/{threshold}/{medium}"


def make_notice(
    standing: BudgetStanding, threshold: int, medium: Medium, *, tenant: Tenant, now: datetime
) -> BudgetNotice:
    """Return the notice that spend reached a threshold, for one medium."""
    budget, dates = standing.budget, standing.dates
    notice_id = make_notice_id(budget.budget_id, dates.start, threshold, medium)
    document = {
        "id": f"{tenant.tenant_id}/{notice_id}",
        "type": KIND,
        "tenant": tenant.tenant_id,
        "tenant_name": tenant.name,
        "period": str(budget.period),
        "from": dates.start,
        "to": dates.end - timedelta(days=1),
        "timezone": tenant.period_at(now).timezone,
        "feature": budget.feature,
        "threshold": threshold,
        "currency": "USD",
        "amount": format_usd(budget.amount),
        "spent": format_usd(standing.spent),
        "has_unpriced": standing.figures.has_unpriced,
        "unpriced_count": standing.figures.unpriced_count,
        "reached_at": now,
    }
    return BudgetNotice(
        notice_id=notice_id,
        medium=medium,
        recipients=budget.recipients if medium is Medium.MAIL else (),
        document=orjson.dumps(document, option=orjson.OPT_UTC_Z).decode(),
        created_at=now,
    )
