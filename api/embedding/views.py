"""`/grafana/auth`: nginx asks who looks at Grafana, and passes the answer on in a header."""

from http import HTTPStatus

from flask import Blueprint, Response, current_app

from api.auth.caller import caller
from api.auth.policy import require_role
from api.embedding.assertion import HEADER, sign_assertion
from api.services import Services
from ledger.accounts.roles import Role
from ledger.errors import MissingError

blueprint = Blueprint("grafana", __name__)


@blueprint.get("/grafana/auth")
@require_role(Role.TENANT_ADMIN, Role.ROOT_ADMIN, Role.OPS)
def authorize() -> Response:
    """Answer 204 with the token of the caller's viewer; the policy refuses everybody else.

    Raises:
        MissingError: `grafana_not_configured`.
        UnavailableError: `grafana_keys_missing`.
    """
    services = Services.of(current_app)
    embedding = services.embedding
    if embedding is None:
        raise MissingError("grafana_not_configured", "set METERLINE_GRAFANA_URL first")
    login = embedding.grafana.login_of(caller().tenant_id)
    token = sign_assertion(embedding.keys.current(), login, now=services.clock())
    return Response(status=HTTPStatus.NO_CONTENT, headers={HEADER: token})
