"""`GET /api/admin/usage/tenants`: all tenants side by side, for operators."""

from flask import Response, current_app
from flask_openapi.blueprint import APIBlueprint

from api.auth.policy import require_role
from api.auth.schemes import API_KEY, HOST_TOKEN, SIGN_IN
from api.auth.tenancy import operator_session
from api.errors import PROBLEM_RESPONSE
from api.grid_query import GRID_PARAMETERS, read_grid_query
from api.report_answers import answer, grid_answer
from api.report_schemas import GridAnswer
from api.services import Services
from costing.reports.tenant_grid import tenant_grid
from ledger.accounts.roles import Role
from ledger.keys import Scope

blueprint = APIBlueprint("admin", __name__, abp_security=[API_KEY, HOST_TOKEN, SIGN_IN])

may_see_all_tenants = require_role(Role.ROOT_ADMIN, Role.OPS, scope=Scope.READ)


@blueprint.get(
    "/api/admin/usage/tenants",
    summary="Cost, AI share, Twilio share and e-mails of every tenant",
    responses={
        "200": GridAnswer,
        "400": {"description": "A parameter that cannot be read", **PROBLEM_RESPONSE},
        "401": {"description": "No valid credential", **PROBLEM_RESPONSE},
        "403": {"description": "Not an operator, or bound to a tenant", **PROBLEM_RESPONSE},
        "503": {"description": "The ledger does not answer; ask again", **PROBLEM_RESPONSE},
    },
    openapi_extensions={"parameters": GRID_PARAMETERS},
)
@may_see_all_tenants
def list_tenant_usage() -> Response:
    """Return one page of the tenants that match, each over its own last local dates."""
    query = read_grid_query()
    now = Services.of(current_app).clock()
    with operator_session() as session:
        return answer(grid_answer(query, tenant_grid(session, query, now=now)))
