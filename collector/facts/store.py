"""The SQL of facts: what is told of usages, what is booked for them, and the locks on both."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from collector.facts.effective import Change, DatedFact, Usage
from collector.facts.fact import Fact, Rank, Verdict
from ledger.engine import is_postgresql
from ledger.event import OWN_ID_PREFIX, UNKNOWN_FINGERPRINT
from ledger.measures import MEASURE_COLUMNS, Measures
from ledger.models import usage_balances, usage_facts, usage_metrics, usage_tombstones
from ledger.sequence import take_numbers
from ledger.session import TenantSession

_RAW = usage_metrics.c
_TOMBSTONE = usage_tombstones.c
_FACT = usage_facts.c
_BALANCE = usage_balances.c
_FIELDS = Usage._fields[:-1]

# A row that is there and gone within one transaction, whose key makes an event of this id wait.
_CLAIM = sa.text(
    f"INSERT INTO {usage_metrics.name} (tenant_id, event_id, id, batch_id, fingerprint, time, date,"
    " channel, direction, price_class, quantity, derived, provisional)"
    " SELECT :tenant, claimed, -1, -1, '\\x00'::bytea, now(), current_date, '', '', '', 0, false,"
    ' false FROM unnest(CAST(:ids AS varchar[])) AS claimed ORDER BY claimed COLLATE "C"'
    " ON CONFLICT DO NOTHING"
)
_RELEASE = sa.delete(usage_metrics).where(
    _RAW.tenant_id == sa.bindparam("tenant"),
    _RAW.event_id == sa.func.any(sa.bindparam("ids", type_=postgresql.ARRAY(sa.String))),
    _RAW.batch_id == -1,
)


class Balance(NamedTuple):
    """What the booked rows of a usage come to; an expired one stays what it is."""

    booked: Usage | None
    is_expired: bool


class Known(NamedTuple):
    """What the ledger holds under the ids of usages.

    Attributes:
        events: those that the SDK booked.
        gone: ids that are tombstones.
    """

    events: dict[str, Usage]
    gone: set[str]


def claim_ids(session: TenantSession, usage_ids: Sequence[str]) -> None:
    """Make events with these ids wait for this transaction, and wait for those on their way.

    On SQLite whoever writes is alone.
    """
    if usage_ids and is_postgresql(session.connection):
        values = {"tenant": session.tenant_id, "ids": list(usage_ids)}
        session.connection.execute(_CLAIM, values)
        session.connection.execute(_RELEASE, values)


def find_balances(session: TenantSession, usage_ids: Collection[str]) -> set[str]:
    """Return those usages that have a balance, without a lock."""
    query = sa.select(_BALANCE.usage_id).where(
        _BALANCE.tenant_id == session.tenant_id, _BALANCE.usage_id.in_(usage_ids)
    )
    return set(session.connection.execute(query).scalars())


def open_balances(session: TenantSession, booked: Mapping[str, Usage | None]) -> None:
    """Make the balances of usages that have none, each with what is booked for it."""
    if not booked:
        return
    insert = postgresql.insert if is_postgresql(session.connection) else sqlite.insert
    session.connection.execute(
        insert(usage_balances).on_conflict_do_nothing(),
        [
            {
                "tenant_id": session.tenant_id,
                "usage_id": usage_id,
                "booked": _dump(booked[usage_id]),
            }
            for usage_id in sorted(booked)
        ],
    )


def lock_balances(session: TenantSession, usage_ids: Collection[str]) -> dict[str, Balance]:
    """Return the balances of usages, locked in their order; those without one are left out."""
    query = (
        sa.select(_BALANCE.usage_id, _BALANCE.booked, _BALANCE.expired)
        .where(_BALANCE.tenant_id == session.tenant_id, _BALANCE.usage_id.in_(usage_ids))
        .order_by(_BALANCE.usage_id)
        .with_for_update()
    )
    return {
        usage_id: Balance(_load(booked), expired)
        for usage_id, booked, expired in session.connection.execute(query)
    }


def write_balances(session: TenantSession, booked: Mapping[str, Usage | None]) -> None:
    """Write down what is booked for usages now. Their balances are locked."""
    if booked:
        session.connection.execute(
            sa.update(usage_balances)
            .where(
                _BALANCE.tenant_id == session.tenant_id,
                _BALANCE.usage_id == sa.bindparam("of_usage"),
            )
            .values(booked=sa.bindparam("comes_to", type_=_BALANCE.booked.type)),
            [{"of_usage": key, "comes_to": _dump(usage)} for key, usage in booked.items()],
        )


def read_known(session: TenantSession, usage_ids: Collection[str]) -> Known:
    """Return what is booked under the ids of usages, in one statement, so that none is missed.

    Usage of AI is never told by facts, so its events are none of theirs.
    """
    own = _RAW.tenant_id == session.tenant_id, _RAW.event_id.in_(usage_ids)
    columns = [_RAW[name] for name in (*_FIELDS, *MEASURE_COLUMNS)]
    raw = sa.select(_RAW.event_id, *columns).where(*own, _RAW.channel != "ai")
    taken = sa.select(
        _TOMBSTONE.event_id, *(sa.cast(sa.null(), column.type) for column in columns)
    ).where(_TOMBSTONE.tenant_id == session.tenant_id, _TOMBSTONE.event_id.in_(usage_ids))
    known = Known({}, set())
    for usage_id, *values in session.connection.execute(raw.union_all(taken)):
        if values[0] is None:
            known.gone.add(usage_id)
        else:
            width = len(_FIELDS)
            known.events[usage_id] = Usage._make((*values[:width], Measures(*values[width:])))
    return known


def read_facts(session: TenantSession, usage_ids: Collection[str]) -> dict[str, list[DatedFact]]:
    """Return the facts of usages, by usage."""
    query = sa.select(usage_facts).where(
        _FACT.tenant_id == session.tenant_id, _FACT.usage_id.in_(usage_ids)
    )
    found: defaultdict[str, list[DatedFact]] = defaultdict(list)
    for row in session.connection.execute(query).mappings():
        fact = Fact(
            usage_id=row["usage_id"],
            fact_id=row["fact_id"],
            rank=Rank(row["rank"]),
            verdict=Verdict(row["verdict"]),
            time=row["time"],
            channel=row["channel"],
            direction=row["direction"],
            source=row["source"],
            feature=row["feature"],
            quantity=row["quantity"],
            adds=row["adds"],
            metadata=row["metadata"] or {},
        )
        found[fact.usage_id].append(DatedFact(fact, row["date"]))
    return dict(found)


def insert_facts(session: TenantSession, facts: Iterable[DatedFact], *, now: datetime) -> None:
    """Keep new facts. The balances of their usages are locked."""
    names = (
        "usage_id", "fact_id", "rank", "verdict", "time", "channel", "direction", "source",
        "feature", "quantity", "adds",
    )  # fmt: skip
    rows = [
        {
            "tenant_id": session.tenant_id,
            **{name: getattr(fact, name) for name in names},
            "date": day,
            "metadata": dict(fact.metadata) or None,
            "received_at": now,
        }
        for fact, day in facts
    ]
    if rows:
        session.connection.execute(sa.insert(usage_facts), rows)


class Row(NamedTuple):
    """A row to book for a usage."""

    usage_id: str
    change: Change
    corrects: bool
    metadata: dict[str, object] | None


def insert_rows(session: TenantSession, rows: Sequence[Row], *, batch_id: int | None) -> int | None:
    """Book rows; return the number of their batch, or None where there are none.

    Args:
        session: of the tenant, writing.
        rows: what to book.
        batch_id: of a batch that this transaction has booked, or None to begin one.
    """
    if not rows:
        return batch_id
    numbers = take_numbers(session.connection, len(rows))
    batch = numbers[0] if batch_id is None else batch_id
    session.connection.execute(
        sa.insert(usage_metrics),
        [
            _row_values(session, row, number, batch)
            for row, number in zip(rows, numbers, strict=True)
        ],
    )
    return batch


def _row_values(session: TenantSession, row: Row, number: int, batch_id: int) -> dict[str, Any]:
    sign, usage = row.change
    measures = usage.measures if sign > 0 else usage.measures.negated()
    return {
        **usage._asdict(),
        **measures._asdict(),
        "tenant_id": session.tenant_id,
        "event_id": f"{OWN_ID_PREFIX}{number}",
        "id": number,
        "batch_id": batch_id,
        "fingerprint": UNKNOWN_FINGERPRINT,
        "metadata": row.metadata,
        "count": sign,
        "usage_id": row.usage_id,
        "corrects": row.corrects,
    }


def _dump(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    values = usage._asdict()
    return {
        **values,
        "time": usage.time.isoformat(),
        "date": usage.date.isoformat(),
        "measures": list(usage.measures),
    }


def _load(values: dict[str, Any] | None) -> Usage | None:
    if values is None:
        return None
    return Usage(
        **{
            **values,
            "time": datetime.fromisoformat(values["time"]),
            "date": date.fromisoformat(values["date"]),
            "measures": Measures(*values["measures"]),
        }
    )
