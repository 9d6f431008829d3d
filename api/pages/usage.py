"""`/usage`: what a tenant used and what it costs."""

from datetime import timedelta
from urllib.parse import urlencode

from flask import current_app, render_template

from api.auth.policy import require_role
from api.pages.blueprint import PageBlueprint
from api.pages.boards import board_of_tenant
from api.pages.budget_view import NOTHING_TYPED, Typed, build_budgets_view
from api.pages.chart import SIZES, draw_chart
from api.pages.usage_view import build_usage_view, series_titles
from api.report_request import ReportRequest, open_report
from api.services import Services
from costing.budgets.report import report_budgets
from costing.reports.features import features
from costing.reports.series import series
from costing.reports.summary import summary
from ledger.accounts.roles import Role
from ledger.errors import MeterlineError
from ledger.period import RANGES

blueprint = PageBlueprint("usage", __name__)


@blueprint.get("/usage")
@require_role(Role.TENANT_ADMIN)
def show_usage() -> str:
    """Show cards, bars by day, tables of channels and features, and budgets."""
    return render_usage()


def render_usage(*, fault: MeterlineError | None = None, typed: Typed = NOTHING_TYPED) -> str:
    """Return the page of the caller's tenant, all of it from one snapshot.

    Args:
        fault: why what was typed into the form for a budget cannot be.
        typed: what was.
    """
    with open_report() as asked:
        report = summary(asked.session, asked.dates)
        points = series(asked.session, asked.dates)
        found = features(asked.session, asked.dates)
        budgets = report_budgets(asked.session, asked.tenant, now=asked.now)
    view = build_usage_view(asked, report, points, found)
    board = board_of_tenant(asked) if view.has_usage else None
    period = asked.tenant.period_at(asked.now)
    return render_template(
        "usage.html",
        view=view,
        board=board,
        budgets=build_budgets_view(
            budgets,
            features=[row.feature for row in found if row.feature is not None],
            sends_mail=Services.of(current_app).settings.sendgrid_api_key is not None,
        ),
        fault=fault,
        typed=typed,
        tenant=asked.tenant,
        plan=period.plan,
        timezone=period.timezone,
        ranges=[(name, f"{days} days") for name, days in RANGES.items()],
        range_name=asked.range_name,
        empty_range=_in_words(asked.range_name),
        export_url=_export_url(asked),
        channels=series_titles(points),
        pictures=[draw_chart(points, size, labelled_by="chart-title chart-words") for size in SIZES]
        if view.has_usage and board is None
        else [],
    )


def _in_words(range_name: str | None) -> str:
    return "this range" if range_name is None else f"these {RANGES[range_name]} days"


def _export_url(asked: ReportRequest) -> str:
    """Return the address of the same dates as CSV, also when midnight has passed since."""
    last = asked.dates.end - timedelta(days=1)
    dates = {"from": asked.dates.start.isoformat(), "to": last.isoformat()}
    return f"/api/billing/usage/export?{urlencode(dates)}"
