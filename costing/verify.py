"""Proves that ledger, rollups and CSV say the same, from one snapshot, or names the difference."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from costing.export import read_export, write_csv
from costing.hours import find_untied
from costing.pricing.books import Kept, read_kept
from costing.pricing.flat import FlatMap
from costing.pricing.resolution import Book
from costing.pricing.store import read_book
from costing.recompute import Change, recompute
from costing.rollup import Pricing, Rater
from costing.store import find_unregistered, read_journal, row_figures
from ledger.batches import Backlog, measure_backlog
from ledger.difference import Difference
from ledger.errors import MeterlineError
from ledger.models import usage_batches, usage_metrics
from ledger.money import Nanos, parse_usd
from ledger.rollups import RollupKey, RollupRow
from ledger.session import OperatorSession, TenantSession, operator_session
from ledger.tenant import Tenant, TenantId
from ledger.tenants import list_tenants


@dataclass(frozen=True, kw_only=True, slots=True)
class TenantTotals:
    """What one tenant's ledger, rollups and CSV all say; pending usage is apart."""

    tenant_id: TenantId
    events: int
    cost: Nanos
    has_unpriced: bool
    unpriced_events: int
    pending: Backlog


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Totals of every tenant that ties, and the first difference of each that does not."""

    totals: tuple[TenantTotals, ...]
    differences: tuple[Difference, ...]


def verify(engine: sa.Engine, flat: FlatMap, tenant_id: TenantId | None = None) -> Report:
    """Recompute everything from one snapshot and compare.

    Raises:
        MissingError: `edited_price_book`, when a kept price book was changed.
    """
    totals: list[TenantTotals] = []
    differences: list[Difference] = []
    with operator_session(engine) as session:
        kept, whole = read_kept(session), read_book(session, flat)
        differences += [
            _damage(unknown, "there is usage of this tenant, and the tenant is not registered")
            for unknown in sorted(find_unregistered(session))
        ]
        for tenant in list_tenants(session):
            if tenant_id not in (None, tenant.tenant_id):
                continue
            match _verify_tenant(session, tenant, kept, whole):
                case TenantTotals() as tied:
                    totals.append(tied)
                case Difference() as difference:
                    differences.append(difference)
    return Report(totals=tuple(totals), differences=tuple(differences))


def _verify_tenant(
    session: OperatorSession, tenant: Tenant, kept: Kept, book: Book
) -> TenantTotals | Difference:
    rater = Rater(pricing=Pricing(book=book, tenant=tenant), kept=kept)
    try:
        recomputed = recompute(session, rater)
    except MeterlineError as error:
        return _damage(tenant.tenant_id, error.message)
    for change in recomputed.changes:
        return _difference(tenant.tenant_id, change)
    for difference in (
        *_pending_differences(session, tenant.tenant_id),
        *_hour_differences(session, tenant.tenant_id, recomputed.rows.values()),
        *_journal_differences(session, tenant.tenant_id, recomputed.rows.values()),
    ):
        return difference
    rows = recomputed.rows.values()
    totals = TenantTotals(
        tenant_id=tenant.tenant_id,
        events=sum(row.tally.events for row in rows),
        cost=Nanos(sum(row.estimated_cost or 0 for row in rows)),
        has_unpriced=any(row.estimated_cost is None for row in rows),
        unpriced_events=sum(row.tally.events for row in rows if row.estimated_cost is None),
        pending=measure_backlog(session, tenant.tenant_id),
    )
    return _csv_difference(session, totals) or totals


def _hour_differences(
    session: OperatorSession, tenant_id: TenantId, rows: Iterable[RollupRow]
) -> Iterator[Difference]:
    for key, right, part in find_untied(session, tenant_id, rows):
        yield Difference(
            tenant_id=tenant_id,
            where=f"hours of {_name(key)}: count, quantity",
            expected=str(tuple(right)),
            found=str(tuple(part)),
        )


def _damage(tenant_id: TenantId, what: str) -> Difference:
    return Difference(tenant_id=tenant_id, where=what, expected="a sound ledger", found="this")


def _journal_differences(
    session: OperatorSession, tenant_id: TenantId, rows: Iterable[RollupRow]
) -> Iterator[Difference]:
    """Follow the journal: each entry begins where the one before ended, the last at its row."""
    ends: dict[tuple[date, UUID], dict[str, Any]] = {}
    for entry in read_journal(session, tenant_id):
        key = (entry.date, entry.rollup_id)
        end = ends.setdefault(key, {})
        if end and not (entry.before and _agree(end, entry.before)):
            yield _journal_difference(tenant_id, key, entry.before, end)
        end.update(entry.after)
    figures = {(row.key.date, row.key.rollup_id): row_figures(row) for row in rows}
    for key, after in ends.items():
        found = figures.get(key, {})
        if not (found and _agree(after, found)):
            yield _journal_difference(tenant_id, key, after, found)


def _agree(figures: dict[str, Any], others: dict[str, Any]) -> bool:
    """Whether two say the same where both say something."""
    return all(figures[name] == others[name] for name in figures.keys() & others.keys())


def _journal_difference(
    tenant_id: TenantId, key: tuple[date, UUID], said: dict[str, Any], is_now: dict[str, Any]
) -> Difference:
    return Difference(
        tenant_id=tenant_id,
        where=f"journal of rollup {key[1]} on {key[0]}",
        expected=str(said),
        found=str(is_now),
    )


def _difference(tenant_id: TenantId, change: Change) -> Difference:
    before, after = change
    key = _name(after.key)
    if before is None:
        return Difference(
            tenant_id=tenant_id,
            where=key,
            expected=f"a rollup row of {after.tally.events} events",
            found="no row",
        )
    field, expected, found = next(_unequal(after, before))
    return Difference(tenant_id=tenant_id, where=f"{key}: {field}", expected=expected, found=found)


def _name(key: RollupKey) -> str:
    return " ".join(str(part) for part in key if part is not None)


def _unequal(expected: RollupRow, found: RollupRow) -> Iterator[tuple[str, str, str]]:
    for field, value in _flat(expected).items():
        other = _flat(found)[field]
        if field != "revision" and value != other:
            yield field, str(value), str(other)


def _flat(row: RollupRow) -> dict[str, object]:
    fields = {name: getattr(row, name) for name in RollupRow.__slots__}
    tally = fields.pop("tally")._asdict()
    measures = tally.pop("measures")._asdict()
    return {**tally, **measures, **fields}


def _pending_differences(session: OperatorSession, tenant_id: TenantId) -> Iterator[Difference]:
    raw = usage_metrics.c
    query = (
        sa.select(usage_batches.c.batch_id, usage_batches.c.event_count, sa.func.count(raw.id))
        .select_from(
            usage_batches.outerjoin(
                usage_metrics,
                sa.and_(
                    raw.tenant_id == usage_batches.c.tenant_id,
                    raw.batch_id == usage_batches.c.batch_id,
                ),
            )
        )
        .where(usage_batches.c.tenant_id == tenant_id)
        .group_by(usage_batches.c.batch_id, usage_batches.c.event_count)
    )
    for batch_id, announced, booked in session.connection.execute(query):
        if announced != booked:
            yield Difference(
                tenant_id=tenant_id,
                where=f"pending batch {batch_id}: events",
                expected=str(announced),
                found=str(booked),
            )


def _csv_difference(session: OperatorSession, totals: TenantTotals) -> Difference | None:
    own = TenantSession(tenant_id=totals.tenant_id, connection=session.connection)
    count = unpriced = 0
    has_unpriced = False
    cost = Nanos(0)
    for line in csv.DictReader(write_csv(read_export(own))):
        count += int(line["count"])
        if line["estimated_cost"]:
            cost = Nanos(cost + parse_usd(line["estimated_cost"]))
        else:
            has_unpriced = True
            unpriced += int(line["count"])
    expected = (totals.events, totals.cost, totals.has_unpriced, totals.unpriced_events)
    found = (count, cost, has_unpriced, unpriced)
    if found == expected:
        return None
    return Difference(
        tenant_id=totals.tenant_id,
        where="CSV: count, nano-dollars, whether any is unpriced, unpriced count",
        expected=str(expected),
        found=str(found),
    )
