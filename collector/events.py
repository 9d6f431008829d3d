"""Reads one submitted event: checks every field, in the words of the contract. Pure functions."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import orjson

from collector.counts import MAX_COUNT, count_usage
from collector.ids import parse_id
from collector.metadata import MetadataPolicy, check_size
from collector.personal import is_personal
from ledger.errors import InvalidError
from ledger.event import DIRECTIONS, STANDARD_PRICE_CLASS, UsageEvent, is_slug, parse_slug
from ledger.measures import Measures
from ledger.price_class import check_tier, classify_ai, name_tier
from ledger.tenant import Tenant, TenantId, parse_label, parse_tenant_id
from ledger.units import load_catalogue

FIELDS = frozenset(
    {"id", "tenant", "time", "channel", "direction", "source", "feature", "quantity", "metadata"}
)

FINGERPRINT_VERSION = b"\x01"

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No usage is older: what says so has a wrong clock."""

_AFTER_DATE = ("", "T", "t", " ")
_CHANNELS = tuple(channel.name for channel in load_catalogue().channels)
_NO_METADATA: Mapping[str, object] = {}


class Rules(NamedTuple):
    """What events are checked against, besides their own form."""

    policy: MetadataPolicy
    max_future: timedelta


class Read(NamedTuple):
    """A checked event, complete and ready to be booked for its tenant."""

    tenant_id: TenantId
    event: UsageEvent
    dropped: tuple[str, ...]


FindTenant = Callable[[TenantId], Tenant | None]


def read_event(
    submitted: object,
    *,
    rules: Rules,
    find_tenant: FindTenant,
    only_tenant: TenantId | None,
    now: datetime,
) -> Read:
    """Check and normalise one submitted event.

    Args:
        submitted: what the JSON said.
        rules: the metadata policy and the allowed clock skew.
        find_tenant: returns a registered tenant; asked last, when all else about the event holds.
        only_tenant: the tenant that the credential is bound to; None for a host credential.
        now: the current instant.

    Raises:
        InvalidError: with the field at fault.
    """
    get = _fields(submitted).get
    metadata = _metadata(get("metadata"))
    time = _time(get("time"), now=now, max_future=rules.max_future)
    quantity = get("quantity")
    labels = _labels(get("source"), get("feature"), get("channel"), get("direction"))
    event_id = parse_id(get("id"))
    cleaned = rules.policy.clean(metadata, _canonical(metadata))
    channel, direction, source, feature = labels
    counted = count_usage(channel, quantity, metadata)
    tenant = _tenant(get("tenant"), only_tenant, find_tenant, time)
    event = UsageEvent(
        event_id,
        _fingerprint(labels, time, quantity, cleaned.traceless),
        time,
        time.astimezone(tenant.zone_at(time)).date(),
        channel,
        direction,
        source,
        feature,
        _model(metadata),
        _price_class(channel, metadata, counted.measures),
        counted.derived,
        _flag(metadata, "provisional") or counted.partial,
        cleaned.stored,
        counted.measures,
    )
    return Read(tenant.tenant_id, event, cleaned.dropped)


def _fields(submitted: object) -> dict[str, object]:
    if not isinstance(submitted, dict):
        raise InvalidError("not_an_object", "an event is a JSON object")
    if submitted.keys() <= FIELDS:
        return submitted
    unknown = min(str(key) for key in submitted.keys() - FIELDS)
    known = ", ".join(sorted(FIELDS))
    raise InvalidError(
        "unknown_field", f"events have no such field; they have {known}", key=unknown
    )


def _canonical(metadata: Mapping[str, object]) -> bytes:
    """Return metadata as canonical JSON, refusing what is too large or no JSON."""
    if not metadata:
        return b""
    try:
        canonical = orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise InvalidError("not_json", f"metadata holds what JSON cannot: {error}") from None
    check_size(canonical)
    return canonical


def _fingerprint(
    labels: tuple[str | None, ...], time: datetime, quantity: object, metadata: bytes
) -> bytes:
    """Condense what was submitted, personal values blanked.

    Independent of how counts are normalised and of the key that hides values.
    """
    if isinstance(quantity, float) and abs(quantity) <= MAX_COUNT and quantity.is_integer():
        quantity = int(quantity)
    try:
        body = orjson.dumps((labels, time, quantity))
    except TypeError as error:
        raise InvalidError("not_json", f"quantity is what JSON cannot hold: {error}") from None
    return FINGERPRINT_VERSION + hashlib.blake2b(body + metadata, digest_size=16).digest()


def _tenant(
    value: object, only_tenant: TenantId | None, find_tenant: FindTenant, time: datetime
) -> Tenant:
    """Return the tenant that an event of `time` is for, and that its credential may write for."""
    tenant_id = only_tenant if value is None else parse_tenant_id(value)
    if tenant_id is None:
        raise InvalidError("missing_tenant", "name the tenant of the usage", key="tenant")
    if only_tenant is not None and tenant_id != only_tenant:
        raise InvalidError(
            "foreign_tenant", "this credential may not write for that tenant", key="tenant"
        )
    tenant = find_tenant(tenant_id)
    if tenant is None:
        raise InvalidError(
            "unknown_tenant",
            "register the tenant first, with `meterline tenant add`",
            key="tenant",
            value=tenant_id,
        )
    if tenant.is_closed_at(time):
        raise InvalidError(
            "closed_tenant", "the tenant was closed by then", key="tenant", value=tenant_id
        )
    return tenant


_Labels = tuple[str, str, str | None, str | None]


def _labels(source: object, feature: object, channel: object, direction: object) -> _Labels:
    """Return channel, direction, source and feature, all checked."""
    try:
        return _known_labels(source, feature, channel, direction)
    except TypeError:  # a list or an object cannot be looked up, nor be a label
        return _check_labels(source, feature, channel, direction)


def _check_labels(source: object, feature: object, channel: object, direction: object) -> _Labels:
    checked_source = _optional_slug(source, "source")
    checked_feature = _optional_slug(feature, "feature")
    return (
        _choice(channel, _CHANNELS, "channel"),
        _choice(direction, DIRECTIONS, "direction"),
        checked_source,
        checked_feature,
    )


# The same few labels come again and again; what is refused is not remembered.
_known_labels = lru_cache(maxsize=4096)(_check_labels)


def _choice(value: object, choices: tuple[str, ...], key: str) -> str:
    if isinstance(value, str) and value in choices:
        return value
    raise InvalidError(
        f"unknown_{key}", f"{key} is one of {', '.join(choices)}", key=key, value=value
    )


def _optional_slug(value: object, key: str) -> str | None:
    if value is None:
        return None
    slug = value if isinstance(value, str) and is_slug(value) else parse_slug(value, key=key)
    if slug[0].isdigit() and is_personal(slug):
        raise InvalidError("personal_data", f"{key} looks like a phone number", key=key)
    return slug


def parse_time(value: object) -> datetime | None:
    """Read an ISO 8601 time: in UTC where it has an offset, naive where not, None where it is none.

    Python's own reader also takes shorthands such as `20240116012`, which nobody means as a time,
    and any character between date and time.
    """
    if not isinstance(value, str) or value[4:5] != "-" or value[10:11] not in _AFTER_DATE:
        return None
    try:
        time = datetime.fromisoformat(value)
        return time if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _time(value: object, *, now: datetime, max_future: timedelta) -> datetime:
    if value is None:
        raise InvalidError("missing_time", "say when it happened, with an offset", key="time")
    time = parse_time(value)
    if time is None:
        raise InvalidError(
            "invalid_time", "time is ISO 8601, like 2026-11-22T17:01:33Z", key="time", value=value
        )
    if time.tzinfo is None:
        raise InvalidError(
            "missing_offset", "time needs an offset, like Z or +05:00", key="time", value=value
        )
    if time > now + max_future:
        raise InvalidError("future_time", "time is in the future", key="time", value=value)
    if time < EARLIEST:
        raise InvalidError("ancient_time", "time is before the year 2000", key="time", value=value)
    return time


def _metadata(value: object) -> Mapping[str, object]:
    if value is None:
        return _NO_METADATA
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InvalidError("invalid_metadata", "metadata is a JSON object", key="metadata")
    return value


def _flag(metadata: Mapping[str, object], key: str) -> bool:
    value = metadata.get(key, False)
    if isinstance(value, bool):
        return value
    raise InvalidError(
        "invalid_flag", f"metadata.{key} is true or false", key=f"metadata.{key}", value=value
    )


def _model(metadata: Mapping[str, object]) -> str | None:
    model = metadata.get("model")
    return None if model is None else parse_label(model, key="metadata.model")


def _price_class(channel: str, metadata: Mapping[str, object], measures: Measures) -> str:
    """Return what sets the usage's price apart: batch endpoint or tier as served, kind of unit."""
    served = _served_class(metadata)
    if channel == "ai":
        return classify_ai(served, measures)
    return served if served == STANDARD_PRICE_CLASS else check_tier(served)


def _served_class(metadata: Mapping[str, object]) -> str:
    if _flag(metadata, "batch"):
        return "batch"
    tier = metadata.get("service_tier")
    if tier is None:
        return STANDARD_PRICE_CLASS
    return name_tier(parse_slug(tier, key="metadata.service_tier"))
