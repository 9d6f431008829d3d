"""Who usage belongs to. A tenant is its own type and never optional."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import NewType, TypeGuard
from zoneinfo import ZoneInfo, available_timezones

from ledger.errors import InvalidError

TenantId = NewType("TenantId", str)

UNATTRIBUTED = TenantId("_unattributed")
"""Holds the usage of which nobody knows yet whose it is. Nobody can register it: it is no slug."""

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Where a tenant's first period starts, so that it covers everything that came before us."""

_TENANT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MAX_LABEL = 128
# Debian lists the machine's own zone too; days must not change with the machine.
_NO_PLACES = frozenset({"localtime", "Factory"})


@dataclass(frozen=True, kw_only=True, slots=True)
class TenantPeriod:
    """Plan and time zone of a tenant from `valid_from` (UTC) until the next period."""

    valid_from: datetime
    plan: str
    timezone: str


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A tenant with its periods, oldest first; there is always at least one.

    `closed_at` None: it is open. A closed tenant keeps all it has and uses nothing from then on.
    """

    tenant_id: TenantId
    name: str
    periods: tuple[TenantPeriod, ...]
    closed_at: datetime | None = None

    def __post_init__(self) -> None:
        starts = [period.valid_from for period in self.periods]
        if not starts or starts != sorted(set(starts)):
            raise ValueError("periods must be there, ordered and distinct")

    @cached_property
    def _starts(self) -> list[datetime]:
        return [period.valid_from for period in self.periods]

    def period_at(self, instant: datetime) -> TenantPeriod:
        """Return the period in force at `instant`; the first one also covers all before it."""
        return self.periods[self._place(instant)]

    @cached_property
    def _zones(self) -> list[ZoneInfo]:
        return [ZoneInfo(period.timezone) for period in self.periods]

    def zone_at(self, instant: datetime) -> ZoneInfo:
        """Return the time zone in force at `instant`."""
        return self._zones[self._place(instant)]

    def _place(self, instant: datetime) -> int:
        if len(self.periods) == 1:
            return 0
        return max(bisect_right(self._starts, instant) - 1, 0)

    def is_closed_at(self, instant: datetime) -> bool:
        """Whether the tenant had closed by `instant`, the closing itself included."""
        return self.closed_at is not None and instant >= self.closed_at

    @property
    def current(self) -> TenantPeriod:
        """The newest period."""
        return self.periods[-1]


def parse_tenant_id(text: object, *, reserved: bool = False) -> TenantId:
    """Check that `text` can be a tenant id: a slug that may also have capitals.

    Args:
        text: what somebody named.
        reserved: take `_unattributed`, too: to look at what is there, never to send usage, to
            register or to give access.

    Raises:
        InvalidError: `invalid_tenant`.
    """
    if isinstance(text, str) and (is_tenant_id(text) or (reserved and text == UNATTRIBUTED)):
        return TenantId(text)
    raise InvalidError(
        "invalid_tenant",
        "a tenant id has 1 to 64 of A-Z a-z 0-9 _ . - and starts with a letter or digit",
        key="tenant",
        value=text,
    )


def is_tenant_id(text: object) -> TypeGuard[TenantId]:
    """Whether `text` can be a tenant id."""
    return isinstance(text, str) and _is_slug(text)


@lru_cache(maxsize=4096)
def _is_slug(text: str) -> bool:
    return _TENANT_ID.fullmatch(text) is not None


def parse_timezone(text: object) -> str:
    """Check that `text` names an IANA time zone.

    Raises:
        InvalidError: `unknown_timezone`.
    """
    if isinstance(text, str) and text in available_timezones() - _NO_PLACES:
        return text
    raise InvalidError(
        "unknown_timezone",
        "not an IANA time zone; write it like Europe/Berlin",
        key="timezone",
        value=text,
    )


def parse_label(text: object, *, key: str) -> str:
    """Check a name, plan or model: 1 to 128 printable characters, kept as given.

    Blanks at either end are refused: nobody sees that two such names are not the same.

    Raises:
        InvalidError: `invalid_label`.
    """
    if (
        isinstance(text, str)
        and 1 <= len(text) <= _MAX_LABEL
        and text.isprintable()
        and text == text.strip()
    ):
        return text
    raise InvalidError(
        "invalid_label",
        f"{key} needs 1 to 128 printable characters, none of them a blank at either end",
        key=key,
        value=text,
    )
