"""Empty ledgers in any number, and what a law does with one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from collector.events import Rules
from collector.intake import Intake
from costing.export import ExportLine, read_export
from costing.job import Costing
from costing.pricing.flat import FlatMap, build_flat_map
from ledger.engine import create_ledger_engine
from ledger.event import Status
from ledger.models import metadata
from ledger.period import DateRange
from ledger.rollups import RollupKey, RollupRow, read_rollups
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant
from tests.builders import NOW
from tests.facts import Facts

ACME, OTHER = TenantId("acme"), TenantId("other")

Event = dict[str, Any]

# Rates with parts of a nano-dollar, so that rounding anywhere but at the end of a row would show.
RATES: Final = {
    "sms": {"outbound": "0.0000000003", "inbound": "0.000000000499999"},
    "voice": {"outbound": "0.0085000005", "inbound": "0"},
    "ai": {"input_per_1k_tokens": "0.0000005", "output_per_1k_tokens": "0.000033333333333"},
}
# The other book prices what the first one leaves unpriced, and nothing else is the same.
OTHER_RATES: Final = {
    "sms": {"outbound": "0.01"},
    "email": {"outbound": "0.00035", "inbound": "0.0000000007"},
    "ai": {"input_per_1k_tokens": "0.002", "output_per_1k_tokens": "0"},
}
BOOK = build_flat_map({"name": "fine", "currency": "USD", "rates": RATES})
OTHER_BOOK = build_flat_map({"name": "other", "currency": "USD", "rates": OTHER_RATES})


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """A ledger of the tenants acme and other, and what one does with it."""

    engine: sa.Engine
    intake: Intake
    facts: Facts

    def book(self, events: Sequence[Event]) -> None:
        results = self.intake.book(events, only_tenant=None, now=NOW)
        assert {result.status for result in results} <= {Status.STORED, Status.DUPLICATE}

    def cost(self, book: FlatMap = BOOK) -> None:
        Costing(self.engine, book).run(clock=lambda: NOW)

    def rebuild(self, tenant_id: TenantId | None = None, *, book: FlatMap = BOOK) -> int:
        return Costing(self.engine, book).rebuild(tenant_id, clock=lambda: NOW)

    def rows(self) -> dict[RollupKey, RollupRow]:
        """Return acme's rollup rows as if each had been written once."""
        with tenant_session(self.engine, ACME) as session:
            found = read_rollups(session)
        return {key: replace(row, revision=1) for key, row in found.items()}

    def lines(self, dates: DateRange | None = None) -> list[ExportLine]:
        with tenant_session(self.engine, ACME) as session:
            return list(read_export(session, dates))

    def content(self, tenant_id: TenantId = ACME) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that the ledger holds of a tenant, table by table."""
        with operator_session(self.engine) as session:
            return {
                table.name: sorted(
                    map(tuple, session.connection.execute(
                        sa.select(table).where(table.c.tenant_id == tenant_id)
                    )), key=repr,
                )
                for table in metadata.sorted_tables if "tenant_id" in table.c
            }  # fmt: skip


class Ledgers:
    """Opens empty ledgers, one after the other.

    Args:
        open_empty: gives the address of a migrated ledger without a row, and clears up after it.
        rules: of the intake.
    """

    def __init__(self, open_empty: Callable[[], AbstractContextManager[str]], rules: Rules) -> None:
        self._open_empty = open_empty
        self._rules = rules

    @contextmanager
    def open(self, timezone: str = "UTC") -> Iterator[Ledger]:
        """Give an empty ledger in which acme has this time zone."""
        with self._open_empty() as url:
            engine = create_ledger_engine(url)
            with operator_session(engine, write=True) as session:
                add_tenant(session, ACME, name="Acme", timezone=timezone, now=NOW)
                add_tenant(session, OTHER, name="Other", timezone="Asia/Karachi", now=NOW)
            try:
                yield Ledger(
                    engine=engine,
                    intake=Intake(engine, rules=self._rules),
                    facts=Facts(engine, self._rules),
                )
            finally:
                engine.dispose()
