"""Who the current code works for: tenant and feature, carried by `contextvars`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import NamedTuple


class Scope(NamedTuple):
    """The tenant and the feature that usage is booked on; None where nobody said."""

    tenant: str | None = None
    feature: str | None = None


_NOBODY = Scope()

_scope: ContextVar[Scope] = ContextVar("meterline_scope", default=_NOBODY)


def current_scope() -> Scope:
    """Return who the current code works for. A hook takes it when the request is made."""
    return _scope.get()


@contextmanager
def working_for(tenant: str | None = None, feature: str | None = None) -> Iterator[Scope]:
    """Book what is used inside on this tenant and feature; what is not given stays as it was."""
    outer = _scope.get()
    inner = Scope(
        outer.tenant if tenant is None else tenant, outer.feature if feature is None else feature
    )
    token = _scope.set(inner)
    try:
        yield inner
    finally:
        with suppress(ValueError):  # a generator that is finalised elsewhere, in another context
            _scope.reset(token)
