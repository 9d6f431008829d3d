"""Retention takes raw usage away and nothing else: figures stay, and once stays once."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.intake import Intake
from costing.export import read_export, write_csv
from costing.job import Costing
from costing.pricing.flat import FlatMap
from costing.retention import TAKEN_ROWS, Retention
from costing.verify import verify
from ledger.engine import create_ledger_engine
from ledger.errors import ConflictError, MeterlineError
from ledger.models import usage_checkpoints, usage_metrics, usage_tombstones
from ledger.session import operator_session, tenant_session
from ledger.tenant import TenantId
from ledger.tenants import change_tenant
from tests.builders import NOW, ai, sms
from tests.conftest import Run
from tests.costed import ACME, book, differences, journal, only_row, other_book, rows, tamper
from tests.interleaving import before_statement
from tests.statements import plan_steps, statements

DAYS = 30
OLD = "2026-01-05T12:00:00Z"
STILL_OPEN = datetime(2026, 1, 6, tzinfo=UTC)
MUCH_LATER = NOW + timedelta(days=60)

Take = Callable[..., int]


@pytest.fixture
def take(engine: sa.Engine) -> Take:
    """Take what is due; returns the number of raw rows."""

    def take_all(*, days: int = DAYS, now: Any = NOW) -> int:
        retention = Retention(engine, days=days)
        return sum(sum(retention.take(due)) for due in retention.find_due(now=now))

    return take_all


@pytest.fixture
def history(intake: Intake, costing: Costing) -> None:
    """Old and new usage of two tenants, costed; acme's old usage is three events of two rows."""
    derived = {"model": "house-llm", "total_tokens": 100, "provisional": True}
    book(
        intake,
        *(sms("s1", time=OLD), sms("s2", time=OLD, quantity=2), sms("new")),
        ai("a1", time=OLD, metadata=derived),
        sms("k1", tenant="karachi", time=OLD),
    )
    costing.run(clock=lambda: STILL_OPEN)


def count(engine: sa.Engine, table: sa.Table) -> int:
    with operator_session(engine) as session:
        return session.connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def raw_ids(engine: sa.Engine) -> list[str]:
    with operator_session(engine) as session:
        query = sa.select(usage_metrics.c.event_id).order_by(usage_metrics.c.event_id)
        return list(session.connection.execute(query).scalars())


def exported(engine: sa.Engine) -> list[str]:
    lines: list[str] = []
    for name in ("acme", "karachi"):
        with tenant_session(engine, TenantId(name)) as session:
            lines += write_csv(read_export(session))
    return lines


def statuses(intake: Intake, *events: object) -> list[str]:
    return [str(result.status) for result in intake.book(events, only_tenant=None, now=NOW)]


@pytest.mark.usefixtures("history")
def test_old_raw_rows_become_tombstones(engine: sa.Engine, take: Take) -> None:
    assert (4, ["new"], 4) == (take(), raw_ids(engine), count(engine, usage_tombstones))


@pytest.mark.usefixtures("history")
def test_no_rollup_row_changes(engine: sa.Engine, take: Take) -> None:
    before = rows(engine)
    take()
    assert before == rows(engine)


@pytest.mark.usefixtures("history")
def test_the_csv_stays_the_same(engine: sa.Engine, take: Take) -> None:
    before = exported(engine)
    take()
    assert before == exported(engine)


@pytest.mark.usefixtures("history")
def test_the_totals_that_verify_proves_stay_the_same(
    engine: sa.Engine, prices: FlatMap, take: Take
) -> None:
    before = verify(engine, prices)
    take()
    assert (before, ()) == (verify(engine, prices), before.differences)


@pytest.mark.usefixtures("history")
def test_retention_writes_no_journal_and_does_not_pass_for_costing(
    engine: sa.Engine, take: Take
) -> None:
    statement = sa.text("SELECT costed_at FROM costing_state ORDER BY tenant_id")
    with operator_session(engine) as session:
        before = session.connection.execute(statement).all()
    entries = journal(engine)
    take(now=MUCH_LATER)
    with operator_session(engine) as session:
        assert (before, entries) == (session.connection.execute(statement).all(), journal(engine))


@pytest.mark.usefixtures("history")
def test_an_event_that_was_taken_is_still_a_duplicate(intake: Intake, take: Take) -> None:
    take()
    assert ["duplicate", "stored", "duplicate"] == statuses(
        intake, sms("s1", time=OLD), sms("other"), sms("s1", time=OLD)
    )


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("changes", [{"time": OLD, "quantity": 3}, {}])
def test_another_content_under_a_taken_id_is_a_conflict_whatever_its_date(
    intake: Intake, take: Take, changes: dict[str, Any]
) -> None:
    take()
    assert ["conflict"] == statuses(intake, sms("s1", **changes))


@pytest.mark.usefixtures("history")
def test_what_is_answered_from_tombstones_leaves_no_trace(
    engine: sa.Engine, intake: Intake, prices: FlatMap, take: Take
) -> None:
    take()
    statuses(intake, sms("s1", time=OLD), sms("s2"))
    totals = verify(engine, prices).totals[0]
    assert (["new"], 0) == (raw_ids(engine), totals.pending.batches)


@pytest.mark.usefixtures("history")
def test_a_tombstone_is_that_of_one_tenant(intake: Intake, take: Take) -> None:
    take()
    assert ["stored"] == statuses(intake, sms("s1", tenant="karachi", time=OLD))


@pytest.mark.usefixtures("history")
def test_late_usage_of_a_day_that_was_taken_is_added_to_its_row(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap, take: Take
) -> None:
    take()
    book(intake, sms("late", time=OLD))
    costing.run(clock=lambda: NOW)
    (row,) = (row for row in rows(engine) if row.key.date == date(2026, 1, 5) and not row.key.model)
    found = (row.tally.events, row.tally.measures.quantity, row.estimated_cost)
    assert ((3, 4, 35_600_000), []) == (found, differences(engine, prices))


@pytest.mark.usefixtures("history")
def test_late_usage_is_taken_by_the_next_run(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap, take: Take
) -> None:
    take()
    book(intake, sms("late", time=OLD))
    costing.run(clock=lambda: NOW)
    before = exported(engine)
    found = (take(), take(), differences(engine, prices), exported(engine))
    assert (1, 0, [], before) == found


@pytest.mark.usefixtures("history")
def test_a_rebuild_after_retention_changes_nothing(
    engine: sa.Engine, costing: Costing, take: Take
) -> None:
    take()
    before = rows(engine)
    assert (0, before) == (costing.rebuild(clock=lambda: NOW), rows(engine))


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE usage_rollups_daily SET count = count + 1, quantity = 0",
        "UPDATE usage_rollups_daily SET estimated_cost = 5",
        "UPDATE usage_rollups_daily SET derived_count = 0, provisional_count = 9",
    ],
)
def test_a_changed_row_is_found_and_mended_from_its_checkpoint(
    engine: sa.Engine, costing: Costing, prices: FlatMap, take: Take, damage: str
) -> None:
    take()
    before = exported(engine)
    tamper(engine, damage)
    found = len(differences(engine, prices))
    costing.rebuild(clock=lambda: NOW)
    assert (2, [], before) == (found, differences(engine, prices), exported(engine))


@pytest.mark.usefixtures("history")
def test_a_deleted_row_is_made_again_at_the_price_version_of_its_checkpoint(
    engine: sa.Engine, take: Take
) -> None:
    take()
    before = exported(engine)
    tamper(engine, "DELETE FROM usage_rollups_daily WHERE date < '2026-02-01'")
    Costing(engine, other_book(sms={"outbound": "1"})).rebuild(clock=lambda: NOW)
    assert before == exported(engine)


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM usage_checkpoints WHERE channel = 'sms' AND tenant_id = 'acme'",
        "DELETE FROM usage_tombstones WHERE event_id = 's2'",
        "UPDATE usage_checkpoints SET taken_count = 1 WHERE tenant_id = 'acme'",
    ],
)
def test_nothing_is_recomputed_where_a_checkpoint_or_a_tombstone_is_gone(
    engine: sa.Engine, costing: Costing, prices: FlatMap, take: Take, damage: str
) -> None:
    take()
    tamper(engine, damage)
    before = rows(engine)
    with pytest.raises(ConflictError) as refused:
        costing.rebuild(ACME, clock=lambda: NOW)
    found = (refused.value.code, len(differences(engine, prices)), rows(engine))
    assert ("lost_checkpoint", 1, before) == found


def test_usage_that_waits_is_never_taken(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap, take: Take
) -> None:
    book(intake, sms("waits", time=OLD))
    taken = take()
    costing.run(clock=lambda: NOW)
    assert (0, 1, 1, []) == (
        taken,
        only_row(engine).tally.events,
        take(),
        differences(engine, prices),
    )


@pytest.mark.usefixtures("history")
def test_usage_that_waits_beside_costed_usage_of_the_day_goes_on_waiting(
    engine: sa.Engine, intake: Intake, take: Take
) -> None:
    book(intake, sms("waits", time=OLD))
    assert (4, ["new", "waits"]) == (take(), raw_ids(engine))


def test_the_last_dates_are_kept_in_the_zone_of_the_tenant(
    engine: sa.Engine, intake: Intake, costing: Costing, take: Take
) -> None:
    # At NOW it is the 10th in both zones; in Karachi the 6th ended at 19:00 UTC.
    evening = "2026-03-06T20:00:00Z"
    book(intake, sms("u", time=evening), sms("k", tenant="karachi", time=evening))
    costing.run(clock=lambda: NOW)
    assert (1, ["k"]) == (take(days=4), raw_ids(engine))


def test_a_day_that_a_change_of_zone_keeps_open_is_not_touched(
    engine: sa.Engine, intake: Intake, costing: Costing, take: Take
) -> None:
    # The 6th ended in Niue at 11:00 UTC of the 7th, and closes at 11:00 UTC of the 9th.
    start, moved = NOW - timedelta(days=2), NOW - timedelta(days=1, hours=6)
    with operator_session(engine, write=True) as session:
        change_tenant(session, ACME, timezone="Pacific/Niue", now=NOW - timedelta(days=20))
        change_tenant(session, ACME, timezone="Pacific/Kiritimati", now=moved)
    book(intake, sms("open", time="2026-03-06T12:00:00Z"))
    costing.run(clock=lambda: start)
    now = NOW - timedelta(days=1, hours=1, minutes=30)
    too_early = take(days=4, now=now)
    assert (0, 1) == (too_early, take(days=4, now=now + timedelta(hours=1)))


def test_a_run_takes_a_bounded_number_of_rows_a_transaction(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, *(sms(f"s{n}", time=OLD) for n in range(TAKEN_ROWS + 5)))
    costing.run(clock=lambda: NOW)
    retention = Retention(engine, days=DAYS)
    (due,) = retention.find_due(now=NOW)
    assert (TAKEN_ROWS + 5, [TAKEN_ROWS, 5]) == (due.rows, list(retention.take(due)))


def test_a_ledger_ties_between_the_transactions_of_a_run(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    book(intake, *(sms(f"s{n}", time=OLD) for n in range(TAKEN_ROWS + 5)))
    costing.run(clock=lambda: NOW)
    retention = Retention(engine, days=DAYS)
    (due,) = retention.find_due(now=NOW)
    found = [differences(engine, prices) for _ in retention.take(due)]
    assert [[], []] == found


@pytest.mark.usefixtures("history")
def test_usage_without_its_rollup_row_is_not_taken(engine: sa.Engine, take: Take) -> None:
    tamper(engine, "DELETE FROM usage_rollups_daily WHERE channel = 'ai'")
    with pytest.raises(ConflictError) as refused:
        take()
    assert ("lost_rollup", 5) == (refused.value.code, count(engine, usage_metrics))


@pytest.mark.usefixtures("history")
def test_a_run_that_fails_amid_its_statements_leaves_all_as_it_was(
    engine: sa.Engine, take: Take
) -> None:
    def fail() -> None:
        raise MeterlineError("cut", "the line is cut")

    with (
        before_statement(engine, "INSERT INTO usage_checkpoints", fail),
        pytest.raises(MeterlineError),
    ):
        take()
    found = [count(engine, t) for t in (usage_metrics, usage_tombstones, usage_checkpoints)]
    assert [5, 0, 0] == found


@pytest.mark.usefixtures("history")
def test_an_event_sent_again_while_its_row_is_taken_is_a_duplicate(
    engine: sa.Engine, ledger_url: str, rules: Rules, take: Take
) -> None:
    other = create_ledger_engine(ledger_url)
    answers: list[str] = []

    def send_again() -> None:
        answers.extend(statuses(Intake(other, rules=rules), sms("s1", time=OLD)))

    sender = threading.Thread(target=send_again)

    def send_meanwhile() -> None:
        sender.start()
        sender.join(timeout=0.2)  # it waits for the lock that the transaction around us holds

    with before_statement(engine, "INSERT INTO usage_tombstones", send_meanwhile):
        take()
    sender.join()
    other.dispose()
    assert ["duplicate"] == answers


@pytest.mark.ledger("sqlite")
@pytest.mark.usefixtures("history")
def test_finding_what_is_old_reads_by_date_and_taking_it_by_key(
    engine: sa.Engine, take: Take
) -> None:
    with statements(engine, naming="usage_metrics") as sent:
        take()
    steps = plan_steps(engine, sent, naming="usage_metrics")
    assert (True, []) == (len(steps) > 2, [step for step in steps if step.startswith("SCAN")])


@pytest.mark.usefixtures("history")
def test_the_command_takes_what_the_setting_says(meterline: Run) -> None:
    done = meterline("retention", "run", METERLINE_RETENTION_DAYS="30")
    assert (0, "raw rows that became tombstones: 5\n") == (done.returncode, done.stdout)


@pytest.mark.usefixtures("history")
def test_a_dry_run_takes_nothing(engine: sa.Engine, meterline: Run) -> None:
    done = meterline("retention", "run", "--days", "30", "--tenant", "karachi", "--dry-run")
    last = done.stdout.splitlines()[-1]
    assert ("raw rows that would become tombstones: 1", 5) == (last, len(raw_ids(engine)))


def test_the_command_needs_to_be_told_how_long_usage_is_kept(meterline: Run) -> None:
    done = meterline("retention", "run")
    assert (2, True) == (done.returncode, "kept for ever" in done.stderr)


def test_the_command_refuses_to_reach_into_open_days(meterline: Run) -> None:
    assert 2 == meterline("retention", "run", "--days", "3").returncode


@pytest.mark.usefixtures("history")
def test_a_tenant_whose_usage_cannot_be_taken_is_named_and_the_next_one_is_served(
    engine: sa.Engine, meterline: Run
) -> None:
    tamper(engine, "DELETE FROM usage_rollups_daily WHERE tenant_id = 'acme'")
    done = meterline("retention", "run", "--days", "30")
    found = (done.returncode, done.stdout, "usage of tenant acme is not taken" in done.stderr)
    assert (1, "raw rows that became tombstones: 1\n", True) == found
