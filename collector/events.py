"""Reads one submitted event: checks every field, in the words of the contract. Pure functions."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import orjson

from collector.counts import MAX_COUNT, count_usage
from collector.metadata import CleanMetadata, MetadataPolicy, check_identifier, check_size
from ledger.errors import InvalidError
from ledger.event import DIRECTIONS, STANDARD_PRICE_CLASS, UsageEvent, is_slug, parse_slug
from ledger.tenant import Tenant, TenantId, parse_label, parse_tenant_id
from ledger.units import load_catalogue

FIELDS = frozenset(
    {"id", "tenant", "time", "channel", "direction", "source", "feature", "quantity", "metadata"}
)

FINGERPRINT_VERSION = b"\x01"

_MAX_ID = 255
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_AND_TIME = re.compile(r"\d{4}-?\d{2}-?\d{2}([Tt ]|$)", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)
_CHANNELS = tuple(channel.name for channel in load_catalogue().channels)
_STANDARD_TIERS = frozenset({"auto", "default", STANDARD_PRICE_CLASS})
_NO_METADATA: Mapping[str, object] = {}


class Rules(NamedTuple):
    """What events are checked against, besides their own form."""

    policy: MetadataPolicy
    max_future: timedelta


class Submission(NamedTuple):
    """A submitted event in which everything holds that can be told without its tenant."""

    tenant_id: TenantId
    event_id: str
    time: datetime
    channel: str
    direction: str
    source: str | None
    feature: str | None
    quantity: object
    metadata: Mapping[str, object]
    fingerprint: bytes
    cleaned: CleanMetadata

    def for_tenant(self, tenant: Tenant) -> UsageEvent:
        """Return the event to book, in the tenant's local day.

        Raises:
            InvalidError: see `count_usage`; `invalid_label` for the model.
        """
        counted = count_usage(self.channel, self.quantity, self.metadata)
        model = self.metadata.get("model")
        return UsageEvent(
            event_id=self.event_id,
            fingerprint=self.fingerprint,
            time=self.time,
            date=self.time.astimezone(tenant.zone_at(self.time)).date(),
            channel=self.channel,
            direction=self.direction,
            source=self.source,
            feature=self.feature,
            model=None if model is None else parse_label(model, key="metadata.model"),
            price_class=_price_class(self.metadata),
            measures=counted.measures,
            derived=counted.derived,
            provisional=_flag(self.metadata, "provisional"),
            metadata=self.cleaned.stored,
        )


def read_event(
    submitted: object, *, rules: Rules, only_tenant: TenantId | None, now: datetime
) -> Submission:
    """Check one submitted event.

    Args:
        submitted: what the JSON said.
        rules: the metadata policy and the allowed clock skew.
        only_tenant: the tenant that the credential is bound to; None for a host credential.
        now: the current instant.

    Raises:
        InvalidError: with the field at fault.
    """
    if not isinstance(submitted, dict):
        raise InvalidError("not_an_object", "an event is a JSON object")
    if not submitted.keys() <= FIELDS:
        unknown = min(str(key) for key in submitted.keys() - FIELDS)
        raise InvalidError(
            "unknown_field", f"events have no such field; they have {', '.join(sorted(FIELDS))}",
            key=unknown,
        )  # fmt: skip
    get = submitted.get
    metadata = _metadata(get("metadata"))
    time = _time(get("time"), now=now, max_future=rules.max_future)
    quantity = get("quantity")
    source, feature = (
        _optional_slug(get("source"), "source"),
        _optional_slug(get("feature"), "feature"),
    )
    channel = _choice(get("channel"), _CHANNELS, "channel")
    direction = _choice(get("direction"), DIRECTIONS, "direction")
    return Submission(
        tenant_id=_tenant(get("tenant"), only_tenant),
        event_id=_event_id(get("id")),
        time=time,
        channel=channel,
        direction=direction,
        source=source,
        feature=feature,
        quantity=quantity,
        metadata=metadata,
        fingerprint=_fingerprint((channel, direction, source, feature), time, quantity, metadata),
        cleaned=rules.policy.clean(metadata),
    )


def _fingerprint(
    labels: tuple[str | None, ...],
    time: datetime,
    quantity: object,
    metadata: Mapping[str, object],
) -> bytes:
    """Condense what was submitted. Independent of how counts are normalised or values hidden."""
    if isinstance(quantity, float) and abs(quantity) <= MAX_COUNT and quantity.is_integer():
        quantity = int(quantity)
    try:
        details = orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS)
        check_size(details)
        body = orjson.dumps((*labels, (time - _EPOCH) // _MICROSECOND, quantity)) + details
    except TypeError as error:
        raise InvalidError("not_json", f"the event holds what JSON cannot: {error}") from None
    return FINGERPRINT_VERSION + hashlib.blake2b(body, digest_size=16).digest()


def _tenant(value: object, only_tenant: TenantId | None) -> TenantId:
    if value is None:
        if only_tenant is None:
            raise InvalidError("missing_tenant", "name the tenant of the usage", key="tenant")
        return only_tenant
    tenant_id = parse_tenant_id(value)
    if only_tenant is not None and tenant_id != only_tenant:
        raise InvalidError(
            "foreign_tenant", "this credential may not write for that tenant", key="tenant"
        )
    return tenant_id


def _event_id(value: object) -> str:
    if value is None:
        raise InvalidError("missing_id", "give the provider's own id, or make one once", key="id")
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_ID or not value.isprintable():
        raise InvalidError(
            "invalid_id",
            f"id is text of 1 to {_MAX_ID} printable characters",
            key="id",
            value=value,
        )
    check_identifier(value, key="id")
    return value


def _choice(value: object, choices: tuple[str, ...], key: str) -> str:
    if isinstance(value, str) and value in choices:
        return value
    raise InvalidError(
        f"unknown_{key}", f"{key} is one of {', '.join(choices)}", key=key, value=value
    )


def _optional_slug(value: object, key: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and is_slug(value):
        return value
    return parse_slug(value, key=key)


def parse_time(value: object) -> datetime | None:
    """Read an ISO 8601 time: in UTC where it has an offset, naive where not, None where it is none.

    Python's own reader also takes shorthands such as `20240116012`, which nobody means as a time.
    """
    if not isinstance(value, str) or _DATE_AND_TIME.match(value) is None:
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
    if time < _EARLIEST:
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


def _price_class(metadata: Mapping[str, object]) -> str:
    """Return what sets the usage's price apart: the batch endpoint, or the tier as served."""
    if _flag(metadata, "batch"):
        return "batch"
    tier = metadata.get("service_tier")
    if tier is None or tier in _STANDARD_TIERS:
        return STANDARD_PRICE_CLASS
    return "priority" if tier == "fast" else parse_slug(tier, key="metadata.service_tier")
