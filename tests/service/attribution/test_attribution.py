"""Usage of nobody gets to its tenant, once, whatever happens on the way."""

import itertools
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.attribution.job import Attribution
from collector.attribution.keeping import end_mapping
from collector.attribution.routing import Router
from collector.attribution.transit import InTransit
from collector.facts.claim import Claim, ClaimKind
from collector.facts.fact import Booked, Rank, Verdict
from collector.intake import Intake
from costing.job import Costing
from costing.retention import Retention
from ledger.models import unattributed_usage, usage_facts, usage_metrics
from ledger.session import operator_session
from ledger.tenant import UNATTRIBUTED, TenantId
from ledger.tenants import add_tenant, close_tenant
from tests.builders import NOW, sms
from tests.conftest import Run
from tests.interleaving import at_once, before_write
from tests.service.attribution.claims import ACCOUNT, HASH_KEY, NUMBER, map_to
from tests.service.attribution.reports import (
    BY_NUMBER,
    YESTERDAY,
    in_transit,
    report,
    totals,
    whole,
)

NAME = str(UNATTRIBUTED)
ACME, KARACHI = TenantId("acme"), TenantId("karachi")
LEAVING, ARRIVING, NOTING = 1, 2, 3
"""The write transactions of a move, in their order."""


class KilledError(BaseException):
    """Stands for the end of a process, which nothing catches."""


def die() -> None:
    raise KilledError


def many(count: int) -> list[object]:
    return [report(f"SM{n}") for n in range(count)]


def test_a_mapping_that_is_added_attributes_what_waits(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    router.book([report("SM1"), report("SM2")], now=NOW)
    map_to(engine, "acme")
    assert 2 == attribution.run(now=NOW).usages
    assert ({"acme": (2, 6)}, []) == (totals(engine), in_transit(engine))


def test_attributing_again_changes_nothing(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    router.book([report()], now=NOW)
    map_to(engine, "acme")
    runs = [attribution.run(now=NOW).usages for _ in range(3)]
    with operator_session(engine) as session:
        rows = session.connection.execute(sa.select(sa.func.count()).select_from(usage_metrics))
        # Booked for nobody, reversed there, booked for acme.
        assert ([1, 0, 0], 3) == (runs, rows.scalar_one())


def test_only_what_happened_since_the_mapping_began_is_attributed(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    times = (YESTERDAY, YESTERDAY + timedelta(hours=2))
    router.book([report(f"SM{n}", time=time) for n, time in enumerate(times)], now=NOW)
    map_to(engine, "acme", valid_from=(YESTERDAY + timedelta(hours=1)).isoformat())
    attribution.run(now=NOW)
    assert {"acme": (1, 3), NAME: (1, 3)} == totals(engine)


def test_what_happened_after_the_end_of_a_mapping_stays(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    router.book([report()], now=NOW)
    number = map_to(engine, "acme")
    with operator_session(engine, write=True) as session:
        end_mapping(session, number, until="2026-03-01", now=NOW)
    attribution.run(now=NOW)
    assert {NAME: (1, 3)} == totals(engine)


def test_what_waits_moves_to_the_event_that_the_sdk_books_later(
    router: Router, attribution: Attribution, engine: sa.Engine, intake: Intake
) -> None:
    mails = [report("M1", r, channel="email", adds=True, claims=[], quantity=1) for r in "ab"]
    router.book([report(), report("SM2", claims=[]), *mails], now=NOW)
    mailing = sms("M1", channel="email", source="sendgrid", quantity=2)
    intake.book([sms("SM1"), mailing], only_tenant=None, now=NOW)
    before = totals(engine)
    moved = [attribution.run(now=NOW).usages for _ in range(2)]
    assert ({NAME: (4, 8), "acme": (2, 3)}, [3, 0]) == (before, moved)
    assert {NAME: (1, 3), "acme": (2, 5)} == totals(engine)


def test_a_mapping_takes_nothing_that_the_sdk_booked_for_another(
    router: Router, attribution: Attribution, engine: sa.Engine, intake: Intake
) -> None:
    mails = [report("M1", r, channel="email", adds=True, quantity=1) for r in "ab"]
    router.book([report(), *mails], now=NOW)
    mailing = sms("M1", tenant="karachi", channel="email", source="sendgrid", quantity=2)
    intake.book([sms("SM1", tenant="karachi"), mailing], only_tenant=None, now=NOW)
    map_to(engine, "acme")
    # As the API and the page attribute, which leave the rest to the worker.
    assert 3 == attribution.run(now=NOW, limit=200).usages
    assert {"karachi": (2, 5)} == totals(engine)


def test_an_event_that_the_sdk_books_while_mappings_are_read_is_found(
    router: Router, attribution: Attribution, engine: sa.Engine, intake: Intake
) -> None:
    router.book([report("SM0"), report("SM1")], now=NOW)
    intake.book([sms("SM0")], only_tenant=None, now=NOW)
    map_to(engine, "acme")

    def book() -> None:
        intake.book([sms("SM1", tenant="karachi")], only_tenant=None, now=NOW)

    # SM0 leaves, arrives and is noted; then it has looked for events, and mappings come.
    with before_write(engine, book, at=NOTING):
        attribution.run(now=NOW)
    assert {"acme": (1, 3), "karachi": (1, 3)} == totals(engine)


def test_of_two_events_neither_is_chosen(
    router: Router, attribution: Attribution, engine: sa.Engine, intake: Intake
) -> None:
    router.book([report()], now=NOW)
    intake.book([sms("SM1", tenant=t) for t in ("acme", "karachi")], only_tenant=None, now=NOW)
    assert (0, (1, 3)) == (attribution.run(now=NOW).usages, totals(engine)[NAME])


def test_what_is_named_for_a_tenant_that_is_not_there_goes_to_no_event(
    router: Router, attribution: Attribution, engine: sa.Engine, intake: Intake
) -> None:
    router.book([report(named="umbrella")], now=NOW)
    intake.book([sms("SM1")], only_tenant=None, now=NOW)
    router.book([report(fact_id="read", claims=[])], now=NOW)
    assert (0, (1, 3)) == (attribution.run(now=NOW).usages, totals(engine)[NAME])


def test_many_that_wait_are_looked_up_a_page_at_a_time(
    router: Router, attribution: Attribution, intake: Intake
) -> None:
    router.book([report(f"SM{n:04}", claims=[]) for n in range(2001)], now=NOW)
    intake.book([sms(f"SM{n:04}") for n in (0, 2000)], only_tenant=None, now=NOW)
    assert 2 == attribution.run(now=NOW).usages


def test_another_claim_attributes_nothing(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    router.book([report(), report("SM2", claims=[])], now=NOW)
    map_to(engine, "acme", value="+13125550199")
    map_to(engine, "acme", "account", ACCOUNT)
    attribution.run(now=NOW)
    assert {NAME: (2, 6)} == totals(engine)


def test_the_first_claim_decides_and_a_later_one_where_that_leads_nowhere(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    both = (*BY_NUMBER, Claim(ClaimKind.ACCOUNT, ACCOUNT))
    other = (Claim(ClaimKind.NUMBER, "+13125550199"), Claim(ClaimKind.ACCOUNT, ACCOUNT))
    router.book([report("SM1", claims=both), report("SM2", claims=other)], now=NOW)
    map_to(engine, "karachi", "account", ACCOUNT)
    map_to(engine, "acme", "number", NUMBER)
    attribution.run(now=NOW)
    assert {"acme": (1, 3), "karachi": (1, 3)} == totals(engine)


def test_a_tenant_that_has_closed_gets_nothing_of_later(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    router.book([report()], now=NOW)
    map_to(engine, "acme")
    with operator_session(engine, write=True) as session:
        close_tenant(session, ACME, now=YESTERDAY)
    attribution.run(now=NOW)
    assert {NAME: (1, 3)} == totals(engine)


def test_usage_of_a_named_tenant_is_attributed_when_that_is_registered(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    map_to(engine, "acme")
    router.book([report(named="umbrella"), report(fact_id="read", rank=Rank.PROGRESS)], now=NOW)
    before = attribution.run(now=NOW).usages
    with operator_session(engine, write=True) as session:
        add_tenant(session, TenantId("umbrella"), name="Umbrella", now=NOW)
    after = attribution.run(now=NOW).usages
    assert (0, 1, {"umbrella": (1, 3)}) == (before, after, totals(engine))


def test_late_facts_of_an_attributed_usage_go_to_its_tenant(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    router.book([report(fact_id="sent", rank=Rank.PROGRESS, quantity=1)], now=NOW)
    number = map_to(engine, "acme")
    attribution.run(now=NOW)
    with operator_session(engine, write=True) as session:
        end_mapping(session, number, until="2026-01-01", now=NOW)
    map_to(engine, "karachi")
    (answer,) = router.book([report(quantity=5)], now=NOW)
    assert ("acme", {"acme": (1, 5)}) == (answer.tenant_id, totals(engine))


def test_all_facts_of_a_usage_move(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    parts = [report("mail", f"r{n}", adds=True, quantity=1, channel="email") for n in range(4)]
    router.book(parts[:3], now=NOW)
    map_to(engine, "acme")
    attribution.run(now=NOW)
    router.book([*parts[2:], parts[0]], now=NOW)
    assert {"acme": (1, 4)} == totals(engine)


def test_a_usage_that_came_to_nothing_moves_too_so_that_its_facts_stay_together(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    router.book([report(verdict=Verdict.VOID)], now=NOW)
    map_to(engine, "acme")
    attribution.run(now=NOW)
    (answer,) = router.book([report(fact_id="z", rank=Rank.PROGRESS)], now=NOW)
    assert ("acme", Booked.OUTRANKED, {}) == (answer.tenant_id, answer.booked, totals(engine))


@pytest.mark.parametrize(
    ("at", "travelling"),
    [(LEAVING, []), (ARRIVING, [InTransit(ACME, "sms", 2, 6)]), (NOTING, [])],
)
def test_killed_before_any_step_it_shows_what_travels_and_goes_on(
    router: Router,
    attribution: Attribution,
    engine: sa.Engine,
    at: int,
    travelling: list[InTransit],
) -> None:
    router.book([report("SM1"), report("SM2")], now=NOW)
    map_to(engine, "acme")
    with before_write(engine, die, at=at), pytest.raises(KilledError):
        attribution._move({"SM1", "SM2"}, lambda _entry: ACME, now=NOW)  # noqa: SLF001 - one move alone
    assert (travelling, (2, 6)) == (in_transit(engine), whole(engine))
    attribution.run(now=NOW)
    assert ({"acme": (2, 6)}, []) == (totals(engine), in_transit(engine))


@pytest.mark.parametrize("at", [ARRIVING, NOTING])
def test_a_late_fact_of_a_usage_in_transit_brings_it_there(
    router: Router, attribution: Attribution, engine: sa.Engine, at: int
) -> None:
    router.book([report()], now=NOW)
    map_to(engine, "acme")
    with before_write(engine, die, at=at), pytest.raises(KilledError):
        attribution.run(now=NOW)
    router.book([report(fact_id="late", rank=Rank.PROGRESS, quantity=9)], now=NOW)
    assert ({"acme": (1, 3)}, [], (1, 3)) == (totals(engine), in_transit(engine), whole(engine))


def test_a_fact_that_comes_while_its_usage_leaves_goes_after_it(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    router.book([report(fact_id="sent", rank=Rank.PROGRESS, quantity=1)], now=NOW)
    map_to(engine, "acme")
    # It looked where its usage was, which leaves before it gets there.
    with before_write(engine, lambda: attribution.run(now=NOW)):
        (answer,) = router.book([report()], now=NOW)
    assert ("acme", {"acme": (1, 3)}) == (answer.tenant_id, totals(engine))


def test_what_travels_is_not_lost_when_retention_takes_what_it_left(
    router: Router, attribution: Attribution, engine: sa.Engine, costing: Costing
) -> None:
    router.book([report(time=NOW - timedelta(days=50))], now=NOW)
    map_to(engine, "acme")
    with before_write(engine, die, at=ARRIVING), pytest.raises(KilledError):
        attribution.run(now=NOW)
    costing.run(clock=lambda: NOW)
    take_old(engine)
    attribution.run(now=NOW)
    assert (1, 3) == totals(engine)["acme"]


def test_what_retention_took_stays_where_it_is(
    router: Router, attribution: Attribution, engine: sa.Engine, costing: Costing
) -> None:
    router.book([report(time=NOW - timedelta(days=50))], now=NOW)
    costing.run(clock=lambda: NOW)
    take_old(engine)
    map_to(engine, "acme")
    runs = [attribution.run(now=NOW).usages for _ in range(2)]
    with operator_session(engine) as session:
        target = session.connection.execute(sa.select(unattributed_usage.c.target)).scalar_one()
    assert ([0, 0], NAME, []) == (runs, target, in_transit(engine))


def take_old(engine: sa.Engine) -> None:
    retention = Retention(engine, days=30)
    for due in retention.find_due(now=NOW):
        list(retention.take(due))


@pytest.mark.parametrize("race", range(3))
def test_two_attributions_at_once_move_each_usage_once(
    router: Router, engine: sa.Engine, race: int
) -> None:
    del race
    router.book(many(500), now=NOW)  # type: ignore[arg-type] # reports
    map_to(engine, "acme")
    tasks: list[Callable[[], object]] = [lambda: Attribution(engine).run(now=NOW) for _ in range(3)]
    at_once(tasks)
    Attribution(engine).run(now=NOW)
    assert ({"acme": (500, 1500)}, []) == (totals(engine), in_transit(engine))


def test_facts_that_come_while_two_attribute_count_once(
    router: Router, engine: sa.Engine, rules: object
) -> None:
    del rules
    ids = [f"SM{n}" for n in range(60)]
    first = [report(i, "sent", rank=Rank.PROGRESS, quantity=1) for i in ids]
    router.book(first, now=NOW)
    map_to(engine, "acme")

    def attribute() -> object:
        return Attribution(engine).run(now=NOW)

    def tell() -> object:
        return [router.book([report(i, quantity=4)], now=NOW) for i in ids]

    at_once([attribute, tell, attribute, tell])
    Attribution(engine).run(now=NOW)
    assert ({"acme": (60, 240)}, []) == (totals(engine), in_transit(engine))


def test_a_limit_leaves_the_rest_to_the_next_run(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    router.book(many(450), now=NOW)  # type: ignore[arg-type] # reports
    map_to(engine, "acme")
    runs = [attribution.run(now=NOW, limit=200).usages for _ in range(4)]
    assert [200, 200, 50, 0] == runs


def test_ledger_and_rollups_tie_at_every_step(
    router: Router,
    attribution: Attribution,
    engine: sa.Engine,
    costing: Costing,
    meterline: Run,
) -> None:
    router.book([report("SM1"), report("SM2", time=NOW - timedelta(days=9))], now=NOW)
    costing.run(clock=lambda: NOW)
    map_to(engine, "karachi")
    codes = [meterline("verify").returncode]
    with before_write(engine, die, at=ARRIVING), pytest.raises(KilledError):
        attribution.run(now=NOW)
    costing.run(clock=lambda: NOW)
    codes.append(meterline("verify").returncode)
    attribution.run(now=NOW)
    costing.run(clock=lambda: NOW)
    codes.append(meterline("verify").returncode)
    assert ([0, 0, 0], {"karachi": (2, 6)}) == (codes, totals(engine))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_facts_and_attribution_come_to_the_same_in_any_order(
    router: Router, attribution: Attribution, engine: sa.Engine, order: tuple[int, ...]
) -> None:
    steps: list[Callable[[], object]] = [
        lambda: router.book([report(fact_id="sent", rank=Rank.PROGRESS, quantity=1)], now=NOW),
        lambda: router.book([report(fact_id="delivered", quantity=2)], now=NOW),
        lambda: map_to(engine, "acme"),
        lambda: attribution.run(now=NOW),
    ]
    for number in order:
        steps[number]()
    attribution.run(now=NOW)
    assert {"acme": (1, 2)} == totals(engine)


def test_of_facts_that_arrived_the_reversal_is_none(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    router.book([report()], now=NOW)
    map_to(engine, "acme")
    attribution.run(now=NOW)
    with operator_session(engine) as session:
        query = sa.select(usage_facts.c.tenant_id, usage_facts.c.fact_id)
        found = {tuple(row) for row in session.connection.execute(query)}
    assert {("acme", "delivered"), (NAME, "delivered"), (NAME, "meterline-moved")} == found


@pytest.mark.parametrize("again", [False, True])
def test_the_command_attributes_what_waits(
    router: Router,
    engine: sa.Engine,
    meterline: Run,
    again: bool,  # noqa: FBT001 - a column of the table
) -> None:
    router.book([report()], now=NOW)
    key = {"METERLINE_HASH_KEY": HASH_KEY}
    added = meterline("mapping", "add", "number", NUMBER, "acme", "--from", "2026-03-01", **key)
    told = [added.stdout.splitlines()[-1]]
    if again:
        told.append(meterline("mapping", "attribute", **key).stdout.strip())
    expected = ["usages attributed: 1", "usages attributed: 0"][: 1 + again]
    assert (expected, {"acme": (1, 3)}) == (told, totals(engine))


def test_the_worker_attributes_before_it_costs(
    router: Router, engine: sa.Engine, meterline: Run
) -> None:
    router.book([report()], now=NOW)
    map_to(engine, "acme")
    lines = meterline("work", "--once").stdout.splitlines()
    assert ["usages attributed: 1", "batches costed: 3"] == lines


def test_the_list_tells_what_waits_and_what_travels(
    router: Router, attribution: Attribution, engine: sa.Engine, meterline: Run
) -> None:
    router.book([report("SM1")], now=NOW)
    map_to(engine, "acme")
    with before_write(engine, die, at=ARRIVING), pytest.raises(KilledError):
        attribution.run(now=NOW)
    router.book([report("SM2", claims=[Claim(ClaimKind.ACCOUNT, ACCOUNT)])], now=NOW)
    told = meterline("mapping", "list", METERLINE_HASH_KEY=HASH_KEY).stdout
    assert [True] * 3 == [
        text in told
        for text in (
            "waiting for a mapping: 1 usages",
            f"account {ACCOUNT}",
            "in transit to acme: 1 usages (3 units of sms, no price yet)",
        )
    ]


def test_the_doctor_tells_mappings_of_another_key_and_usage_without_a_tenant(
    router: Router, engine: sa.Engine, meterline: Run
) -> None:
    router.book([report(claims=[])], now=NOW)
    map_to(engine, "acme")
    told = meterline("doctor", METERLINE_HASH_KEY="another key of the tests").stdout
    assert (True, True) == ("1 mappings match nothing" in told, "1 usages have no tenant" in told)


def test_the_doctor_tells_owners_of_keys_that_are_mapped_to_nobody(
    engine: sa.Engine, meterline: Run
) -> None:
    settings = {
        "METERLINE_PUBLIC_URL": "https://meter.example",
        "METERLINE_TWILIO_AUTH_TOKEN": f"of-all,{ACCOUNT}=of-one",
        "METERLINE_TWILIO_SHARED_KEY": f"{ACCOUNT}=of-one",
    }
    map_to(engine, "acme", "account", ACCOUNT, valid_from="2090-01-01")
    told = [meterline("doctor", **settings)]
    map_to(engine, "acme", "account", ACCOUNT)
    told.append(meterline("doctor", **settings))
    text = "1 owners of keys of webhooks are mapped to nobody"
    assert [True, False] == [text in one.stdout for one in told]


def test_a_tenant_that_cannot_be_given_what_is_its_own_holds_up_no_other(
    router: Router, attribution: Attribution, engine: sa.Engine
) -> None:
    names = ("acme", "karachi")
    router.book([report(f"of-{name}", claims=[]) for name in names], now=NOW)
    gone = TenantId("gone")
    done = attribution.move({"of-acme": gone, "of-karachi": KARACHI}, now=NOW)
    failed = [failure.tenant_id for failure in done.failures]
    assert (1, [gone], {"karachi": (1, 3)}, [InTransit(gone, "sms", 1, 3)]) == (
        done.usages,
        failed,
        totals(engine),
        in_transit(engine),
    )


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
sys.path.insert(0, sys.argv[3])
from collector.attribution.job import Attribution
from ledger.engine import create_ledger_engine
from tests.interleaving import before_write

engine = create_ledger_engine(sys.argv[1])
with before_write(engine, lambda: os.kill(os.getpid(), signal.SIGKILL), at=int(sys.argv[2])):
    Attribution(engine).run(now=datetime(2026, 3, 10, 12, tzinfo=UTC))
"""


@pytest.mark.parametrize("at", range(1, 10))
def test_a_process_that_is_killed_before_any_transaction_leaves_the_sums_as_they_were(
    router: Router, attribution: Attribution, engine: sa.Engine, ledger_url: str, at: int
) -> None:
    router.book(many(450), now=NOW)  # type: ignore[arg-type] # reports
    map_to(engine, "acme")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, ledger_url, str(at), Path(__file__).parents[3]],
        check=False,
        timeout=60,
    )
    amid = whole(engine)
    attribution.run(now=NOW)
    assert (-signal.SIGKILL, (450, 1350), {"acme": (450, 1350)}) == (
        killed.returncode,
        amid,
        totals(engine),
    )
