"""Responses in the background and batches: asked for now, told by a later request, or by many.

Who asked is remembered, because who looks later is often a worker that works for nobody; and what
was booked is remembered, because it is told on every look. Both is kept for a process and for the
last few thousand. Another process makes an equal usage of the same answer, which the collector
answers as a duplicate, where it looks for the same tenant or the answer's metadata name one.

Module-level, because a client that looks is often another one than the client that asked.
"""

from collections.abc import Mapping
from typing import Any

from meterline.context import Scope
from meterline.streams import register, unregister
from meterline.usage import Sink, Usage

MAX_KEPT = 4096

TENANT_KEY, FEATURE_KEY = "meterline_tenant", "meterline_feature"
"""Metadata of a batch or a response by which its maker tells every process whose it is."""


class Awaited:
    """An answer that is still to come, or was booked.

    Attributes:
        scope: who asked for it.
        booked: whether its usage was handed over.
        sink: takes the estimate, where there is one.
    """

    def __init__(self, scope: Scope, sink: Sink, estimate: Usage | None) -> None:
        self.scope = scope
        self.sink = sink
        self.booked = False
        self._estimate = estimate
        if estimate is not None:
            register(self)

    def settle(self) -> None:
        """Hand over the estimate, if there is one: nobody will look for the answer any more."""
        estimate = self._take()
        if estimate is not None:
            self.booked = True
            self.sink(estimate)

    def disown(self) -> None:
        """Leave the estimate to the process that began the stream."""
        self._estimate = None

    def book(self) -> bool:
        """Say that the usage is now known; tell whether it is news."""
        news = not self.booked
        self.booked = True
        self._take()
        return news

    def _take(self) -> Usage | None:
        estimate, self._estimate = self._estimate, None
        unregister(self)
        return estimate


_awaited: dict[str, Awaited] = {}


def await_answer(
    answer_id: object, scope: Scope, sink: Sink, *, estimate: Usage | None = None
) -> None:
    """Remember who asked for an answer; the estimate counts if nobody ever looks for it."""
    if not isinstance(answer_id, str) or answer_id in _awaited:
        return
    _awaited[answer_id] = Awaited(scope, sink, estimate)
    if len(_awaited) > MAX_KEPT:
        oldest = _awaited.pop(next(iter(_awaited)), None)
        if oldest is not None:
            oldest.settle()


def find_scope(answer: Mapping[str, Any], scope: Scope) -> Scope:
    """Return whom the metadata of an answer name; else who the caller works for.

    With a tenant, a feature that they do not name is none, so that all processes say the same.
    """
    named = answer.get("metadata")
    if not isinstance(named, dict):
        return scope
    tenant, feature = (_text(named.get(key)) for key in (TENANT_KEY, FEATURE_KEY))
    return scope if tenant is None else Scope(tenant, feature)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def find_awaited(answer_id: object) -> Awaited | None:
    """Return what is known of an answer that was asked for before."""
    return _awaited.get(answer_id) if isinstance(answer_id, str) else None
