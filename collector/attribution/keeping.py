"""Adds and ends mappings: what commands, API and page have in common."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from collector.attribution.claims import ClaimKey, make_key, mark_key, parse_claim
from collector.attribution.resolution import (
    MappedPeriod,
    find_in_force,
    list_periods,
    make_histories,
)
from collector.events import parse_time
from collector.facts.claim import ClaimKind
from collector.personal import is_personal
from ledger.errors import ConflictError, InvalidError
from ledger.mappings import (
    ProviderMapping,
    append_mapping,
    find_mappings,
    get_mapping,
    list_mappings,
    unknown_mapping,
)
from ledger.period import FIRST_DATE, LAST_DATE, day_start
from ledger.session import OperatorSession
from ledger.tenant import Tenant, parse_label, parse_tenant_id
from ledger.tenants import get_tenant

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewMapping:
    """What somebody wants mapped, as it was typed.

    Attributes:
        kind, value, tenant: what the provider names, and whose it is.
        valid_from: a local date of the tenant, or a time with an offset; None: from now on.
        label: what people call it; None: nothing.
    """

    kind: str
    value: str
    tenant: str
    valid_from: str | None = None
    label: str | None = None


def add_mapping(
    session: OperatorSession, new: NewMapping, *, hash_key: bytes | None, now: datetime
) -> tuple[MappedPeriod, bool]:
    """Map what a provider names to a tenant; return the mapping and whether it is new.

    What was mapped before ends where this begins, and an end of that is none any more; what begins
    later stays. The same again changes nothing.

    Raises:
        InvalidError: `unknown_mapping_kind`, `invalid_mapping_value`, `missing_hash_key`,
            `invalid_tenant`, `invalid_valid_from`, `invalid_label` or `personal_data`.
        MissingError: `unknown_tenant`.
        ConflictError: `tenant_closed`.
    """
    key = make_key(parse_claim(new.kind, new.value), hash_key)
    tenant = get_tenant(session, parse_tenant_id(new.tenant))
    start = parse_start(new.valid_from, tenant, now=now)
    label = _parse_label(new.label)
    if tenant.is_closed_at(start):
        raise ConflictError(
            "tenant_closed",
            "the tenant is closed by then and takes no usage",
            key="tenant",
            value=tenant.tenant_id,
        )
    history = _history(session, key.kind, key.value)
    there = find_in_force(history, start)
    is_same = there is not None and there.tenant_id == tenant.tenant_id
    if there is not None and is_same and label in {None, there.label}:
        after = next((row for row in history if row.valid_from > there.valid_from), None)
        if after is None or after.tenant_id is not None:  # nothing ends it that was not to be
            return _period(session, there), False
    row = append_mapping(
        session,
        kind=key.kind,
        value=key.value,
        digits=key.digits,
        key_mark=mark_key(hash_key) if key.is_hidden and hash_key is not None else None,
        tenant_id=tenant.tenant_id,
        valid_from=start,
        label=label,
        now=now,
    )
    return _period(session, row), True


def end_mapping(
    session: OperatorSession, mapping_id: int, *, until: str | None = None, now: datetime
) -> MappedPeriod:
    """End a mapping, and return it as it is then. One that has ended by then stays as it is.

    Args:
        session: over all tenants, writing.
        mapping_id: its number.
        until: from when on it is nobody's: a local date of its tenant, or a time with an offset;
            None: from now on. Before its beginning: it never was.
        now: the current instant.

    Raises:
        MissingError: `unknown_mapping`.
        InvalidError: `invalid_valid_from`.
    """
    row = get_mapping(session, mapping_id)
    period = _period(session, row)
    tenant = get_tenant(session, period.tenant_id)
    end = max(parse_start(until, tenant, now=now, key="until"), row.valid_from)
    if period.is_over_at(end):
        return period
    append_mapping(
        session,
        kind=row.kind,
        value=row.value,
        digits=row.digits,
        key_mark=row.key_mark,
        tenant_id=None,
        valid_from=end,
        label=None,
        ends=row.mapping_id,
        now=now,
    )
    return MappedPeriod(row=row, tenant_id=period.tenant_id, until=end)


def list_all(session: OperatorSession) -> list[MappedPeriod]:
    """Return what is mapped and what was, by kind and value, oldest first."""
    return list_periods(make_histories(list_mappings(session)))


def shown_value(row: ProviderMapping) -> str:
    """Return what a person is shown of what is mapped."""
    return ClaimKey(ClaimKind(row.kind), row.value, row.digits).shown


def is_dead(row: ProviderMapping, hash_key: bytes | None) -> bool:
    """Whether it matches nothing any more: its hash was made with another key than there is."""
    return row.key_mark is not None and (hash_key is None or row.key_mark != mark_key(hash_key))


def parse_start(
    text: str | None, tenant: Tenant, *, now: datetime, key: str = "valid_from"
) -> datetime:
    """Read from when on something is to be: a local date of the tenant begins where its day does.

    Raises:
        InvalidError: `invalid_valid_from`.
    """
    if text is None:
        return now
    try:
        if _DATE.fullmatch(text):
            return _check(day_start(_check_date(date.fromisoformat(text)), tenant))
        time = parse_time(text)
        if time is not None and time.tzinfo is not None:
            return _check(time)
    except (ValueError, OverflowError):
        pass
    raise InvalidError(
        "invalid_valid_from",
        "this is a date like 2026-03-01, or a time with an offset like 2026-03-01T09:30:00Z",
        key=key,
        value=text,
    )


def _check_date(day: date) -> date:
    if not FIRST_DATE <= day <= LAST_DATE:
        raise ValueError(day)
    return day


def _check(time: datetime) -> datetime:
    _check_date(time.astimezone(UTC).date())
    return time


def _parse_label(text: str | None) -> str | None:
    if text is None:
        return None
    label = parse_label(text, key="label")
    if is_personal(label):
        raise InvalidError(
            "personal_data",
            "the label looks like a phone number or an e-mail address; call it by what it is for",
            key="label",
        )
    return label


def _history(session: OperatorSession, kind: str, value: str) -> list[ProviderMapping]:
    rows = (row for row in find_mappings(session, {value}) if row.kind == kind)
    return [row for history in make_histories(rows).values() for row in history]


def _period(session: OperatorSession, row: ProviderMapping) -> MappedPeriod:
    """Return a row with where it ends; one that was replaced from its start on never was."""
    periods = list_periods(make_histories(find_mappings(session, {row.value})))
    for period in periods:
        if period.row.mapping_id == row.mapping_id:
            return period
    if row.tenant_id is None:  # the end of one; people are never shown its number
        raise unknown_mapping(row.mapping_id)
    return MappedPeriod(row=row, tenant_id=row.tenant_id, until=row.valid_from)
