"""Retention: old raw usage becomes tombstones and checkpoints, and no figure changes.

Rows are taken in short transactions, each of which leaves a ledger that ties: whenever a run ends,
the next one goes on where it was.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

import sqlalchemy as sa

from costing.checkpoints import Checkpoint, read_checkpoints_of, write_checkpoints
from costing.store import is_costed, lock_costing
from ledger.batches import OPENING_BATCH
from ledger.errors import ConflictError
from ledger.facts import expire_facts
from ledger.measures import MEASURE_COLUMNS, Measures
from ledger.models import usage_metrics, usage_rollups_daily, usage_tombstones
from ledger.period import first_kept_date
from ledger.rollups import EMPTY_TALLY, SP3_PRICE_VERSION, RollupKey, Tally, read_rollups
from ledger.session import (
    OperatorSession,
    TenantSession,
    insist,
    operator_session,
    tenant_session,
)
from ledger.shipping import is_shipped
from ledger.tenant import Tenant, TenantId
from ledger.tenants import get_tenant, list_tenants

TAKEN_ROWS = 1000
"""Most rows taken in one transaction, so that a run never holds the ledger for long."""

_RAW = usage_metrics.c
_KEY = [_RAW[name] for name in RollupKey._fields]
_MEASURES = [_RAW[name] for name in MEASURE_COLUMNS]


class Due(NamedTuple):
    """What retention has to take of one tenant: costed raw rows of dates before `first_kept`."""

    tenant_id: TenantId
    first_kept: date
    rows: int


class _Taken(NamedTuple):
    """What the raw rows behind one rollup row came to."""

    tally: Tally
    rows: int


class Retention:
    """Takes raw usage that is older than a number of local dates, today included.

    Args:
        engine: of the ledger.
        days: how many local dates to keep.
    """

    def __init__(self, engine: sa.Engine, *, days: int) -> None:
        self._engine = engine
        self._days = days

    def find_due(self, tenant_id: TenantId | None = None, *, now: datetime) -> list[Due]:
        """Return what is to be taken, of one tenant or of all, those with nothing left out.

        Raises:
            MissingError: `unknown_tenant`.
        """
        with operator_session(self._engine) as session:
            tenants = (
                list_tenants(session) if tenant_id is None else [get_tenant(session, tenant_id)]
            )
            found = [self._measure(session, tenant, now=now) for tenant in tenants]
        return [due for due in found if due.rows]

    def take(self, due: Due) -> Iterator[int]:
        """Take what is due of one tenant; yield the number of rows after each transaction.

        Raises:
            ConflictError: `lost_rollup` or `lost_checkpoint`, where the rows that usage is to be
                taken from behind are gone. What was taken before stays taken.
            UnavailableError: the ledger did not answer.
        """
        while rows := insist(lambda: self._take_some(due)):
            yield rows

    def _measure(self, session: OperatorSession, tenant: Tenant, *, now: datetime) -> Due:
        first_kept = first_kept_date(self._days, tenant, now=now)
        query = (
            sa.select(sa.func.count())
            .select_from(usage_metrics)
            .where(*_is_due(tenant.tenant_id, first_kept))
        )
        rows = session.connection.execute(query).scalar_one()
        return Due(tenant.tenant_id, first_kept, rows)

    def _take_some(self, due: Due) -> int:
        with tenant_session(self._engine, due.tenant_id, write=True) as session:
            # Nobody costs or recomputes while rows change sides.
            lock_costing(session)
            rows = _delete_raw(session, _is_due(due.tenant_id, due.first_kept))
            if rows:
                _add_tombstones(session, rows)
                _add_checkpoints(session, _sum(rows))
                expire_facts(
                    session,
                    events={row["event_id"] for row in rows if row["usage_id"] is None},
                    usages={row["usage_id"] for row in rows if row["usage_id"] is not None},
                )
        return len(rows)


def _is_due(tenant_id: TenantId, first_kept: date) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on which a raw row is taken; all of them hold.

    Whatever the settings say: of what waits to be shipped nobody could make the points again.
    """
    return [
        _RAW.tenant_id == tenant_id,
        _RAW.date < first_kept,
        is_costed(tenant_id),
        is_shipped(tenant_id),
    ]


def _delete_raw(
    session: TenantSession, is_due: Iterable[sa.ColumnElement[bool]]
) -> Sequence[sa.RowMapping]:
    chosen = sa.select(_RAW.event_id).where(*is_due).order_by(_RAW.date).limit(TAKEN_ROWS)
    statement = (
        sa.delete(usage_metrics)
        .where(_RAW.tenant_id == session.tenant_id, _RAW.event_id.in_(chosen))
        .returning(
            *(_RAW.event_id, _RAW.fingerprint, _RAW.batch_id, _RAW.derived, _RAW.provisional),
            *(_RAW["count"], _RAW.usage_id),
            *_KEY,
            *_MEASURES,
        )
    )
    return session.connection.execute(statement).mappings().all()


def _add_tombstones(session: TenantSession, rows: Sequence[sa.RowMapping]) -> None:
    session.connection.execute(
        sa.insert(usage_tombstones),
        [
            {
                "tenant_id": session.tenant_id,
                "event_id": row["event_id"],
                "fingerprint": row["fingerprint"],
                "is_told_of": row["usage_id"] is None and row["channel"] != "ai",
            }
            for row in rows
        ],
    )


def _sum(rows: Sequence[sa.RowMapping]) -> dict[RollupKey, _Taken]:
    groups: defaultdict[RollupKey, list[sa.RowMapping]] = defaultdict(list)
    for row in rows:
        groups[_key_of(row)].append(row)
    return {
        key: _Taken(EMPTY_TALLY if _is_opening(key) else _tally(group), len(group))
        for key, group in groups.items()
    }


def _key_of(row: sa.RowMapping) -> RollupKey:
    if row["batch_id"] != OPENING_BATCH:
        return RollupKey(*(row[name] for name in RollupKey._fields))
    return RollupKey(
        date=row["date"],
        channel=row["channel"],
        direction=row["direction"],
        source=None,
        feature=None,
        model=None,
        price_class=SP3_PRICE_VERSION,
    )


def _is_opening(key: RollupKey) -> bool:
    return key.price_class == SP3_PRICE_VERSION


def _tally(rows: Sequence[sa.RowMapping]) -> Tally:
    return Tally(
        events=sum(row["count"] for row in rows),
        measures=Measures(*(sum(row[name] for row in rows) for name in MEASURE_COLUMNS)),
        derived_count=sum(row["derived"] * row["count"] for row in rows),
        provisional_count=sum(row["provisional"] * row["count"] for row in rows),
    )


def _add_checkpoints(session: TenantSession, taken: Mapping[RollupKey, _Taken]) -> None:
    before = read_checkpoints_of(session, taken)
    versions = _read_versions(session, taken)
    after = {
        key: _checkpoint(key, before.get(key), versions.get(key)).plus(tally, taken=rows)
        for key, (tally, rows) in taken.items()
    }
    write_checkpoints(session, after)


def _checkpoint(key: RollupKey, known: Checkpoint | None, price_version: str | None) -> Checkpoint:
    """Return the checkpoint to add to; it learns the price version that its row has now."""
    if _is_opening(key):
        if known is None:
            raise ConflictError("lost_checkpoint", f"{_name(key)} has no opening balance any more")
        return known
    if price_version is None:
        raise ConflictError(
            "lost_rollup",
            f"{_name(key)} has no rollup row any more; run `meterline rebuild rollups` first",
        )
    if known is None:
        return Checkpoint(price_version=price_version)
    return replace(known, price_version=price_version)


def _name(key: RollupKey) -> str:
    return " ".join(str(part) for part in key if part is not None)


def _read_versions(session: TenantSession, keys: Iterable[RollupKey]) -> dict[RollupKey, str]:
    rows = read_rollups(
        session,
        usage_rollups_daily.c.date.in_(sorted({key.date for key in keys})),
        usage_rollups_daily.c.rollup_id.in_(sorted({key.rollup_id for key in keys})),
    )
    return {key: row.price_version for key, row in rows.items()}
