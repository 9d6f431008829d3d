"""`GET /api/admin/prices/missing`: usage without a price of its own, for operators."""

from dataclasses import asdict

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from api.admin import may_see_all_tenants
from api.auth.schemes import API_KEY, HOST_TOKEN, SIGN_IN
from api.auth.tenancy import operator_session
from api.errors import PROBLEM_RESPONSE
from api.parameters import TO, describe, read_parameters
from api.report_answers import answer
from costing.reports.missing import Lack, read_missing
from ledger.period import parse_dates

blueprint = APIBlueprint("prices", __name__, abp_security=[API_KEY, HOST_TOKEN, SIGN_IN])

_PARAMETERS = [
    describe(
        "from",
        {"type": "string", "format": "date"},
        "First local date, together with `to`; without both, all dates",
    ),
    TO,
]


class MissingPriceAnswer(BaseModel):
    """Usage of one kind."""

    state: Lack = Field(description="`unpriced`: no price; `flat`: AI usage rated by the flat map")
    channel: str
    direction: str
    model: str | None
    price_class: str
    tenants: int = Field(description="How many tenants have such usage")
    rows: int = Field(description="Rollup rows")
    count: int = Field(description="Usages; corrections carry a sign")
    quantity: int = Field(description="Segments, messages, minutes, recipients, or tokens")


class MissingPricesAnswer(BaseModel):
    """What is unpriced, then what is flat-rated; more usages before fewer."""

    missing: list[MissingPriceAnswer]


@blueprint.get(
    "/api/admin/prices/missing",
    summary="Usage that has no price of its own",
    responses={
        "200": MissingPricesAnswer,
        "400": {"description": "A parameter that cannot be read", **PROBLEM_RESPONSE},
        "401": {"description": "No valid credential", **PROBLEM_RESPONSE},
        "403": {"description": "Not an operator, or bound to a tenant", **PROBLEM_RESPONSE},
        "503": {"description": "The ledger does not answer; ask again", **PROBLEM_RESPONSE},
    },
    openapi_extensions={"parameters": _PARAMETERS},
)
@may_see_all_tenants
def list_missing_prices() -> Response:
    """Return the kinds of usage that nothing, or the flat map alone, has a rate for."""
    given = read_parameters("from", "to")
    dates = parse_dates(given["from"], given["to"])
    with operator_session() as session:
        found = read_missing(session, dates=dates)
    return answer(
        MissingPricesAnswer(missing=[MissingPriceAnswer(**asdict(each)) for each in found])
    )
