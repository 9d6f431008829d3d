"""What is laid down of a price file, and what is refused with line, reason and what to do."""

import re
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.job import Costing
from costing.pricing.store import read_laid
from ledger.errors import ConflictError
from ledger.session import operator_session
from ledger.tenant import TenantId
from ledger.tenants import add_tenant
from tests.builders import NOW, ai, sms
from tests.conftest import Book
from tests.costed import journal, only_row, rows
from tests.pricing import TODAY, TOMORROW, lay, rate, table, tokens

YESTERDAY = date(2026, 3, 9)
HOUSE = "house-llm"


def refuse(engine: sa.Engine, *tables: str, now: datetime = NOW) -> list[str]:
    """Return the lines of what a refusal says, after the first."""
    with pytest.raises(ConflictError) as caught:
        lay(engine, *tables, now=now)
    assert "refused_prices" == caught.value.code
    return caught.value.message.splitlines()[1:]


def count(engine: sa.Engine) -> int:
    with operator_session(engine) as session:
        return len(read_laid(session))


def test_what_is_new_is_laid_down(engine: sa.Engine) -> None:
    lay(engine, rate("sms_segment", "0.0083"), rate("mms_message", "0.022"))
    assert 2 == count(engine)


def test_the_name_of_the_file_is_kept(engine: sa.Engine) -> None:
    lay(engine, rate("sms_segment", "0.0083"))
    with operator_session(engine) as session:
        assert ["prices.toml"] == [each.origin for each in read_laid(session)]


def test_what_is_there_already_is_left_out(engine: sa.Engine) -> None:
    lay(engine, rate("sms_segment", "0.0083"))
    new = lay(engine, rate("sms_segment", "0.0083"), rate("mms_message", "0.022"))
    assert (["mms_message"], 2) == ([line.entry.unit for line in new], count(engine))  # type: ignore[union-attr]


def test_what_stands_in_a_file_twice_is_laid_down_once(engine: sa.Engine) -> None:
    lay(engine, rate("sms_segment", "0.0083"), rate("sms_segment", "0.0083"))
    assert 1 == count(engine)


def test_another_price_from_the_same_start_is_refused(engine: sa.Engine) -> None:
    lay(engine, rate("sms_segment", "0.0083"))
    (fault,) = refuse(engine, rate("mms_message", "0.022"), rate("sms_segment", "0.0084"))
    assert fault == (
        "prices.toml:6: from 2026-03-12 on it is 0.0083 USD already (laid down on 2026-03-10 from"
        " prices.toml); a price is never edited: choose a start after 2026-03-12"
    )


def test_another_markup_from_the_same_start_is_refused(engine: sa.Engine) -> None:
    markup = {"plan": "Pro", "starts_on": TOMORROW}
    lay(engine, table("markups", percent="15", **markup))
    (fault,) = refuse(engine, table("markups", percent="20", **markup))
    assert "prices.toml:1: from 2026-03-12 on it is 15 % already" in fault


def test_an_unknown_tenant_is_refused(engine: sa.Engine) -> None:
    (fault,) = refuse(engine, rate("sms_segment", "0.0083", tenant="nobody"))
    assert "prices.toml:1: there is no tenant nobody; register it first" in fault


def test_one_side_of_a_model_is_refused(engine: sa.Engine) -> None:
    (fault,) = refuse(engine, rate("ai_input_token", "0.000002", model=HOUSE))
    assert fault == (
        "prices.toml:1: house-llm (standard, all tenants) has no ai_output_token from 2026-03-12"
        ' on: give both sides of a model; a free side has the amount "0"'
    )


def test_a_detail_without_both_sides_is_refused(engine: sa.Engine) -> None:
    (fault,) = refuse(engine, rate("ai_cached_input_token", "0.000002", model=HOUSE))
    assert "has no ai_input_token and no ai_output_token" in fault


def test_a_free_side_is_a_side(engine: sa.Engine) -> None:
    lay(engine, *tokens("embed", "0"))
    assert 2 == count(engine)


def test_both_sides_may_come_one_after_the_other(engine: sa.Engine) -> None:
    lay(engine, *tokens(HOUSE, "0.000002"))
    lay(engine, rate("ai_input_token", "0.000003", date(2026, 4, 1), model=HOUSE))
    assert 3 == count(engine)


def test_a_side_that_is_withdrawn_later_is_missed_then(engine: sa.Engine) -> None:
    lay(engine, *tokens(HOUSE, "0.000002"))
    april = date(2026, 4, 1)
    (fault,) = refuse(engine, rate("ai_output_token", None, april, model=HOUSE))
    assert "has no ai_output_token from 2026-04-01 on" in fault


def test_a_class_takes_the_other_side_from_the_standard_one(engine: sa.Engine) -> None:
    batch = rate("ai_input_token", "0.000001", model=HOUSE, price_class="batch")
    lay(engine, *tokens(HOUSE, "0.000002"), batch)
    assert 3 == count(engine)


def test_one_side_of_a_class_alone_is_refused(engine: sa.Engine) -> None:
    batch = rate("ai_input_token", "0.000001", model=HOUSE, price_class="batch")
    (fault,) = refuse(engine, batch)
    assert "house-llm (batch, all tenants) has no ai_output_token" in fault


def test_a_model_that_is_billed_by_duration_needs_no_tokens(engine: sa.Engine) -> None:
    lay(engine, rate("ai_audio_millisecond", "0.36", model="whisper-1", per=3_600_000))
    assert 1 == count(engine)


def test_all_faults_are_told_together_in_the_order_of_lines(engine: sa.Engine) -> None:
    faults = refuse(
        engine,
        rate("ai_input_token", "0.000002", model=HOUSE),
        rate("sms_segment", "0.0083", tenant="nobody"),
    )
    assert ["prices.toml:1:", "prices.toml:7:"] == [fault.split(" ")[0] for fault in faults]


def test_nothing_of_a_refused_file_is_laid_down(engine: sa.Engine) -> None:
    refuse(engine, rate("mms_message", "0.022"), rate("sms_segment", "1", tenant="nobody"))
    assert 0 == count(engine)


def test_a_start_before_rated_rows_is_refused(engine: sa.Engine, book: Book) -> None:
    book(sms("a"), sms("b", feature="ivr"), sms("k", tenant="karachi"))
    (fault,) = refuse(engine, rate("sms_segment", "0.0083", YESTERDAY))
    assert fault == (
        "prices.toml:1: it starts on 2026-03-09, and 3 rollup rows of 2 tenants are rated otherwise"
        " already: start it on 2026-03-12 or later, or change them by: meterline reprice --prices"
        ' prices.toml --from 2026-03-09 --to 2026-03-09 --reason "…"'
    )


def test_an_early_start_that_changes_no_rate_is_laid_down(engine: sa.Engine, book: Book) -> None:
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.0083", TODAY))
    assert 1 == count(engine)


@pytest.mark.parametrize(
    "changes", [{"direction": "inbound"}, {"tenant": "karachi"}, {"plan": "Elite"}]
)
def test_rows_that_an_entry_is_not_for_refuse_nothing(
    engine: sa.Engine, book: Book, changes: dict[str, str]
) -> None:
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.0083", YESTERDAY, **changes))
    assert 1 == count(engine)


def test_a_price_of_the_plan_is_held_against_the_rows_of_its_tenants(
    engine: sa.Engine, book: Book
) -> None:
    book(sms("a"), sms("k", tenant="karachi"))
    (fault,) = refuse(engine, rate("sms_segment", "0.0083", YESTERDAY, plan="Pro"))
    assert "1 rollup rows of 1 tenants" in fault


def test_only_lines_that_rows_are_in_the_way_of_are_told(engine: sa.Engine, book: Book) -> None:
    book(sms("a"))
    faults = refuse(
        engine, rate("mms_message", "0.03", YESTERDAY), rate("sms_segment", "0.0083", YESTERDAY)
    )
    assert ["prices.toml:6:"] == [fault.split(" ")[0] for fault in faults]


def test_an_alias_is_held_against_the_rows_of_its_model(engine: sa.Engine, book: Book) -> None:
    lay(engine, *tokens("priced", "0.000002"))
    book(ai("a"))
    lay(engine, *tokens("priced", "0.000001", YESTERDAY))
    (fault,) = refuse(
        engine, table("aliases", model=HOUSE, prices_as="priced", starts_on=YESTERDAY)
    )
    assert "prices.toml:1: it starts on 2026-03-09, and 1 rollup rows" in fault


def test_a_price_is_held_against_the_rows_of_what_an_alias_leads_there(
    engine: sa.Engine, book: Book
) -> None:
    lay(engine, table("aliases", model=HOUSE, prices_as="priced", starts_on=YESTERDAY))
    book(sms("a"), ai("b"))
    mms = rate("mms_message", "1", YESTERDAY)
    faults = refuse(engine, mms, *tokens("priced", "0.000001", YESTERDAY))
    assert ["prices.toml:6:", "prices.toml:12:"] == [fault.split(" ")[0] for fault in faults]


def test_rows_that_a_nearer_layer_rates_refuse_nothing(engine: sa.Engine, book: Book) -> None:
    lay(engine, rate("sms_segment", "0.0083", YESTERDAY, tenant="acme"))
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.0084", YESTERDAY))
    assert 2 == count(engine)


def test_a_markup_is_held_against_all_rows(engine: sa.Engine, book: Book) -> None:
    book(sms("a"), ai("b"))
    markup = table("markups", percent="15", tenant="acme", starts_on=YESTERDAY)
    (fault,) = refuse(engine, markup)
    assert "2 rollup rows of 1 tenants" in fault


def test_the_days_that_are_to_be_repriced_are_named(engine: sa.Engine, book: Book) -> None:
    book(sms("a", time="2026-02-01T12:00:00Z"), sms("b", time="2026-03-05T12:00:00Z"))
    (fault,) = refuse(engine, rate("sms_segment", "0.0083", date(2026, 1, 1)))
    assert "--from 2026-02-01 --to 2026-03-05" in fault


@pytest.mark.parametrize(
    ("now", "tenant", "first"),
    [
        (datetime(2026, 3, 10, 9, 59, tzinfo=UTC), None, "2026-03-11"),
        (datetime(2026, 3, 10, 10, 0, tzinfo=UTC), None, "2026-03-12"),
        (datetime(2026, 3, 10, 18, 59, tzinfo=UTC), "karachi", "2026-03-11"),
        (datetime(2026, 3, 10, 19, 0, tzinfo=UTC), "karachi", "2026-03-12"),
    ],
)
def test_the_first_start_is_tomorrow_of_the_tenant_or_everywhere(
    engine: sa.Engine, book: Book, now: datetime, tenant: str | None, first: str
) -> None:
    book(sms("k", tenant="karachi"))
    said = {} if tenant is None else {"tenant": tenant}
    (fault,) = refuse(engine, rate("sms_segment", "0.0083", YESTERDAY, **said), now=now)
    assert [first] == re.findall(r"start it on (\S+) or later", fault)


def test_a_start_tomorrow_is_refused_where_usage_dated_ahead_was_rated(
    engine: sa.Engine, intake: Intake, costing: Costing
) -> None:
    now = datetime(2026, 3, 10, 23, 58, tzinfo=UTC)
    ahead = sms("a", time="2026-03-11T00:01:00Z")
    intake.book([ahead], only_tenant=None, now=now)
    costing.run(clock=lambda: now)
    tomorrow = date(2026, 3, 11)
    (fault,) = refuse(engine, rate("sms_segment", "0.0083", tomorrow, tenant="acme"), now=now)
    assert "and 1 rollup rows of 1 tenants are rated otherwise already" in fault
    assert ["2026-03-12"] == re.findall(r"start it on (\S+) or later", fault)


def test_a_start_before_unpriced_rows_alone_is_laid_down(engine: sa.Engine, book: Book) -> None:
    book(sms("a", channel="email", direction="inbound"))
    lay(engine, rate("email_recipient", "0.001", YESTERDAY, direction="inbound"))
    assert 1 == count(engine)


def test_unpriced_rows_of_a_closed_day_are_backpriced_and_journalled(
    engine: sa.Engine, book: Book, costing: Costing
) -> None:
    book(sms("a", channel="email", direction="inbound", time="2026-02-01T12:00:00Z"))
    lay(engine, rate("email_recipient", "0.001", date(2026, 1, 1), direction="inbound"))
    costing.run(clock=lambda: NOW)
    causes = [entry["cause"] for entry in journal(engine)]
    assert (1_000_000, "backprice") == (only_row(engine).estimated_cost, causes[-1])


def test_with_reprice_a_start_may_be_before_rated_rows(engine: sa.Engine, book: Book) -> None:
    book(sms("a"))
    lay(engine, rate("sms_segment", "0.0083", YESTERDAY), backdated=True)
    assert 1 == count(engine)


def test_with_reprice_a_price_is_not_edited_either(engine: sa.Engine) -> None:
    lay(engine, rate("sms_segment", "0.0083", YESTERDAY))
    with pytest.raises(ConflictError, match="a price is never edited"):
        lay(engine, rate("sms_segment", "0.0084", YESTERDAY), backdated=True)


def test_rated_rows_keep_their_cost_when_a_price_is_refused(
    engine: sa.Engine, book: Book, costing: Costing
) -> None:
    book(sms("a"))
    before = rows(engine)
    refuse(engine, rate("sms_segment", "0.0083", YESTERDAY))
    costing.run(clock=lambda: NOW)
    assert before == rows(engine)


def test_a_tenant_that_came_since_is_known(engine: sa.Engine) -> None:
    refuse(engine, rate("sms_segment", "0.0083", tenant="new"))
    with operator_session(engine, write=True) as session:
        add_tenant(session, TenantId("new"), name="New", now=NOW)
    lay(engine, rate("sms_segment", "0.0083", tenant="new"))
    assert 1 == count(engine)
