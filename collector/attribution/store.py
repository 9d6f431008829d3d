"""The SQL of usage that waits to be attributed: what claims it, and where it went.

What changes a usage locks its entry first and its facts then, always in this order.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from collector.attribution.claims import ClaimKey
from collector.attribution.luggage import dump_claims, load_claims
from ledger.engine import is_postgresql
from ledger.models import unattributed_usage
from ledger.session import OperatorSession, TenantSession
from ledger.tenant import UNATTRIBUTED, TenantId

_COLUMNS = unattributed_usage.c
_OWN = _COLUMNS.tenant_id == UNATTRIBUTED
_IS_OPEN = (_OWN, _COLUMNS.arrived_at.is_(None))
_WAITS = (*_IS_OPEN, _COLUMNS.target.is_(None))
_IN_ONE_QUERY = 500
"""Most usages that one query names, since SQLite takes no more than some thousand values."""

_Session = OperatorSession | TenantSession


class Entry(NamedTuple):
    """One usage that was booked for nobody.

    Attributes:
        time: the earliest that any of its facts tells.
        claims: all that its messages named, those of the first message first.
        target: where it went; `_unattributed` itself: it stays there for good.
        has_arrived: whether its facts are booked there.
        provider_id: the provider's id of the usage, where it waits under another one.
        of_owner: the key that signed its messages is of what claims it, and of nothing else.
    """

    usage_id: str
    time: datetime
    claims: tuple[ClaimKey, ...]
    target: TenantId | None
    has_arrived: bool
    provider_id: str
    of_owner: bool


class Waiting(NamedTuple):
    """Usage that waits with the same claims, in their order of precedence."""

    claims: tuple[ClaimKey, ...]
    usages: int
    first: datetime
    last: datetime


class Journey(NamedTuple):
    """One usage that has left and is not known to have arrived."""

    usage_id: str
    target: TenantId
    channel: str | None
    quantity: int
    luggage: str


class Departure(NamedTuple):
    """What is written down of a usage that leaves."""

    usage_id: str
    target: TenantId
    channel: str | None
    quantity: int
    luggage: str | None


def read_waiting(session: _Session) -> list[Waiting]:
    """Return what waits, by its claims, most usages first."""
    count = sa.func.count()
    query = (
        sa.select(_COLUMNS.claims, count, sa.func.min(_COLUMNS.time), sa.func.max(_COLUMNS.time))
        .where(*_WAITS)
        .group_by(_COLUMNS.claims)
        .order_by(count.desc(), _COLUMNS.claims)
    )
    rows = session.connection.execute(query)
    return [Waiting(load_claims(row[0]), *row[1:]) for row in rows]


def read_journeys(session: _Session, usage_ids: Collection[str] | None = None) -> list[Journey]:
    """Return what is on its way, of these usages or of all, in the order of their ids."""
    names = ("usage_id", "target", "channel", "quantity", "luggage")
    query = (
        sa.select(*(_COLUMNS[name] for name in names))
        .where(*_IS_OPEN, _COLUMNS.target.is_not(None))
        .order_by(_COLUMNS.usage_id)
    )
    if usage_ids is None:
        return [Journey(*row) for row in session.connection.execute(query)]
    return [
        Journey(*row)
        for part in _parts(usage_ids)
        for row in session.connection.execute(query.where(_COLUMNS.usage_id.in_(part)))
    ]


def find_covered(
    session: _Session, claims: Sequence[ClaimKey], *, since: datetime, after: str, limit: int
) -> list[Entry]:
    """Return usages that wait with these claims and happened since then, in order after one."""
    query = _SELECT.where(
        *_WAITS,
        _COLUMNS.claims == dump_claims(claims),
        _COLUMNS.time >= since,
        _COLUMNS.usage_id > after,
    ).limit(limit)
    return list(_entries(session.connection.execute(query)).values())


def list_waiting(session: _Session, *, after: str, limit: int) -> list[Entry]:
    """Return usages that wait and may be anybody's, in order after one."""
    query = _SELECT.where(*_WAITS, _COLUMNS.usage_id > after, _COLUMNS.of_owner.is_(False)).limit(
        limit
    )
    return list(_entries(session.connection.execute(query)).values())


def find_entries(session: _Session, usage_ids: Collection[str]) -> dict[str, Entry]:
    """Return those of the usages that were ever booked for nobody."""
    return _read_entries(session, usage_ids, _SELECT)


def lock_entries(session: TenantSession, usage_ids: Collection[str]) -> dict[str, Entry]:
    """Return entries, locked in their order, in a writing transaction of `_unattributed`."""
    return _read_entries(session, usage_ids, _SELECT.with_for_update())


def note_entries(session: TenantSession, entries: Iterable[Entry], *, now: datetime) -> None:
    """Write entries down; those that are there stay as they are."""
    rows = [
        {
            "tenant_id": session.tenant_id,
            "usage_id": entry.usage_id,
            "time": entry.time,
            "claims": dump_claims(entry.claims),
            "booked_at": now,
            "provider_id": None if entry.provider_id == entry.usage_id else entry.provider_id,
            "of_owner": entry.of_owner,
        }
        for entry in sorted(entries)
    ]
    insert = postgresql.insert if is_postgresql(session.connection) else sqlite.insert
    session.connection.execute(insert(unattributed_usage).on_conflict_do_nothing(), rows)


def amend_entry(session: TenantSession, entry: Entry) -> None:
    """Write down what else is known of a locked entry that waits."""
    _update(session, [entry.usage_id], time=entry.time, claims=dump_claims(entry.claims))


def note_departures(
    session: TenantSession, departures: Iterable[Departure], *, now: datetime
) -> None:
    """Write down where locked entries go. What has no luggage stays for good."""
    for usage_id, *values in departures:
        written = dict(zip(Departure._fields[1:], values, strict=True))
        arrived = None if written["luggage"] is not None else now
        _update(session, [usage_id], **written, left_at=now, arrived_at=arrived)


def note_arrivals(session: TenantSession, usage_ids: Collection[str], *, now: datetime) -> None:
    """Write down that usages have arrived; the first time counts."""
    for part in _parts(usage_ids):
        statement = (
            sa.update(unattributed_usage)
            .where(*_IS_OPEN, _COLUMNS.usage_id.in_(part))
            .values(arrived_at=now, luggage=None)
        )
        session.connection.execute(statement)


_ENTRY = ("usage_id", "time", "claims", "target", "arrived_at", "provider_id", "of_owner")
_SELECT = sa.select(*(_COLUMNS[name] for name in _ENTRY)).where(_OWN).order_by(_COLUMNS.usage_id)


def _read_entries(
    session: _Session, usage_ids: Collection[str], query: sa.Select[Any]
) -> dict[str, Entry]:
    return _entries(
        row
        for part in _parts(usage_ids)
        for row in session.connection.execute(query.where(_COLUMNS.usage_id.in_(part)))
    )


def _entries(rows: Iterable[Any]) -> dict[str, Entry]:
    return {
        usage_id: Entry(
            usage_id,
            time,
            load_claims(claims),
            target,
            arrived_at is not None,
            told or usage_id,
            own,
        )
        for usage_id, time, claims, target, arrived_at, told, own in rows
    }


def _update(session: TenantSession, usage_ids: Collection[str], **values: object) -> None:
    session.connection.execute(
        sa.update(unattributed_usage).where(_OWN, _COLUMNS.usage_id.in_(usage_ids)).values(values)
    )


def _parts(usage_ids: Collection[str]) -> list[list[str]]:
    ordered = sorted(usage_ids)
    return [ordered[n : n + _IN_ONE_QUERY] for n in range(0, len(ordered), _IN_ONE_QUERY)]
