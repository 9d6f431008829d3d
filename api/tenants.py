"""`/api/admin/tenants/…`: the host keeps us in step with its tenants."""

from http import HTTPStatus

from flask import Response, current_app, jsonify
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.types import ResponseDict

from api.auth.policy import require_role
from api.auth.schemes import API_KEY, HOST_TOKEN, SIGN_IN
from api.auth.tenancy import operator_session
from api.errors import PROBLEM_RESPONSE
from api.fields import describe_fields, read_fields
from api.schemas import TenantAnswer, TenantBody, TenantPath
from api.services import Services
from ledger.accounts.roles import Role
from ledger.keys import Scope
from ledger.tenant import Tenant, parse_label, parse_tenant_id, parse_timezone
from ledger.tenants import close_tenant, get_tenant, put_tenant

blueprint = APIBlueprint("tenants", __name__, abp_security=[API_KEY, HOST_TOKEN, SIGN_IN])

may_keep_tenants = require_role(Role.ROOT_ADMIN, scope=Scope.TENANTS)

_PATH = "/api/admin/tenants/<tenant_id>"
_MALFORMED: ResponseDict = {
    "400": {"description": "An id or a field that cannot be", **PROBLEM_RESPONSE}
}
_UNKNOWN: ResponseDict = {"404": {"description": "No such tenant", **PROBLEM_RESPONSE}}
_REFUSED: ResponseDict = {
    "401": {"description": "No valid credential", **PROBLEM_RESPONSE},
    "403": {"description": "Not a root admin, or bound to a tenant", **PROBLEM_RESPONSE},
    "503": {"description": "The ledger does not answer; send again", **PROBLEM_RESPONSE},
}


@blueprint.put(
    _PATH,
    summary="Register, change or reopen a tenant",
    responses={
        "200": TenantAnswer,
        "201": TenantAnswer,
        **_MALFORMED,
        **_REFUSED,
        "415": {"description": "Not application/json", **PROBLEM_RESPONSE},
    },
    request_body=describe_fields(TenantBody),
)
@may_keep_tenants
def put(path: TenantPath) -> tuple[Response, HTTPStatus]:
    """Make a tenant what the body says; 201 where it is new. Sending again changes nothing.

    Plan and time zone change from now on; what was booked stays. A closed tenant is open again.
    """
    wanted = read_fields(TenantBody)
    with operator_session(write=True) as session:
        tenant, created = put_tenant(
            session,
            parse_tenant_id(path.tenant_id),
            name=parse_label(wanted["name"], key="name"),
            plan=parse_label(wanted["plan"], key="plan"),
            timezone=parse_timezone(wanted["timezone"]),
            now=Services.of(current_app).clock(),
        )
    return _answer(tenant), HTTPStatus.CREATED if created else HTTPStatus.OK


@blueprint.get(
    _PATH,
    summary="Show a tenant",
    responses={"200": TenantAnswer, **_MALFORMED, **_REFUSED, **_UNKNOWN},
)
@may_keep_tenants
def show(path: TenantPath) -> Response:
    """Return a tenant with its plan and time zone of now."""
    with operator_session() as session:
        return _answer(get_tenant(session, parse_tenant_id(path.tenant_id)))


@blueprint.delete(
    _PATH,
    summary="Close a tenant",
    responses={"200": TenantAnswer, **_MALFORMED, **_REFUSED, **_UNKNOWN},
)
@may_keep_tenants
def close(path: TenantPath) -> Response:
    """Refuse usage from now on and erase nothing. Closing again changes nothing."""
    now = Services.of(current_app).clock()
    with operator_session(write=True) as session:
        return _answer(close_tenant(session, parse_tenant_id(path.tenant_id), now=now))


def _answer(tenant: Tenant) -> Response:
    answer = TenantAnswer(
        tenant_id=tenant.tenant_id,
        name=tenant.name,
        plan=tenant.current.plan,
        timezone=tenant.current.timezone,
        closed_at=tenant.closed_at,
    )
    return jsonify(answer.model_dump(mode="json"))
