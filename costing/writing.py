"""Writes rollup rows that change, with all that goes with it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from costing.pricing.books import Kept, read_kept
from costing.pricing.card import UNPRICED_VERSION, Rates
from costing.recompute import Change
from costing.store import Cause, append_journal
from ledger.days import note_days
from ledger.period import closes_at
from ledger.rollups import write_rollups
from ledger.session import TenantSession
from ledger.tenant import Tenant

_T = TypeVar("_T")


class UnkeptError(Exception):
    """Rows would name rates that the ledger does not keep yet; nothing was written."""

    def __init__(self, rates: Iterable[Rates]) -> None:
        super().__init__("rates that the ledger does not keep yet")
        self.rates = tuple(rates)


def keeping_rates(keep: Callable[[Iterable[Rates]], None], write: Callable[[], _T]) -> _T:
    """Do a transaction; where it needs rates that are not kept, keep them and do it again.

    No tenant's transaction writes what belongs to all, and rates are new seldom.
    """
    while True:
        try:
            return write()
        except UnkeptError as error:
            keep(error.rates)


def read_needed(session: TenantSession, named: Iterable[str], new: Iterable[Rates]) -> Kept:
    """Return the kept rates of rows, and of those that rows are to name from now on.

    Args:
        session: of the tenant.
        named: versions that rows name.
        new: what rows are to name.

    Raises:
        UnkeptError: where some of the new ones are not kept.
    """
    wanted = {rates.price_version: rates for rates in new}
    kept = read_kept(session, {*named, *wanted} - {UNPRICED_VERSION})
    missing = [rates for version, rates in wanted.items() if version not in kept]
    if missing:
        raise UnkeptError(missing)
    return kept


def write_changes(
    session: TenantSession,
    tenant: Tenant,
    changes: Sequence[Change],
    *,
    cause: Cause,
    now: datetime,
) -> None:
    """Write rows, raise the revision of their days, and journal those of closed days."""
    write_rollups(session, [change.after for change in changes])
    note_days(session, tenant, (change.after.key.date for change in changes), now=now)
    closed = [change for change in changes if now >= closes_at(change.after.key.date, tenant)]
    append_journal(
        session, [(change.before, change.after) for change in closed], cause=cause, now=now
    )
