"""`/api/billing/budgets`: what the caller's own tenant means to spend, and how far it is."""

from typing import Any

from flask import Response, current_app, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.types import ResponseDict

from api import budget_schemas as wire
from api.auth.caller import caller
from api.auth.policy import require_role
from api.auth.schemes import API_KEY, HOST_TOKEN, SIGN_IN
from api.auth.tenancy import tenant_session
from api.billing import may_see_billing
from api.errors import PROBLEM_RESPONSE
from api.fields import describe_fields, read_fields
from api.parameters import read_parameters
from api.report_answers import answer, describe_dates
from api.services import Services
from costing.budgets.budget import parse_budgets
from costing.budgets.forecast import Forecast
from costing.budgets.report import BudgetReport, ShownBudget, report_budgets
from costing.budgets.store import budgets_changed, read_budgets, replace_budgets
from ledger.accounts.identity import parse_subject
from ledger.accounts.roles import Role
from ledger.errors import InvalidError
from ledger.money import format_usd
from ledger.session import TenantSession
from ledger.tenants import get_own_tenant

blueprint = APIBlueprint("budgets", __name__, abp_security=[API_KEY, HOST_TOKEN, SIGN_IN])

may_set_budgets = require_role(Role.TENANT_ADMIN)

_PATH = "/api/billing/budgets"
_REFUSED: ResponseDict = {
    "400": {"description": "A field or parameter that cannot be", **PROBLEM_RESPONSE},
    "401": {"description": "No valid credential", **PROBLEM_RESPONSE},
    "403": {
        "description": "A credential without this role or scope, or no tenant",
        **PROBLEM_RESPONSE,
    },
    "503": {"description": "The ledger does not answer; send again", **PROBLEM_RESPONSE},
}
_IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The `ETag` that the change starts from; another one is refused",
}


@blueprint.get(
    _PATH,
    summary="Budgets, and where they stand",
    responses={"200": wire.BudgetsAnswer, **_REFUSED},
)
@may_see_billing
def get_budgets() -> Response:
    """Return all budgets of the tenant, each in the period that is running."""
    read_parameters()
    with tenant_session() as session:
        return _answer(session)


@blueprint.put(
    _PATH,
    summary="Set all budgets",
    responses={
        "200": wire.BudgetsAnswer,
        **_REFUSED,
        "412": {"description": "Somebody changed them meanwhile", **PROBLEM_RESPONSE},
        "415": {"description": "Not application/json", **PROBLEM_RESPONSE},
    },
    request_body=describe_fields(wire.BudgetsBody),
    openapi_extensions={"parameters": [_IF_MATCH]},
)
@may_set_budgets
def put_budgets() -> Response:
    """Make these the tenant's budgets; one that is not among them is gone.

    Sending the same again changes nothing. What they were is kept, with who changed it and when.
    """
    read_parameters()
    budgets = parse_budgets(read_fields(wire.BudgetsBody)["budgets"])
    now = Services.of(current_app).clock()
    with tenant_session(write=True) as session:
        known = read_budgets(session).revision
        # By number, also where a proxy that compressed the answer made its tag a weak one.
        if "If-Match" in request.headers and not request.if_match.contains_weak(str(known)):
            raise budgets_changed()
        replace_budgets(session, budgets, expected=known, by=name_caller(), now=now)
        return _answer(session)


def name_caller() -> str:
    """Return who changes a budget: by the id of a person, or by the role where that is no id.

    An e-mail address in a token of the host is not stored.
    """
    who = caller()
    try:
        return parse_subject(who.subject)
    except InvalidError:
        return str(who.role)


def _answer(session: TenantSession) -> Response:
    now = Services.of(current_app).clock()
    tenant = get_own_tenant(session)
    report = report_budgets(session, tenant, now=now)
    body = wire.BudgetsAnswer(
        revision=report.revision,
        today=now.astimezone(tenant.zone_at(now)).date(),
        month=_month(report),
        budgets=[_budget(shown) for shown in report.budgets],
    )
    response = answer(body)
    response.set_etag(str(report.revision))
    return response


def _month(report: BudgetReport) -> wire.MonthAnswer:
    return wire.MonthAnswer(**describe_dates(report.month), forecast=_forecast(report.forecast))


def _budget(shown: ShownBudget) -> wire.BudgetAnswer:
    budget, standing = shown.budget, shown.standing
    return wire.BudgetAnswer(
        **describe_dates(standing.dates),
        period=budget.period,
        feature=budget.feature,
        amount=format_usd(budget.amount),
        thresholds=list(budget.thresholds),
        recipients=list(budget.recipients),
        set_at=budget.set_at,
        spent=format_usd(standing.spent),
        percent_used=standing.percent,
        has_unpriced=standing.figures.has_unpriced,
        unpriced_count=standing.figures.unpriced_count,
        reached=list(shown.reached),
        told=list(shown.told.told),
        waiting=list(shown.told.waiting),
        untold=list(shown.told.untold),
        forecast=_forecast(shown.forecast),
    )


def _forecast(forecast: Forecast | None) -> wire.ForecastAnswer | None:
    if forecast is None:
        return None
    return wire.ForecastAnswer(
        expected=format_usd(forecast.expected),
        low=format_usd(forecast.low),
        high=format_usd(forecast.high),
    )
