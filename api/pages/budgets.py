"""The forms on `/usage` that set a budget and take one away."""

from http import HTTPStatus

from flask import current_app, make_response, redirect, request
from werkzeug.wrappers import Response

from api.auth.tenancy import tenant_session
from api.budgets import may_set_budgets, name_caller
from api.errors import STATUS_OF_KIND
from api.pages.blueprint import PageBlueprint
from api.pages.budget_view import NOTHING_TYPED, Typed
from api.pages.usage import render_usage
from api.services import Services
from costing.budgets.budget import make_budget_id, parse_budget, parse_feature, parse_period
from costing.budgets.changing import remove_budget, set_budget
from ledger.errors import ConflictError, InvalidError, MeterlineError, MissingError

blueprint = PageBlueprint("budget_forms", __name__)

_BACK = "/usage#budgets"
_MOST_DIGITS = 4


@blueprint.post("/usage/budgets")
@may_set_budgets
def set_one() -> Response:
    """Set the budget of the form; what cannot be is told above it, with all that was typed."""
    typed = _read_typed()
    now = Services.of(current_app).clock()
    try:
        budget = parse_budget(
            {
                "period": typed.period,
                "feature": typed.feature or None,
                "amount": typed.amount,
                "thresholds": list(map(_whole, _split(typed.thresholds))),
                "recipients": _split(typed.recipients),
            }
        )
        with tenant_session(write=True) as session:
            set_budget(session, budget, by=name_caller(), now=now)
    except (InvalidError, ConflictError) as error:
        return _refused(error, typed)
    return redirect(_BACK, HTTPStatus.SEE_OTHER)


@blueprint.post("/usage/budgets/remove")
@may_set_budgets
def remove() -> Response:
    """Take a budget away."""
    typed = _read_typed()
    now = Services.of(current_app).clock()
    try:
        budget_id = make_budget_id(parse_period(typed.period), parse_feature(typed.feature or None))
        with tenant_session(write=True) as session:
            remove_budget(session, budget_id, by=name_caller(), now=now)
    except (InvalidError, ConflictError, MissingError) as error:
        return _refused(error, NOTHING_TYPED)
    return redirect(_BACK, HTTPStatus.SEE_OTHER)


def _refused(error: MeterlineError, typed: Typed) -> Response:
    return make_response(render_usage(fault=error, typed=typed), STATUS_OF_KIND[error.kind])


def _read_typed() -> Typed:
    sent = request.form
    return Typed(
        period=sent.get("period", ""),
        feature=sent.get("feature", "").strip(),
        amount=sent.get("amount", "").strip().removeprefix("$"),
        thresholds=sent.get("thresholds", ""),
        recipients=sent.get("recipients", ""),
    )


def _split(text: str) -> list[str]:
    """Return what is separated by commas or blanks."""
    return text.replace(",", " ").split()


def _whole(text: str) -> int | str:
    """Return a percent as a number; what is none stays text, and is refused by its name."""
    digits = text.removesuffix("%")
    return int(digits) if digits.isdecimal() and len(digits) <= _MOST_DIGITS else text
