"""What every template knows, also that of an error."""

from typing import Any

from flask import Flask
from jinja2 import StrictUndefined

from api.auth.caller import Caller, find_caller
from api.pages.assets import asset_url
from ledger.accounts.roles import Role

_PAGES = {
    Role.TENANT_ADMIN: (("Usage", "/usage"),),
    Role.TENANT_MEMBER: (),
    Role.ROOT_ADMIN: (("Tenants", "/admin/usage"), ("Mappings", "/admin/mappings")),
    Role.OPS: (("Tenants", "/admin/usage"),),
}


def prepare_templates(app: Flask) -> None:
    """Let templates name assets and who is signed in, and fail on a name that nobody gave."""
    app.jinja_options = {**app.jinja_options, "undefined": StrictUndefined}
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.context_processor(_known)


def _known() -> dict[str, Any]:
    return {"asset": asset_url, "who": find_caller(), "pages_of": _pages_of}


def _pages_of(who: Caller) -> tuple[tuple[str, str], ...]:
    return () if who.role is None else _PAGES[who.role]
