"""Who calls, once it is known."""

from dataclasses import dataclass

from flask import g

from ledger.accounts.roles import Role
from ledger.keys import Scope
from ledger.tenant import TenantId


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who sent the current request. An API key has scopes and no role; a person has a role.

    Attributes:
        subject: names the caller in a log; nothing is decided by it.
        role: of a person, whether by a token of the host or by a sign-in.
        scopes: of an API key.
        tenant_id: whose data this caller may see; None: nobody's in particular.
        csrf: what a form must send back; None where no cookie was the credential.
    """

    subject: str
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    tenant_id: TenantId | None = None
    csrf: str | None = None


def caller() -> Caller:
    """Return who sent the current request; only inside a view that is not public."""
    found: Caller = g.caller
    return found


def find_caller() -> Caller | None:
    """Return who sent the current request; None where nobody was asked, as on a public page."""
    found: Caller | None = g.get("caller")
    return found
