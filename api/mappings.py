"""`/api/admin/mappings`: whose it is what a provider names."""

from http import HTTPStatus

from flask import Response, current_app
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.types import ResponseDict

from api.attributing import attribute
from api.auth.policy import require_role
from api.auth.schemes import API_KEY, HOST_TOKEN, SIGN_IN
from api.auth.tenancy import operator_session
from api.errors import PROBLEM_RESPONSE
from api.fields import describe_fields, read_fields
from api.mapping_answers import added_answer, in_transit_answer, mapping_answer, waiting_answer
from api.mapping_schemas import (
    AddedMappingAnswer,
    MappingAnswer,
    MappingBody,
    MappingPath,
    MappingsAnswer,
)
from api.parameters import describe, read_parameters
from api.report_answers import answer
from api.services import Services
from collector.attribution.keeping import NewMapping, add_mapping, end_mapping, list_all
from collector.attribution.store import read_waiting
from collector.attribution.transit import read_in_transit
from costing.reports.travelling import cost_of_travelling
from ledger.accounts.roles import Role
from ledger.errors import InvalidError
from ledger.keys import Scope
from ledger.tenant import UNATTRIBUTED

blueprint = APIBlueprint("mappings", __name__, abp_security=[API_KEY, HOST_TOKEN, SIGN_IN])

may_keep_mappings = require_role(Role.ROOT_ADMIN, scope=Scope.TENANTS)

_PATH = "/api/admin/mappings"
_REFUSED: ResponseDict = {
    "401": {"description": "No valid credential", **PROBLEM_RESPONSE},
    "403": {"description": "Not a root admin, or bound to a tenant", **PROBLEM_RESPONSE},
    "503": {"description": "The ledger does not answer; send again", **PROBLEM_RESPONSE},
}
_MALFORMED: ResponseDict = {"400": {"description": "A field that cannot be", **PROBLEM_RESPONSE}}
_UNTIL = describe(
    "until",
    {"type": "string"},
    "From when on it is nobody's: a local date of its tenant, or a time with an offset",
)


@blueprint.get(
    _PATH,
    summary="List mappings, and the usage that waits for one",
    responses={"200": MappingsAnswer, **_MALFORMED, **_REFUSED},
)
@may_keep_mappings
def list_mappings() -> Response:
    """Return all mappings, those that are over too, from one snapshot with what waits."""
    read_parameters()
    hash_key = _hash_key()
    with operator_session() as session:
        return answer(
            MappingsAnswer(
                mappings=[mapping_answer(period, hash_key) for period in list_all(session)],
                waiting=[waiting_answer(found) for found in read_waiting(session)],
                in_transit=[
                    in_transit_answer(
                        part, cost_of_travelling(session, UNATTRIBUTED, part.measures)
                    )
                    for part in read_in_transit(session)
                ],
            )
        )


@blueprint.post(
    _PATH,
    summary="Map what a provider names to a tenant",
    responses={
        "200": AddedMappingAnswer,
        "201": AddedMappingAnswer,
        **_MALFORMED,
        **_REFUSED,
        "404": {"description": "No such tenant", **PROBLEM_RESPONSE},
        "409": {"description": "The tenant is closed by then", **PROBLEM_RESPONSE},
        "415": {"description": "Not application/json", **PROBLEM_RESPONSE},
    },
    request_body=describe_fields(MappingBody),
)
@may_keep_mappings
def add() -> tuple[Response, HTTPStatus]:
    """Map it from an instant on; 201 where that is new. Sending again changes nothing.

    What it was mapped to before ends there. Usage that waits for it is attributed,
    where it is much by the worker; `attributed` tells how much, and for which tenants it failed.
    """
    fields = read_fields(MappingBody)
    for key, value in fields.items():
        if not isinstance(value, str) and not (value is None and key in {"valid_from", "label"}):
            raise InvalidError("not_text", f"{key} is text", key=key, value=value)
    now, hash_key = Services.of(current_app).clock(), _hash_key()
    with operator_session(write=True) as session:
        period, is_new = add_mapping(session, NewMapping(**fields), hash_key=hash_key, now=now)
    status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return answer(added_answer(period, hash_key, attribute(now=now))), status


@blueprint.delete(
    f"{_PATH}/<int:mapping_id>",
    summary="End a mapping",
    responses={
        "200": MappingAnswer,
        **_MALFORMED,
        **_REFUSED,
        "404": {"description": "No such mapping", **PROBLEM_RESPONSE},
    },
    openapi_extensions={"parameters": [_UNTIL]},
)
@may_keep_mappings
def end(path: MappingPath) -> Response:
    """End it from an instant on; ending it again changes nothing.

    Usage that it attributed stays where it is.
    """
    until = read_parameters("until")["until"]
    now = Services.of(current_app).clock()
    with operator_session(write=True) as session:
        period = end_mapping(session, path.mapping_id, until=until, now=now)
    return answer(mapping_answer(period, _hash_key()))


def _hash_key() -> bytes | None:
    return Services.of(current_app).settings.hash_key_bytes
