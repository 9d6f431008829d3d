"""The way of notices to their tenants, on a real ledger."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from collector.facts.claim import Claim, ClaimKind
from collector.facts.fact import Booked, Fact, Rank, Verdict
from collector.webhooks.claims import Notice
from collector.webhooks.reception import UNATTRIBUTED, Reception
from ledger.errors import InvalidError, UnavailableError
from ledger.tenant import TenantId
from ledger.tenants import look_up_tenant
from tests.builders import NOW
from tests.webhooks import OWN, Mapped

NUMBER, OTHER = Claim(ClaimKind.NUMBER, OWN), Claim(ClaimKind.ACCOUNT, "AC1")


def notice(tenant: str | None = None, *claims: Claim, **changes: Any) -> Notice:
    usual: dict[str, Any] = {
        "usage_id": "SM1",
        "fact_id": "delivered",
        "rank": Rank.FINAL,
        "verdict": Verdict.BILLED,
        "time": NOW,
        "channel": "sms",
        "direction": "outbound",
        "source": "twilio",
    }
    fact = Fact(**{**usual, **changes})
    return Notice(facts=(fact,), claims=claims, tenant=None if tenant is None else TenantId(tenant))


class Calls:
    """Remembers who booked what in one call, and fails for some tenants."""

    def __init__(self, failing: dict[str, Exception] | None = None) -> None:
        self.made: list[tuple[str, list[str]]] = []
        self._failing = failing or {}

    def book(self, tenant_id: TenantId, facts: Sequence[Fact], *, now: datetime) -> list[Booked]:
        del now
        if tenant_id in self._failing:
            raise self._failing[tenant_id]
        self.made.append((tenant_id, [fact.usage_id for fact in facts]))
        return [Booked.STORED for _ in facts]


class Asked(Mapped):
    """Remembers what it was asked."""

    def __init__(self, tenants: dict[Claim, str]) -> None:
        super().__init__(tenants)
        self.questions: list[Sequence[Claim]] = []

    def find(self, claims: Sequence[Claim], *, at: datetime) -> TenantId | None:
        self.questions.append(claims)
        return super().find(claims, at=at)


def test_each_tenant_has_one_call_with_its_facts_in_their_order(engine: sa.Engine) -> None:
    calls = Calls()
    said = [
        notice("karachi", usage_id="SM1"),
        notice("acme", usage_id="SM2"),
        notice("karachi", usage_id="SM3"),
    ]
    Reception(engine, Mapped({}), calls).receive(said, now=NOW)
    assert [("acme", ["SM2"]), ("karachi", ["SM1", "SM3"])] == calls.made


def test_the_first_claim_that_is_mapped_holds(engine: sa.Engine) -> None:
    calls = Calls()
    mapped = Mapped({NUMBER: "acme", OTHER: "karachi"})
    Reception(engine, mapped, calls).receive([notice(None, OTHER, NUMBER)], now=NOW)
    assert ["karachi"] == [tenant for tenant, _ in calls.made]


def test_the_same_claims_are_asked_once_for_a_batch(engine: sa.Engine) -> None:
    asked = Asked({NUMBER: "acme"})
    said = [notice(None, NUMBER, fact_id=f"e{n}") for n in range(50)]
    Reception(engine, asked, Calls()).receive(said, now=NOW)
    assert 1 == len(asked.questions)


def test_the_tenant_is_that_of_the_claims_when_the_usage_happened(engine: sa.Engine) -> None:
    class Moving(Mapped):
        def find(self, claims: Sequence[Claim], *, at: datetime) -> TenantId | None:
            assert (NUMBER,) == claims
            return TenantId("acme" if at < NOW else "karachi")

    calls = Calls()
    said = [notice(None, NUMBER, time=NOW.replace(hour=1)), notice(None, NUMBER)]
    Reception(engine, Moving({}), calls).receive(said, now=NOW)
    assert ["acme", "karachi"] == [tenant for tenant, _ in calls.made]


def test_a_named_tenant_is_registered_where_the_settings_say_so(engine: sa.Engine) -> None:
    reception = Reception(engine, Mapped({}), Calls(), auto_register=True)
    reception.receive([notice("newcomer"), notice("acme")], now=NOW)
    assert look_up_tenant(engine, TenantId("newcomer")) is not None


def test_a_fault_of_one_tenant_is_counted_and_the_others_are_booked(engine: sa.Engine) -> None:
    calls = Calls({"acme": InvalidError("closed_tenant", "it was closed by then")})
    outcomes = Reception(engine, Mapped({}), calls).receive(
        [notice("acme"), notice("karachi")], now=NOW
    )
    assert ({"rejected": 1, "stored": 1}, ["karachi"]) == (
        dict(outcomes),
        [tenant for tenant, _ in calls.made],
    )


@pytest.mark.parametrize(
    ("tenant", "fault"),
    [
        (UNATTRIBUTED, InvalidError("unknown_tenant", "it is not there")),
        ("acme", UnavailableError("ledger_unavailable", "later")),
    ],
)
def test_what_nobody_could_book_is_never_answered_as_taken(
    tenant: str, fault: Exception, engine: sa.Engine
) -> None:
    reception = Reception(engine, Mapped({}), Calls({tenant: fault}))
    named = None if tenant == UNATTRIBUTED else tenant
    with pytest.raises(type(fault)):
        reception.receive([notice(named)], now=NOW)
