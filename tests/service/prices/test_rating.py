"""Rows that entries, catalogues and aliases rate: by workers, after kills, at the same time."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from collector.events import Rules
from collector.intake import Intake
from costing.job import Costing
from costing.pricing.flat import FlatMap, load_flat_map
from costing.pricing.published import take_snapshot
from costing.pricing.store import append_catalogue
from costing.verify import verify
from ledger.engine import create_ledger_engine
from ledger.errors import ConflictError, MissingError
from ledger.period import FIRST_DATE
from ledger.rollups import RollupRow
from ledger.session import operator_session
from ledger.tenant import TenantId
from tests.builders import NOW, ai, sms
from tests.conftest import Run
from tests.costed import book, differences, journal, only_row, rows, tamper
from tests.interleaving import at_once, before_statement, before_write
from tests.pricing import lay, rate, table, tokens

EARLY = date(2026, 1, 1)
MUCH_LATER = NOW + timedelta(days=30)
KARACHI = TenantId("karachi")
INBOUND = {"channel": "email", "direction": "inbound"}
AUDIO = {"model": "house-llm", "audio_seconds": 1}
TOKENS = {"input_tokens": 1000, "output_tokens": 500}


def inbound_rate(amount: str = "0.001", **said: object) -> str:
    return rate("email_recipient", amount, EARLY, direction="inbound", **said)


def by_class(engine: sa.Engine) -> dict[str, RollupRow]:
    return {row.key.price_class: row for row in rows(engine)}


@pytest.fixture
def catalogue(engine: sa.Engine) -> None:
    with operator_session(engine, write=True) as session:
        append_catalogue(
            session, take_snapshot(), starts_on=FIRST_DATE, origin="genai-prices", now=NOW
        )


def test_a_message_whose_metadata_name_a_model_takes_the_rate_of_messages(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    lay(engine, rate("sms_segment", "0.5", EARLY, tenant="acme"))
    book(intake, sms("a", metadata={"model": "gpt-4o"}))
    costing.run(clock=lambda: NOW)
    assert ("tenant", 500_000_000) == (
        only_row(engine).price_source,
        only_row(engine).estimated_cost,
    )


@pytest.mark.usefixtures("catalogue")
def test_without_the_flat_fallback_models_of_the_catalogue_keep_their_price(
    engine: sa.Engine, intake: Intake
) -> None:
    for number, model in enumerate(("gpt-4o", "house-llm")):
        book(intake, ai(str(number), metadata={**TOKENS, "model": model}))
    Costing(engine, load_flat_map(ai_flat_fallback=False)).run(clock=lambda: NOW)
    found = {row.key.model: (row.price_source, row.estimated_cost) for row in rows(engine)}
    assert {"gpt-4o": ("genai-prices", 7_500_000), "house-llm": (None, None)} == found


@pytest.mark.usefixtures("catalogue")
def test_a_request_beyond_the_threshold_is_rated_by_the_price_of_long_ones(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    for event_id, sent in (("a", 272_000), ("b", 272_001)):
        metadata = {"model": "gpt-5.6-sol", "input_tokens": sent, "output_tokens": 0}
        book(intake, ai(event_id, metadata=metadata, time="2026-03-09T12:00:00Z"))
    costing.run(clock=lambda: NOW)
    found = {name: row.estimated_cost for name, row in by_class(engine).items()}
    assert {"standard": 1_360_000_000, "long": 2_720_010_000} == found


@pytest.mark.usefixtures("catalogue")
def test_a_tier_that_the_catalogue_does_not_have_is_rated_flat_and_not_as_another(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, ai("a", metadata={**TOKENS, "model": "gpt-4o", "service_tier": "scale"}))
    costing.run(clock=lambda: NOW)
    assert "flat" == only_row(engine).price_source


@pytest.mark.usefixtures("catalogue")
def test_a_deployment_costs_what_its_alias_says_whatever_its_name_looks_like(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    lay(engine, table("aliases", model="gpt-4", prices_as="gpt-4o", starts_on=EARLY))
    book(intake, ai("a", metadata={**TOKENS, "model": "gpt-4"}))
    costing.run(clock=lambda: NOW)
    assert 7_500_000 == only_row(engine).estimated_cost


def test_a_price_that_comes_prices_rows_of_closed_days_once_and_journals_them(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    book(intake, sms("a", **INBOUND))
    costing.run(clock=lambda: NOW)
    lay(engine, inbound_rate())
    done = [costing.run(clock=lambda: MUCH_LATER).backpriced for _ in range(2)]
    entries = [(e["cause"], e["before"]["estimated_cost"], e["after"]["estimated_cost"])
               for e in journal(engine)]  # fmt: skip
    assert ([1, 0], [("backprice", None, 1_000_000)]) == (done, entries)
    assert [] == differences(engine, prices)


def test_a_price_for_one_tenant_prices_no_row_of_another(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a", **INBOUND), sms("k", tenant="karachi", **INBOUND))
    costing.run(clock=lambda: NOW)
    before = rows(engine, KARACHI)
    lay(engine, inbound_rate(tenant="acme"))
    costing.run(clock=lambda: NOW)
    assert ("tenant", before) == (only_row(engine).price_source, rows(engine, KARACHI))


@pytest.fixture
def other_engine(ledger_url: str) -> Iterator[sa.Engine]:
    """The same ledger, as another process has it."""
    engine = create_ledger_engine(ledger_url)
    yield engine
    engine.dispose()


@pytest.fixture
def other_intake(other_engine: sa.Engine, rules: Rules) -> Intake:
    return Intake(other_engine, rules=rules)


def test_a_worker_that_has_read_an_older_book_costs_by_the_newest_one(
    engine: sa.Engine,
    other_engine: sa.Engine,
    intake: Intake,
    other_intake: Intake,
    costing: Costing,
) -> None:
    other = Costing(other_engine, load_flat_map())
    book(intake, sms("a", **INBOUND))

    def price_comes() -> None:
        lay(other_engine, inbound_rate())
        other.run(clock=lambda: NOW, wait=True)
        # What comes now is costed by the worker that began without the price.
        book(other_intake, sms("b", feature="late", **INBOUND))

    with before_write(engine, price_comes):
        done = costing.run(clock=lambda: NOW)
    costs = {row.key.feature: row.estimated_cost for row in rows(engine)}
    assert ((), {"broadcast": 1_000_000, "late": 1_000_000}) == (done.failures, costs)


# On SQLite nobody lays a price down amid a transaction.
@pytest.mark.ledger("postgresql")
def test_a_row_that_was_left_unpriced_amid_which_its_price_came_is_priced_by_the_next_run(
    engine: sa.Engine, other_engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    book(intake, sms("a", **INBOUND))
    price = inbound_rate()
    with before_statement(engine, "DELETE FROM usage_batches", lambda: lay(other_engine, price)):
        costing.run(clock=lambda: NOW)
    before = only_row(engine).estimated_cost
    backpriced = costing.run(clock=lambda: NOW).backpriced
    assert (None, 1, 1_000_000) == (before, backpriced, only_row(engine).estimated_cost)


def test_workers_that_backprice_at_once_price_each_row_once(
    engine: sa.Engine, other_engine: sa.Engine, intake: Intake, prices: FlatMap
) -> None:
    book(intake, *(sms(f"a{n}", feature=f"f{n}", **INBOUND) for n in range(20)))
    Costing(engine, prices).run(clock=lambda: NOW)
    lay(engine, inbound_rate())
    workers = [Costing(each, prices) for each in (engine, other_engine)]
    done = at_once([partial(worker.run, clock=lambda: MUCH_LATER) for worker in workers])
    assert 20 == sum(outcome.backpriced for outcome in done) == len(journal(engine))
    assert ((), []) == (done[0].failures + done[1].failures, differences(engine, prices))


@pytest.mark.parametrize("rows_at_once", [1, 2, 3, 7, 8])
def test_a_price_that_comes_prices_all_rows_page_by_page(
    engine: sa.Engine,
    intake: Intake,
    costing: Costing,
    monkeypatch: pytest.MonkeyPatch,
    rows_at_once: int,
) -> None:
    monkeypatch.setattr("costing.backpricing.ROWS_AT_ONCE", rows_at_once)
    # Some of them stay without a price: those of every other feature have none.
    days = ("2026-03-07", "2026-03-08", "2026-03-09")
    unpriced = [ai(f"a{day}", time=f"{day}T12:00:00Z", metadata=AUDIO) for day in days]
    waiting = [sms(f"s{day}", time=f"{day}T12:00:00Z", **INBOUND) for day in days]
    others = [sms(f"f{n}", feature=f"f{n}", **INBOUND) for n in range(2)]
    book(intake, *unpriced, *waiting, *others)
    costing.run(clock=lambda: NOW)
    lay(engine, inbound_rate())
    done = costing.run(clock=lambda: NOW)
    left = [row.key.channel for row in rows(engine) if row.estimated_cost is None]
    assert (5, ["ai"] * 3, ()) == (done.backpriced, left, done.failures)


KILLED = """
import os, signal, sys
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from ledger.engine import create_ledger_engine
from tests.builders import NOW
from tests.interleaving import before_write

engine = create_ledger_engine(sys.argv[1])
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
# The first transaction lacks the rates, the second keeps them, the third would write the row.
with before_write(engine, die, at=int(sys.argv[2])):
    Costing(engine, load_flat_map()).run(clock=lambda: NOW)
"""


@pytest.mark.parametrize("at", [2, 3])
def test_a_worker_that_is_killed_around_keeping_its_rates_leaves_a_sound_ledger(
    engine: sa.Engine, ledger_url: str, intake: Intake, prices: FlatMap, at: int
) -> None:
    lay(engine, rate("sms_segment", "0.5", EARLY, tenant="acme"))
    book(intake, sms("a"))
    command = [sys.executable, "-c", KILLED, ledger_url, str(at)]
    killed = subprocess.run(command, check=False, timeout=60)
    found = (killed.returncode, rows(engine), differences(engine, prices))
    assert (-signal.SIGKILL, [], []) == found
    Costing(engine, prices).run(clock=lambda: NOW)
    assert 500_000_000 == only_row(engine).estimated_cost


LAYERS = (
    *tokens("house-llm", "0.001", EARLY, plan="Pro"),
    *tokens("other-llm", "0.002", EARLY),
    rate("mms_message", "0.03", EARLY, tenant="acme"),
    rate("voice_minute", "0.02", EARLY),
    table("markups", percent="15", tenant="karachi", starts_on=EARLY),
    table("aliases", model="our-4o", prices_as="gpt-4o", starts_on=EARLY),
)


@pytest.mark.usefixtures("catalogue")
def test_each_layer_rates_its_rows_and_everything_ties(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    lay(engine, *LAYERS)
    models = ("house-llm", "other-llm", "our-4o", "unknown-llm")
    calls = [ai(model, metadata={**TOKENS, "model": model}) for model in models]
    book(intake, *calls, sms("mms", channel="mms"), sms("email", **INBOUND))
    book(intake, *({**event, "tenant": "karachi"} for event in (*calls, sms("s"))))
    costing.run(clock=lambda: NOW)
    found = {(row.key.model or row.key.channel): row.price_source for row in rows(engine)}
    assert {
        "house-llm": "plan",
        "other-llm": "operator",
        "our-4o": "genai-prices",
        "unknown-llm": "flat",
        "mms": "tenant",
        "email": None,
    } == found
    costs = {
        (row.key.model or row.key.channel): row.estimated_cost for row in rows(engine, KARACHI)
    }
    assert {
        "house-llm": 5_750_000,
        "other-llm": 3_450_000_000,
        "our-4o": 8_625_000,
        "unknown-llm": 5_750_000,
        "sms": 10_235_000,
    } == costs
    assert [] == differences(engine, prices)


def test_a_lost_row_is_rated_by_the_only_rates_it_can_have_had_whatever_others_pay(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    lay(engine, table("markups", percent="15", tenant="karachi", starts_on=EARLY))
    book(intake, sms("a"), sms("k", tenant="karachi"))
    costing.run(clock=lambda: NOW)
    before = rows(engine)
    tamper(engine, "DELETE FROM usage_rollups_daily WHERE tenant_id = 'acme'")
    mended = costing.rebuild(clock=lambda: NOW)
    assert (1, before, []) == (mended, rows(engine), differences(engine, prices))


def test_a_lost_row_that_may_have_had_a_markup_or_not_is_not_guessed(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    lay(engine, table("markups", percent="15", tenant="karachi", starts_on=EARLY))
    book(intake, sms("a"), sms("k", tenant="karachi"))
    costing.run(clock=lambda: NOW)
    (before,) = rows(engine, KARACHI)
    tamper(engine, "DELETE FROM usage_rollups_daily WHERE tenant_id = 'karachi'")
    with pytest.raises(ConflictError, match="name one with --price-version"):
        costing.rebuild(clock=lambda: NOW)
    costing.rebuild(lost_version=before.price_version, clock=lambda: NOW)
    assert [before] == rows(engine, KARACHI)


def test_a_lost_row_whose_rates_are_lost_too_is_rated_by_rates_that_are_kept(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap
) -> None:
    book(intake, sms("a"))
    costing.run(clock=lambda: NOW)
    before = rows(engine)
    tamper(engine, "DELETE FROM usage_rollups_daily")
    tamper(engine, "DELETE FROM price_books")
    costing.rebuild(clock=lambda: NOW)
    assert (before, []) == (rows(engine), differences(engine, prices))


@pytest.mark.parametrize(
    "change",
    [
        "document = replace(document, '0.5', '0.4')",
        "starts_on = '2026-02-01'",
        "tenant_id = 'karachi'",
        "kind = 'alias'",
    ],
)
def test_a_price_that_was_edited_in_the_ledger_is_found_and_rates_nothing(
    engine: sa.Engine, intake: Intake, costing: Costing, prices: FlatMap, change: str
) -> None:
    lay(engine, rate("sms_segment", "0.5", EARLY, tenant="acme"))
    book(intake, sms("a"))
    tamper(engine, f"UPDATE price_entries SET {change}")
    for act in (partial(verify, engine, prices), partial(costing.run, clock=lambda: NOW)):
        with pytest.raises(MissingError, match="was edited in the ledger"):
            act()
    assert [] == rows(engine)


def test_commands_tell_that_a_price_was_edited_as_found_and_not_as_typed(
    engine: sa.Engine, meterline: Run
) -> None:
    lay(engine, rate("sms_segment", "0.5", EARLY, tenant="acme"))
    tamper(engine, "UPDATE price_entries SET document = replace(document, '0.5', '0.4')")
    done = meterline("verify")
    assert (1, True) == (done.returncode, "was edited in the ledger" in done.stderr)
