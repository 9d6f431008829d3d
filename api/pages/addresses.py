"""Where a person goes: the start page of a role, and addresses that stay on this server."""

import re
from typing import assert_never

from ledger.accounts.roles import Role

SIGN_IN = "/signin"
START = "/"

# Browsers read a backslash as a slash, and leave tabs and line ends out before they look.
_LOCAL = re.compile(r"/(?![/\\])[!-\[\]-~]*")
_MAX_ADDRESS = 2000


def home_of(role: Role) -> str:
    """Return the page that a role starts with."""
    match role:
        case Role.TENANT_ADMIN:
            return "/usage"
        case Role.ROOT_ADMIN | Role.OPS:
            return "/admin/usage"
        case Role.TENANT_MEMBER:
            return START
        case _:
            assert_never(role)


def local_address(text: str | None) -> str | None:
    """Return an address that came from outside if it leads to this server for sure, else None."""
    if text is None or len(text) > _MAX_ADDRESS or _LOCAL.fullmatch(text) is None:
        return None
    return text
