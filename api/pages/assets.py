"""Our own style sheets, scripts and icons, under addresses that change when their content does."""

import hashlib
from functools import cache
from http import HTTPStatus
from importlib import resources

from flask import Blueprint, Response, abort, request
from werkzeug.wrappers import Response as BaseResponse

from api.auth.policy import public

blueprint = Blueprint("assets", __name__)

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOREVER = 365 * 86_400


def asset_url(name: str) -> str:
    """Return the address of a file of `api/static`; it has a digest of the content in it."""
    return f"/static/{name}?v={_digest(name)}"


@blueprint.get("/static/<name>")
@public
def asset(name: str) -> BaseResponse:
    """Send a file; for as long as its content stays, where the address names it."""
    if name not in _names():
        abort(HTTPStatus.NOT_FOUND)
    response = Response(_read(name), mimetype=_TYPES[name.rpartition(".")[2]])
    response.set_etag(_digest(name))
    if request.args.get("v") == _digest(name):
        response.cache_control.max_age = _FOREVER
        response.cache_control.public = True
        response.cache_control.immutable = True
    return response.make_conditional(request)


@cache
def _names() -> frozenset[str]:
    return frozenset(
        file.name
        for file in resources.files("api").joinpath("static").iterdir()
        if file.name.rpartition(".")[2] in _TYPES
    )


@cache
def _read(name: str) -> bytes:
    return resources.files("api").joinpath("static", name).read_bytes()


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(_read(name)).hexdigest()[:16]
