"""`POST /api/session-links`: the host's server gets a link that signs a person's browser in."""

from http import HTTPStatus
from urllib.parse import urlencode

from flask import Response, current_app, jsonify
from flask_openapi.blueprint import APIBlueprint

from api.auth.caller import caller
from api.auth.policy import require_host_token
from api.auth.schemes import HOST_TOKEN
from api.errors import PROBLEM_RESPONSE
from api.pages.addresses import SIGN_IN
from api.schemas import SessionLink
from api.services import Services
from ledger.accounts.links import LIFETIME, create_link
from ledger.session import operator_session

blueprint = APIBlueprint("session_links", __name__, abp_security=[HOST_TOKEN])


@blueprint.post(
    "/api/session-links",
    summary="Make a one-time link that signs a browser in",
    responses={
        "201": SessionLink,
        "400": {"description": "The token's subject cannot be kept", **PROBLEM_RESPONSE},
        "401": {"description": "No valid token of the host", **PROBLEM_RESPONSE},
        "403": {"description": "The token's role or tenant is not known here", **PROBLEM_RESPONSE},
        "503": {"description": "Ledger or keys do not answer; ask again", **PROBLEM_RESPONSE},
    },
)
@require_host_token
def make_session_link() -> tuple[Response, HTTPStatus]:
    """Return an address on this server for the person, role and tenant that the token names.

    It works once, within 60 seconds. A browser cannot carry a token on navigation, hence the link.
    """
    services, who = Services.of(current_app), caller()
    role, now = who.role, services.clock()
    if role is None:
        raise TypeError("a token of the host always has a role")
    # The token was judged: what is written here is about its own person, whatever the role.
    with operator_session(services.engine, write=True) as session:
        code = create_link(
            session, subject=who.subject, role=role, tenant_id=who.tenant_id, now=now
        )
    link = SessionLink(url=f"{SIGN_IN}?{urlencode({'code': code})}", expires_at=now + LIFETIME)
    return jsonify(link.model_dump(mode="json")), HTTPStatus.CREATED
