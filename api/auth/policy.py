"""Who may use a view: declared beside it, judged before it runs.

A view says it with one decorator under its route:

    @blueprint.get("/api/billing/usage/summary")
    @require_role(Role.TENANT_ADMIN, scope=Scope.READ)
    def summary() -> Response: ...

Roles of a tenant alone make a route a tenant's own: its callers have a tenant. Roles of operators
alone make it one over all tenants: a caller that is bound to a tenant is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from flask import Flask

from api.auth.caller import Caller
from ledger.accounts.roles import Role
from ledger.errors import ForbiddenError
from ledger.keys import Scope

_View = TypeVar("_View", bound=Callable[..., Any])

_ATTRIBUTE = "policy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """Who may use a view.

    Attributes:
        public: everybody may, and nobody is asked who they are.
        roles: people with one of these.
        scopes: API keys with one of these.
        tenant: True: the caller has a tenant; False: it has none; None: either.
        cookie: whether a person may come with the cookie of a sign-in.
        influx_forms: whether an API key may also come as clients of InfluxDB send a secret.
    """

    public: bool = False
    roles: frozenset[Role] = frozenset()
    scopes: frozenset[Scope] = frozenset()
    tenant: bool | None = None
    cookie: bool = False
    influx_forms: bool = False


def public(view: _View) -> _View:
    """Let everybody use a view."""
    return _declare(view, Policy(public=True))


def require_role(*roles: Role, scope: Scope | None = None) -> Callable[[_View], _View]:
    """Let people with one of these roles use a view, and API keys with `scope` if one is given."""
    kinds = {role.is_tenant_role for role in roles}
    policy = Policy(
        roles=frozenset(roles),
        scopes=frozenset() if scope is None else frozenset({scope}),
        tenant=kinds.pop() if len(kinds) == 1 else None,
        cookie=True,
    )
    return lambda view: _declare(view, policy)


def require_scope(scope: Scope, *, influx_forms: bool = False) -> Callable[[_View], _View]:
    """Let API keys with `scope` use a view, bound to a tenant or not, and nobody else."""
    policy = Policy(scopes=frozenset({scope}), influx_forms=influx_forms)
    return lambda view: _declare(view, policy)


def require_host_token(view: _View) -> _View:
    """Let whoever brings a token that the host signed use a view, whatever the role."""
    return _declare(view, Policy(roles=frozenset(Role)))


def policy_of(app: Flask, endpoint: str) -> Policy:
    """Return the declared policy of an endpoint.

    Raises:
        LookupError: it has none, which `require_policies` tells before anything is served.
    """
    policy = getattr(app.view_functions[endpoint], _ATTRIBUTE, None)
    if policy is None:
        raise LookupError(f"nobody said who may use {endpoint}; see api/auth/policy.py")
    return cast("Policy", policy)


def require_policies(app: Flask) -> None:
    """Refuse an application that has a view without a policy.

    Raises:
        LookupError: naming the first one.
    """
    for rule in app.url_map.iter_rules():
        policy_of(app, rule.endpoint)


def judge(policy: Policy, caller: Caller) -> None:
    """Let a known caller pass, or say why not.

    Raises:
        ForbiddenError: `missing_scope`, `missing_role`, `no_tenant_context` or `tenant_bound`.
    """
    if caller.role is None:
        _judge_key(policy, caller)
    elif caller.role not in policy.roles:
        raise ForbiddenError(
            "missing_role", f"this needs {_alternatives(policy)}; the role here is {caller.role}"
        )
    is_tenants = caller.role is not None and caller.role.is_tenant_role
    if caller.tenant_id is None and (policy.tenant is True or is_tenants):
        raise no_tenant_context()
    if policy.tenant is False and caller.tenant_id is not None:
        raise tenant_bound()


def no_tenant_context() -> ForbiddenError:
    """Return the error of a caller without a tenant where the route or the role needs one."""
    return ForbiddenError(
        "no_tenant_context",
        "this is for people of a tenant; the credential must name one",
    )


def tenant_bound() -> ForbiddenError:
    """Return the error of a tenant's caller where all tenants can be seen."""
    return ForbiddenError(
        "tenant_bound", "this is over all tenants; the credential belongs to one of them"
    )


def _judge_key(policy: Policy, caller: Caller) -> None:
    if not policy.scopes & caller.scopes:
        raise ForbiddenError(
            "missing_scope", f"this key may not be used here; this needs {_alternatives(policy)}"
        )


def _alternatives(policy: Policy) -> str:
    roles = [f"the role {role}" for role in sorted(policy.roles)]
    scopes = [f"an API key with scope {scope}" for scope in sorted(policy.scopes)]
    return " or ".join(roles + scopes)


def _declare(view: _View, policy: Policy) -> _View:
    if hasattr(view, _ATTRIBUTE):
        raise ValueError(f"{view.__name__} has a policy already")
    setattr(view, _ATTRIBUTE, policy)
    return view
