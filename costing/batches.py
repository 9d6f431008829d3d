"""Costs claimed batches of one tenant, within one transaction."""

from collections.abc import Callable, Mapping
from datetime import datetime

from costing.hours import add_hours, open_hours
from costing.recompute import Change
from costing.rollup import Pricing, Rater
from costing.store import note_costed, sum_batches
from costing.writing import read_needed, write_changes
from ledger.batches import Claim, claim_batches, finish_batches
from ledger.models import usage_rollups_daily
from ledger.rollups import RollupKey, RollupRow, Tally, read_rollups
from ledger.session import TenantSession

CLAIM_EVENTS = 20_000
"""Most events costed in one transaction, unless a single batch is larger."""

Look = Callable[[], tuple[Pricing, datetime]]
"""Returns what the tenant pays, and the current instant."""


def cost_pending(cost_some: Callable[[int | None], Claim]) -> int:
    """Cost what was pending at first; what is booked meanwhile is for the next pass.

    So a tenant that is booked all the time keeps no other one waiting.
    """
    done = 0
    until: int | None = None
    while True:
        batch_ids, until = cost_some(until)
        done += len(batch_ids)
        if not batch_ids or batch_ids[-1] == until:
            return done


def cost_batches(session: TenantSession, look: Look, until: int | None, *, ships: bool) -> Claim:
    """Cost the next batches of a tenant, whose costing lock the caller holds.

    Args:
        session: of the tenant, writing.
        look: is called when it is known which batches these are.
        until: see `claim_batches`.
        ships: hand the batches on to the relay.

    Raises:
        UnkeptError: where the rates have to be kept first.
    """
    claim = claim_batches(session, max_events=CLAIM_EVENTS, until=until)
    # Not before: who booked a batch may have cut its days in a zone that is newer than an earlier
    # look.
    pricing, now = look()
    note_costed(session, now=now)
    if not claim.batch_ids:
        return claim
    hours_from = open_hours(session, now=now)
    sums = sum_batches(session, claim.batch_ids)
    # Corrections come second, and what they change is journalled by itself.
    for cause, tallies in sums.tallies.items():
        if tallies:
            changes = _add_usage(session, pricing, tallies)
            write_changes(session, pricing.tenant, changes, cause=cause, now=now)
    add_hours(session, sums.hours, hours_from=hours_from)
    finish_batches(session, claim.batch_ids, ships=ships)
    return claim


def _add_usage(
    session: TenantSession, pricing: Pricing, sums: Mapping[RollupKey, Tally]
) -> list[Change]:
    rows = _read_touched(session, sums)
    named = {row.price_version for row in rows.values()}
    new = [pricing.rates_of(key) for key in sums.keys() - rows.keys()]
    rater = Rater(pricing=pricing, kept=read_needed(session, named, new))
    return [
        Change(rows.get(key), rater.add_usage(rows.get(key), key, tally))
        for key, tally in sums.items()
    ]


def _read_touched(
    session: TenantSession, sums: Mapping[RollupKey, Tally]
) -> dict[RollupKey, RollupRow]:
    columns = usage_rollups_daily.c
    dates = sorted({key.date for key in sums})
    ids = sorted({key.rollup_id for key in sums})
    return read_rollups(session, columns.date.in_(dates), columns.rollup_id.in_(ids))
