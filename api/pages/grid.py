"""`/admin/usage`: all tenants side by side, for operators."""

from flask import current_app, render_template

from api.auth.caller import caller
from api.auth.policy import require_role
from api.auth.tenancy import operator_session
from api.grid_query import read_grid_query
from api.pages.anomaly_view import MOST_SHOWN, build_anomaly_lines
from api.pages.blueprint import PageBlueprint
from api.pages.boards import board_of_operators
from api.pages.grid_view import build_grid_view
from api.pages.money import show_count
from api.services import Services
from costing.reports.store import read_plans
from costing.reports.tenant_grid import tenant_grid
from ledger.accounts.roles import Role
from ledger.anomalies import LISTED_DAYS, count_anomalies, listed_since, read_anomalies
from ledger.batches import measure_backlog

blueprint = PageBlueprint("grid", __name__)


@blueprint.get("/admin/usage")
@require_role(Role.ROOT_ADMIN, Role.OPS)
def show_tenants() -> str:
    """Show one page of the tenants that match, each over its own last local dates."""
    query = read_grid_query()
    now = Services.of(current_app).clock()
    with operator_session() as session:
        page = tenant_grid(session, query, now=now)
        plans = read_plans(session, now=now)
        waiting = measure_backlog(session).events
        since = listed_since(now)
        unusual = read_anomalies(session, since=since, limit=MOST_SHOWN)
        unusual_count = count_anomalies(session, since=since)
    return render_template(
        "tenants.html",
        view=build_grid_view(query, page, plans),
        waiting=show_count(waiting) if waiting else None,
        board=board_of_operators(caller().role, query.days),
        anomalies=build_anomaly_lines(unusual),
        anomaly_count=show_count(unusual_count),
        anomaly_days=LISTED_DAYS,
    )
