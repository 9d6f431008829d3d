"""`/signin`, `/signout` and `/`: how a browser becomes somebody, and where it starts."""

from http import HTTPStatus
from typing import NamedTuple

from flask import current_app, make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from api.auth.caller import caller
from api.auth.cookies import FORM, SESSION, drop_cookie, read_cookie, set_cookie
from api.auth.csrf import check_csrf, make_csrf
from api.auth.policy import public, require_role
from api.auth.sign_in import FORM_LIFETIME, Started, end, make_form_secret, try_link, try_password
from api.pages.addresses import SIGN_IN, START, home_of, local_address
from api.pages.blueprint import PageBlueprint
from api.services import Services
from ledger.accounts.roles import Role
from ledger.accounts.sign_ins import LIFETIME
from ledger.accounts.throttle import ThrottledError
from ledger.errors import ForbiddenError

blueprint = PageBlueprint("signin", __name__)


class Refusal(NamedTuple):
    """Why a sign-in did not come about, as the page says it."""

    status: HTTPStatus
    message: str


_WRONG = Refusal(HTTPStatus.FORBIDDEN, "Login or password is wrong.")
_USED = Refusal(
    HTTPStatus.FORBIDDEN,
    "This link was used before or is older than a minute. Open it again from where you came.",
)
_STALE = Refusal(HTTPStatus.FORBIDDEN, "This form was too old. Please try again.")


@blueprint.get(SIGN_IN)
@public
def sign_in() -> Response:
    """Redeem a one-time link, or show the form."""
    code = request.args.get("code")
    # A HEAD request is somebody who looks whether the link works; that must not use it up.
    if code is None or request.method == "HEAD":
        return _form()
    started = try_link(Services.of(current_app), code, read_cookie(SESSION))
    return _form(_USED) if started is None else _welcome(started)


@blueprint.post(SIGN_IN)
@public
def send_sign_in() -> Response:
    """Sign in with login and password."""
    try:
        check_csrf(make_csrf(read_cookie(FORM) or make_form_secret()))
    except ForbiddenError:
        return _form(_STALE)
    login, password = request.form.get("login", ""), request.form.get("password", "")
    try:
        started = try_password(
            Services.of(current_app),
            login.strip().lower(),
            password,
            address=request.remote_addr or "",
            replaces=read_cookie(SESSION),
        )
    except ThrottledError as error:
        return _throttled(error)
    return _form(_WRONG) if started is None else _welcome(started)


@blueprint.post("/signout")
@require_role(*Role)
def sign_out() -> Response:
    """End the sign-in of this browser."""
    if caller().csrf is not None:
        end(Services.of(current_app), read_cookie(SESSION))
    response = redirect(SIGN_IN, HTTPStatus.SEE_OTHER)
    drop_cookie(response, SESSION)
    return response


@blueprint.get(START)
@require_role(*Role)
def start() -> Response:
    """Go to the page of the caller's role; who has none is told why."""
    role = caller().role
    home = START if role is None else home_of(role)
    if home != START:
        return redirect(home, HTTPStatus.SEE_OTHER)
    return make_response(render_template("start.html"))


def _form(refusal: Refusal | None = None) -> Response:
    """Show the form, with a secret of its own in a cookie and its proof in a hidden field."""
    secret = read_cookie(FORM) or make_form_secret()
    page = render_template(
        "signin.html",
        csrf=make_csrf(secret),
        next=local_address(request.values.get("next")),
        login=request.form.get("login", ""),
        message=None if refusal is None else refusal.message,
    )
    response = make_response(page, HTTPStatus.OK if refusal is None else refusal.status)
    set_cookie(response, FORM, secret, lifetime=FORM_LIFETIME)
    return response


def _throttled(error: ThrottledError) -> Response:
    minutes = -(-error.retry_after // 60)
    wait = "a minute" if minutes == 1 else f"{minutes} minutes"
    message = f"Too many sign-ins failed. Please try again in {wait}."
    response = _form(Refusal(HTTPStatus.TOO_MANY_REQUESTS, message))
    response.headers["Retry-After"] = str(error.retry_after)
    return response


def _welcome(started: Started) -> Response:
    """Give the browser its new token, and send it where it wanted to go."""
    wanted = local_address(request.values.get("next"))
    response = redirect(wanted or home_of(started.role), HTTPStatus.SEE_OTHER)
    set_cookie(response, SESSION, started.token, lifetime=LIFETIME)
    drop_cookie(response, FORM)
    return response
