"""One metered call, and the usage that is made of what its answer told."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from meterline.clock import now
from meterline.context import Scope
from meterline.labels import as_id, as_label, as_slug
from meterline.openai_hook.counts import Counts
from meterline.openai_hook.endpoints import Endpoint
from meterline.openai_hook.hosts import is_provider
from meterline.openai_hook.outgoing import read_request
from meterline.usage import Scalar, Sink, Usage

_EARLIEST = 1_420_070_400.0
"""2015-01-01, before the provider was founded: an older time of an answer is none."""

_MAX_AHEAD = 300.0
"""Seconds that the provider's clock may be ahead of ours."""


class Call(NamedTuple):
    """What is known of a call when its answer begins. It must not refer to the response.

    Attributes:
        endpoint: where it went.
        sink: takes the usage.
        scope: who the caller works for.
        request: of the http library; read only where the answer leaves something open.
        headers: of the response.
    """

    endpoint: Endpoint
    sink: Sink
    scope: Scope
    request: Any
    headers: Mapping[str, str]


def make_usage(
    call: Call, answer: Mapping[str, Any], counts: Counts, *, part: str = "", missing: bool = False
) -> Usage:
    """Make the usage of one answer.

    Args:
        call: the call.
        answer: members of the answer; `id`, `model`, `created` or `created_at` and `service_tier`
            are used. Observing the same answer again makes an equal usage.
        counts: what it tells, or an estimate.
        part: sets a second usage of the same answer apart, such as `/image_gen`.
        missing: it told none, the counts are an estimate.
    """
    model = as_label(answer.get("model"))
    if model is None and (missing or not call.endpoint.names_model):
        model = as_label(read_request(call.request).get("model"))
    metadata: dict[str, Scalar] = {**counts} if model is None else {"model": model, **counts}
    tier = answer.get("service_tier")
    if tier is not None and (tier := as_slug(tier)) is not None:
        metadata["service_tier"] = tier
    if call.endpoint.is_batch:
        metadata["batch"] = True
    if missing:
        metadata["usage_missing"] = metadata["provisional"] = True
    identity = as_id(answer.get("id")) or _request_id(call)
    tenant, feature = call.scope
    return Usage(
        identity + part,
        _time(answer),
        "ai",
        "outbound",
        "openai",
        tenant,
        feature,
        None,
        metadata,
    )


def _request_id(call: Call) -> str:
    """Return the provider's name of the request; of another host it may name several of them."""
    known = is_provider(call.request.url.host)
    request_id = as_id(call.headers.get("x-request-id")) if known else None
    return f"openai/{request_id or uuid4()}"


def _time(answer: Mapping[str, Any]) -> float:
    """Return when the provider says it was, so that each observation has the same time."""
    told = answer.get("created_at", answer.get("created"))
    current = now()
    if type(told) in (int, float) and _EARLIEST <= told <= current + _MAX_AHEAD:
        return float(told)
    return current
