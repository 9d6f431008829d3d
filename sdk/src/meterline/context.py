"""Who the current code works for: tenant and feature, carried by `contextvars`."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Scope(NamedTuple):
    """The tenant and the feature that usage is booked on; None where nobody said."""

    tenant: str | None = None
    feature: str | None = None


Scopes = tuple[Scope, ...]
"""The scopes that were entered and not left, the current one last; compared by identity."""

MAX_OPEN = 64
"""Most scopes that are kept open: a generator that ends in another context never leaves its own."""

_NOBODY = (Scope(),)

_scopes: ContextVar[Scopes] = ContextVar("meterline_scopes", default=_NOBODY)


def current_scope() -> Scope:
    """Return who the current code works for. A hook takes it when the request is made."""
    return _scopes.get()[-1]


@contextmanager
def working_for(tenant: str | None = None, feature: str | None = None) -> Iterator[Scope]:
    """Book what is used inside on this tenant and feature; what is not given stays as it was.

    Its end takes back this scope and no other, since a generator may end amid other code. Until
    then a generator that waits at a `yield` in here lends its scope to whoever called it.
    """
    outer = _scopes.get()
    inner = Scope(
        outer[-1].tenant if tenant is None else tenant,
        outer[-1].feature if feature is None else feature,
    )
    _scopes.set((*outer[1 - MAX_OPEN :], inner))
    try:
        yield inner
    finally:
        entered = _scopes.get()
        if entered[-1] is inner:
            _scopes.set(entered[:-1] or _NOBODY)
        else:
            _scopes.set(tuple(scope for scope in entered if scope is not inner))


@contextmanager
def serving(tenant: str | None = None, feature: str | None = None) -> Iterator[Scope]:
    """Do the same for a request: whatever it left open is taken back, too, when it is over."""
    outer = _scopes.get()
    try:
        with working_for(tenant, feature) as inner:
            yield inner
    finally:
        _scopes.set(outer)


def swap_scopes(scopes: Scopes) -> Scopes:
    """Work for the last of these from now on; return what was entered before."""
    before = _scopes.get()
    _scopes.set(scopes or _NOBODY)
    return before
