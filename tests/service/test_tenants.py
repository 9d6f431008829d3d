"""Tenants that are put, closed and opened again, and what intake makes of their usage."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap
from costing.verify import verify
from ledger.errors import MissingError
from ledger.keys import Scope, create_key, look_up_key
from ledger.session import operator_session
from ledger.tenant import BEGINNING, Tenant, TenantId, TenantPeriod
from ledger.tenants import (
    add_tenant,
    change_tenant,
    close_tenant,
    find_tenants,
    get_tenant,
    list_tenants,
    put_tenant,
    reopen_tenant,
)
from tests.builders import NOW, sms
from tests.conftest import Run

ACME, NEW = TenantId("acme"), TenantId("new")
HOUR = timedelta(hours=1)
LATER = NOW + HOUR

BEFORE = "2026-03-10T11:59:59.999999Z"
AT = "2026-03-10T12:00:00Z"
AT_IN_KARACHI = "2026-03-10T17:00:00+05:00"
AFTER = "2026-03-10T12:00:00.000001Z"


def put(
    engine: sa.Engine,
    tenant_id: TenantId = ACME,
    *,
    name: str = "Acme",
    plan: str = "Pro",
    timezone: str = "UTC",
) -> tuple[Tenant, bool]:
    with operator_session(engine, write=True) as session:
        return put_tenant(session, tenant_id, name=name, plan=plan, timezone=timezone, now=LATER)


def close(engine: sa.Engine, *, hours: int = 0) -> Tenant:
    with operator_session(engine, write=True) as session:
        return close_tenant(session, ACME, now=NOW + hours * HOUR)


def reopen(engine: sa.Engine) -> Tenant:
    with operator_session(engine, write=True) as session:
        return reopen_tenant(session, ACME)


def read(engine: sa.Engine, tenant_id: TenantId = ACME) -> Tenant:
    with operator_session(engine) as session:
        return get_tenant(session, tenant_id)


def book(intake: Intake, *events: object) -> list[str | None]:
    results = intake.book(events, only_tenant=None, now=LATER)
    return [result.code or str(result.status) for result in results]


def test_putting_an_unknown_tenant_registers_it(engine: sa.Engine) -> None:
    period = TenantPeriod(valid_from=BEGINNING, plan="Elite", timezone="Europe/Berlin")
    expected = Tenant(tenant_id=NEW, name="New Ltd", periods=(period,))
    found = put(engine, NEW, name="New Ltd", plan="Elite", timezone="Europe/Berlin")
    assert ((expected, True), expected) == (found, read(engine, NEW))


def test_putting_a_tenant_as_it_is_changes_nothing(engine: sa.Engine) -> None:
    before = read(engine)
    assert ((before, False), before) == (put(engine), read(engine))


def test_a_put_plan_and_zone_count_from_now_on(engine: sa.Engine) -> None:
    put(engine, plan="Elite", timezone="Asia/Karachi")
    periods = [(p.valid_from, p.plan, p.timezone) for p in read(engine).periods]
    assert [(BEGINNING, "Pro", "UTC"), (LATER, "Elite", "Asia/Karachi")] == periods


def test_a_put_name_replaces_the_old_one_without_a_period(engine: sa.Engine) -> None:
    changed, _ = put(engine, name="Acme Ltd")
    assert ("Acme Ltd", 1) == (changed.name, len(changed.periods))


def test_putting_the_same_again_adds_no_period(engine: sa.Engine) -> None:
    first = put(engine, plan="Elite")
    assert first == put(engine, plan="Elite")


def test_putting_one_tenant_leaves_the_others(engine: sa.Engine) -> None:
    other = TenantId("karachi")
    before = read(engine, other)
    close(engine)
    put(engine, name="x", plan="y", timezone="Asia/Tokyo")
    assert before == read(engine, other)


def test_putting_a_closed_tenant_opens_it_again(engine: sa.Engine) -> None:
    close(engine)
    opened, created = put(engine)
    assert (None, False) == (opened.closed_at, created)


def test_a_closed_tenant_says_since_when(engine: sa.Engine) -> None:
    close(engine)
    with operator_session(engine) as session:
        ways = [
            get_tenant(session, ACME),
            find_tenants(session, {ACME})[ACME],
            list_tenants(session)[0],
        ]
    assert [NOW, NOW, NOW] == [tenant.closed_at for tenant in ways]


def test_closing_one_tenant_leaves_the_others_open(engine: sa.Engine) -> None:
    close(engine)
    assert None is read(engine, TenantId("karachi")).closed_at


def test_closing_again_keeps_the_first_instant(engine: sa.Engine) -> None:
    close(engine)
    assert NOW == close(engine, hours=1).closed_at


def test_a_changed_tenant_stays_closed(engine: sa.Engine) -> None:
    close(engine)
    with operator_session(engine, write=True) as session:
        changed = change_tenant(session, ACME, plan="Elite", now=LATER)
    assert NOW == changed.closed_at


def test_a_tenant_that_is_not_there_cannot_be_closed(engine: sa.Engine) -> None:
    with pytest.raises(MissingError) as refused, operator_session(engine, write=True) as session:
        close_tenant(session, NEW, now=NOW)
    assert "unknown_tenant" == refused.value.code


def test_a_tenant_that_is_not_there_cannot_be_opened(engine: sa.Engine) -> None:
    with pytest.raises(MissingError) as refused, operator_session(engine, write=True) as session:
        reopen_tenant(session, NEW)
    assert "unknown_tenant" == refused.value.code


def test_usage_is_refused_from_the_instant_of_closing_on(engine: sa.Engine, intake: Intake) -> None:
    close(engine)
    times = (BEFORE, AT, AT_IN_KARACHI, AFTER)
    answers = book(intake, *(sms(str(n), time=time) for n, time in enumerate(times)))
    assert ["stored", "closed_tenant", "closed_tenant", "closed_tenant"] == answers


def test_a_refusal_names_the_tenant(engine: sa.Engine, intake: Intake) -> None:
    close(engine)
    (result,) = intake.book([sms(time=AT)], only_tenant=ACME, now=LATER)
    assert ("rejected", "tenant", "acme") == (str(result.status), result.key, result.value)


def test_usage_of_other_tenants_in_the_same_request_is_booked(
    engine: sa.Engine, intake: Intake
) -> None:
    close(engine)
    answers = book(intake, sms(time=AT), sms(time=AT, tenant="karachi"))
    assert ["closed_tenant", "stored"] == answers


def test_what_was_booked_before_the_closing_is_still_a_duplicate(
    engine: sa.Engine, intake: Intake
) -> None:
    book(intake, sms())
    close(engine)
    assert ["duplicate"] == book(intake, sms())


def test_registering_on_its_own_does_not_open_a_closed_tenant(
    engine: sa.Engine, rules: Rules
) -> None:
    close(engine)
    generous = Intake(engine, rules=rules, auto_register=True)
    assert (["closed_tenant"], NOW) == (book(generous, sms(time=AT)), read(engine).closed_at)


def test_an_opened_tenant_is_booked_again_also_for_the_time_between(
    engine: sa.Engine, intake: Intake
) -> None:
    close(engine)
    reopen(engine)
    assert ["stored", "stored"] == book(intake, sms("a", time=AT), sms("b", time=AFTER))


def test_the_usage_of_a_closed_tenant_is_costed_kept_and_ties(
    engine: sa.Engine, intake: Intake, prices: FlatMap
) -> None:
    book(intake, sms())
    close(engine)
    Costing(engine, prices).run(clock=lambda: LATER)
    report = verify(engine, prices)
    assert ((), 1) == (report.differences, report.totals[0].events)


def test_a_key_of_a_closed_tenant_still_opens_the_ledger(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        scopes = frozenset({Scope.READ})
        key, secret = create_key(session, scopes=scopes, label="", tenant_id=ACME, now=NOW)
    close(engine)
    assert key == look_up_key(engine, secret)


@pytest.mark.usefixtures("engine")
def test_the_command_closes_a_tenant_and_says_since_when(meterline: Run) -> None:
    finished = meterline("tenant", "close", "acme")
    words = "tenant acme: Acme, plan Pro, UTC, closed since 2"
    assert (0, True) == (finished.returncode, finished.stdout.startswith(words))


@pytest.mark.usefixtures("engine")
def test_a_list_of_tenants_shows_which_are_closed(meterline: Run) -> None:
    meterline("tenant", "close", "acme")
    lengths = [len(line.split()) for line in meterline("tenant", "list").stdout.splitlines()[1:]]
    assert [5, 4] == lengths


@pytest.mark.usefixtures("engine")
def test_the_command_opens_a_closed_tenant_again(meterline: Run) -> None:
    meterline("tenant", "close", "acme")
    assert "tenant acme: Acme, plan Pro, UTC\n" == meterline("tenant", "reopen", "acme").stdout


@pytest.mark.parametrize("act", ["close", "reopen"])
def test_the_command_neither_closes_nor_opens_what_is_not_there(meterline: Run, act: str) -> None:
    finished = meterline("tenant", act, "nobody")
    assert (1, "error: there is no tenant nobody\n") == (finished.returncode, finished.stderr)


def test_the_export_of_a_closed_tenant_is_what_it_was(
    engine: sa.Engine, intake: Intake, costing: Costing, meterline: Run
) -> None:
    book(intake, sms())
    costing.run(clock=lambda: NOW)
    dates = ("--from", "2026-03-01", "--to", "2026-03-31")
    before = meterline("export", "--tenant", "acme", *dates).stdout
    close(engine)
    after = meterline("export", "--tenant", "acme", *dates).stdout
    assert (2, before) == (len(before.splitlines()), after)


def test_a_tenant_that_is_added_is_open(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        assert None is add_tenant(session, NEW, name="New", now=NOW).closed_at
