"""What tests read of a costed ledger, and how they damage one."""

from typing import Any

import sqlalchemy as sa

from collector.intake import Intake
from costing.pricing.flat import FlatMap, build_flat_map
from costing.verify import verify
from ledger.models import usage_journal
from ledger.rollups import RollupRow, read_rollups
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from tests.builders import NOW

ACME = TenantId("acme")


def book(intake: Intake, *events: object) -> None:
    results = intake.book(events, only_tenant=None, now=NOW)
    assert {"stored"} == {str(result.status) for result in results}


def rows(engine: sa.Engine, tenant_id: TenantId = ACME) -> list[RollupRow]:
    with tenant_session(engine, tenant_id) as session:
        return list(read_rollups(session).values())


def only_row(engine: sa.Engine) -> RollupRow:
    (row,) = rows(engine)
    return row


def journal(engine: sa.Engine) -> list[Any]:
    with operator_session(engine) as session:
        query = sa.select(usage_journal).order_by(usage_journal.c.entry_id)
        return list(session.connection.execute(query).mappings())


def tamper(engine: sa.Engine, statement: str) -> None:
    with operator_session(engine, write=True) as session:
        session.connection.exec_driver_sql(statement)


def differences(engine: sa.Engine, prices: FlatMap) -> list[str]:
    return [difference.where for difference in verify(engine, prices).differences]


def other_book(**rates: Any) -> FlatMap:
    return build_flat_map({"name": "other", "currency": "USD", "rates": rates})
