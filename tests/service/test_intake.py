from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.intake import TRANSACTION_EVENTS, Intake
from ledger.batches import Backlog, measure_backlog
from ledger.errors import UnavailableError
from ledger.event import Status
from ledger.models import usage_metrics
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import change_tenant, get_tenant
from tests.builders import NOW, ai, sms
from tests.statements import change_schema


def book(intake: Intake, *events: object) -> list[str]:
    return [str(r.status) for r in intake.book(events, only_tenant=None, now=NOW)]


def stored(engine: sa.Engine, *columns: str) -> list[Any]:
    chosen = [usage_metrics.c[name] for name in columns]
    with operator_session(engine) as session:
        query = sa.select(*chosen).order_by(usage_metrics.c.id)
        return [tuple(row) for row in session.connection.execute(query)]


def test_an_event_is_stored_once_and_then_a_duplicate(intake: Intake) -> None:
    answers = [*book(intake, sms()), *book(intake, sms()), *book(intake, sms())]
    assert ["stored", "duplicate", "duplicate"] == answers


def test_the_same_id_with_another_content_is_a_conflict_and_the_first_stands(
    engine: sa.Engine, intake: Intake
) -> None:
    answers = [*book(intake, sms()), *book(intake, sms(quantity=9))]
    found = stored(engine, "event_id", "quantity")
    assert (["stored", "conflict"], [("SM1", 1)]) == (answers, found)


def test_duplicates_within_one_request_are_told(intake: Intake) -> None:
    answers = book(intake, sms("a"), sms("a"), sms("a", quantity=2), sms("b"))
    assert ["stored", "duplicate", "conflict", "stored"] == answers


def test_a_bad_event_never_fails_its_neighbours(engine: sa.Engine, intake: Intake) -> None:
    answers = book(
        intake, sms("a"), sms("b", quantity=-1), None, sms("c", tenant="nobody"), sms("d")
    )
    expected = ["stored", "rejected", "rejected", "rejected", "stored"]
    assert (expected, [("a",), ("d",)]) == (answers, stored(engine, "event_id"))


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
@pytest.mark.parametrize(
    "field",
    [
        *("id", "tenant", "time", "channel", "direction", "source", "feature", "quantity"),
        *("metadata.model", "metadata.campaignId", "metadata.unheard_of", "metadata.KEY", "KEY"),
    ],
)
def test_text_that_no_database_holds_is_rejected_and_its_neighbours_are_stored(
    intake: Intake, field: str, text: str
) -> None:
    place, _, name = field.rpartition(".")
    change = {text if name == "KEY" else name: text}
    changes = {place: change} if place else change
    before, _, after = book(intake, sms("a"), sms("b") | changes, sms("c"))
    assert ("stored", "stored") == (before, after)


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_a_tenant_alone_that_no_database_holds_is_rejected_by_name(
    intake: Intake, text: str
) -> None:
    (result,) = intake.book([sms(tenant=text)], only_tenant=None, now=NOW)
    assert ("invalid_tenant", "tenant", "a?b") == (result.code, result.key, result.value)


def test_ids_of_different_tenants_are_different(engine: sa.Engine, intake: Intake) -> None:
    answers = book(intake, sms("a"), sms("a", tenant="karachi"))
    found = stored(engine, "tenant_id", "event_id")
    assert (["stored", "stored"], [("acme", "a"), ("karachi", "a")]) == (answers, found)


def test_an_unknown_tenant_is_rejected_by_name(intake: Intake) -> None:
    (result,) = intake.book([sms(tenant="umbrella")], only_tenant=None, now=NOW)
    assert ("unknown_tenant", "tenant") == (result.code, result.key)


def test_an_unknown_tenant_is_registered_where_that_is_allowed(
    engine: sa.Engine, rules: Rules
) -> None:
    generous = Intake(engine, rules=rules, auto_register=True)
    answers = book(generous, sms(tenant="umbrella"), sms("SM2", tenant="umbrella"))
    with operator_session(engine) as session:
        name = get_tenant(session, TenantId("umbrella")).name
    assert (["stored", "stored"], "umbrella") == (answers, name)


def test_a_foreign_tenant_stores_nothing(engine: sa.Engine, intake: Intake) -> None:
    events = [sms("a", tenant="karachi"), sms("b", tenant=...)]
    results = intake.book(events, only_tenant=TenantId("acme"), now=NOW)
    found = stored(engine, "tenant_id", "event_id")
    assert (["foreign_tenant", None], [("acme", "b")]) == ([r.code for r in results], found)


def test_days_are_cut_in_the_time_zone_of_the_tenant(engine: sa.Engine, intake: Intake) -> None:
    late = {"time": "2026-03-08T19:30:00Z"}
    book(intake, sms("a", **late), sms("b", tenant="karachi", **late))
    dates = [str(date) for (date,) in stored(engine, "date")]
    assert ["2026-03-08", "2026-03-09"] == dates


def test_a_change_of_zone_leaves_earlier_usage_on_its_day(
    engine: sa.Engine, intake: Intake
) -> None:
    with operator_session(engine, write=True) as session:
        change_tenant(session, TenantId("acme"), timezone="Asia/Karachi", now=NOW)
    book(intake, sms("before", time="2026-03-09T23:00:00Z"))
    after = NOW + timedelta(hours=12)
    late = sms("after", time="2026-03-10T23:00:00Z")
    intake.book([late], only_tenant=None, now=after)
    assert ["2026-03-09", "2026-03-11"] == [str(date) for (date,) in stored(engine, "date")]


def test_booking_numbers_are_unique_and_growing_and_duplicates_leave_gaps(
    engine: sa.Engine, intake: Intake
) -> None:
    book(intake, sms("a"), sms("b", tenant="karachi"), sms("c"))
    book(intake, sms("a"), sms("d"))
    assert [2, 3, 4, 6] == [number for (number,) in stored(engine, "id")]


def test_a_transaction_holds_a_thousand_events_at_most(engine: sa.Engine, intake: Intake) -> None:
    book(intake, *(sms(str(n)) for n in range(2 * TRANSACTION_EVENTS + 1)))
    sizes = Counter(batch for (batch,) in stored(engine, "batch_id"))
    assert [TRANSACTION_EVENTS, TRANSACTION_EVENTS, 1] == list(sizes.values())


def test_a_batch_becomes_visible_together_with_its_events(
    engine: sa.Engine, intake: Intake
) -> None:
    book(intake, sms("a"), sms("b"))
    with operator_session(engine) as session:
        assert Backlog(batches=1, events=2, oldest=NOW) == measure_backlog(session)


def test_a_request_of_duplicates_alone_makes_no_batch(engine: sa.Engine, intake: Intake) -> None:
    book(intake, sms())
    book(intake, sms())
    with operator_session(engine) as session:
        assert 1 == measure_backlog(session).batches


def test_personal_values_never_reach_the_ledger_file(
    engine: sa.Engine, intake: Intake, ledger_path: Any
) -> None:
    book(intake, sms(metadata={"phoneNumber": "+15551234567", "campaignId": "jo@example.org"}))
    with operator_session(engine, write=True) as session:
        session.connection.execute(sa.text("SELECT 1"))
    files = [ledger_path, ledger_path.with_name("ledger.db-wal")]
    content = b"".join(path.read_bytes() for path in files if path.exists())
    assert (True, False, False) == (
        b"hmac:" in content,
        b"5551234567" in content,
        b"jo@example" in content,
    )


def test_the_answer_names_metadata_that_was_not_kept(intake: Intake) -> None:
    events = [sms(metadata={"shoeSize": 44, "campaignId": "spring"})]
    (result,) = intake.book(events, only_tenant=None, now=NOW)
    assert (Status.STORED, ("shoeSize",)) == (result.status, result.dropped)


def test_instants_are_stored_as_sqlalchemy_would_store_them(
    engine: sa.Engine, intake: Intake
) -> None:
    book(intake, sms(time="2026-03-09T12:00:00.000001Z"))
    instant = stored(engine, "time")[0][0]
    with operator_session(engine) as session:
        query = sa.select(sa.func.count()).where(usage_metrics.c.time == instant)
        assert 1 == session.connection.scalar(query)


@pytest.mark.ledger("sqlite")
def test_a_ledger_that_cannot_be_written_is_unavailable(engine: sa.Engine, intake: Intake) -> None:
    change_schema(engine, "DROP TABLE sequences")
    with pytest.raises(UnavailableError):
        book(intake, ai())
