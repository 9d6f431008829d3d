"""What differs between two price books, and between two catalogues."""

from datetime import date
from fractions import Fraction

import orjson
import pytest

from cli.prices.tables import names_text, quote_text, unit_text, usd_text
from costing.pricing.catalogue import Catalogue
from costing.pricing.comparing import (
    Quote,
    Relisted,
    compare_books,
    compare_catalogues,
    renamed_models,
)
from costing.pricing.entries import Entry
from costing.pricing.flat import load_flat_map
from costing.pricing.resolution import Book, Kind
from ledger.tenant import TenantId
from ledger.units import Unit, load_catalogue
from tests.pricing import TOMORROW, rate, read, tokens

SMS = Kind(TenantId("acme"), "Pro", TOMORROW, "sms", "outbound", None, "standard")
EARLIER = date(1970, 1, 1)
CHEAP = {"ai_input_token": ("1", 1_000_000), "ai_output_token": ("2", 1_000_000)}
DEAR = {"ai_input_token": ("3", 1_000_000), "ai_output_token": ("2", 1_000_000)}


def book(*tables: str) -> Book:
    laid: list[Entry] = [line.entry for line in read(*tables)] if tables else []
    return Book(flat=load_flat_map(), laid=laid)


def listed(
    units: dict[str, tuple[str, int]] | None,
    *,
    starts: date = EARLIER,
    price_class: str = "standard",
) -> dict[str, object]:
    return {"price_class": price_class, "starts_on": starts.isoformat(), "units": units}


def catalogue(*prices: dict[str, object], model: str = "m", equals: str = "m") -> Catalogue:
    known = {"id": model, "match": {"equals": equals}, "prices": list(prices)}
    return Catalogue(document=orjson.dumps({"models": [known]}).decode())


def unit(name: str) -> Unit:
    found = load_catalogue().unit(name)
    assert found is not None
    return found


def test_a_book_does_not_differ_from_itself() -> None:
    tables = rate("sms_segment", "0.0083")
    assert [] == list(compare_books(book(tables), book(tables), [SMS]))


def test_the_old_price_and_the_new_one_are_told_with_their_layers() -> None:
    (shift,) = compare_books(book(), book(rate("sms_segment", "0.0083")), [SMS])
    expected = (Quote(Fraction(8_900_000), "flat"), Quote(Fraction(8_300_000), "operator"))
    assert expected == (shift.before, shift.after)


def test_nothing_differs_before_the_start() -> None:
    before = SMS._replace(date=date(2026, 3, 11))
    assert [] == list(compare_books(book(), book(rate("sms_segment", "0.0083")), [before]))


def test_a_unit_without_a_price_has_none_before() -> None:
    mail = SMS._replace(channel="email", direction="inbound")
    (shift,) = compare_books(book(), book(rate("email_recipient", "0.001")), [mail])
    assert (None, Fraction(1_000_000)) == (shift.before, shift.after and shift.after.nanos)


def test_each_unit_of_a_model_is_compared() -> None:
    kind = SMS._replace(channel="ai", model="m")
    shifts = compare_books(book(), book(*tokens("m", "0.000001")), [kind])
    sides = {unit.name for unit in load_catalogue().units if unit.side}
    assert sides == {shift.unit.name for shift in shifts}


def test_a_catalogue_does_not_differ_from_itself() -> None:
    assert [] == list(compare_catalogues(catalogue(listed(CHEAP)), catalogue(listed(CHEAP))))


def test_a_price_that_changed_is_told_and_its_neighbour_is_not() -> None:
    found = list(compare_catalogues(catalogue(listed(CHEAP)), catalogue(listed(DEAR))))
    units = ("ai_input_token",)
    assert [Relisted("m", "standard", EARLIER, units, ("1", 1_000_000), ("3", 1_000_000))] == found


def test_a_price_that_changes_on_a_date_is_told_from_then_on() -> None:
    after = catalogue(listed(CHEAP), listed(DEAR, starts=TOMORROW))
    (found,) = compare_catalogues(catalogue(listed(CHEAP)), after)
    assert (TOMORROW, ("3", 1_000_000)) == (found.starts_on, found.after)


def test_a_difference_that_goes_on_is_told_once() -> None:
    before = catalogue(
        listed(CHEAP), listed({**CHEAP, "ai_audio_in_token": ("9", 1)}, starts=TOMORROW)
    )
    after = catalogue(
        listed(DEAR), listed({**DEAR, "ai_audio_in_token": ("9", 1)}, starts=TOMORROW)
    )
    assert [EARLIER] == [each.starts_on for each in compare_catalogues(before, after)]


def test_a_price_that_is_gone_has_none_after() -> None:
    after = catalogue(listed(CHEAP), listed(None, starts=TOMORROW))
    found = list(compare_catalogues(catalogue(listed(CHEAP)), after))
    assert {(TOMORROW, None)} == {(each.starts_on, each.after) for each in found}


def test_against_no_catalogue_everything_is_new() -> None:
    found = list(compare_catalogues(None, catalogue(listed(CHEAP))))
    assert {None} == {each.before for each in found}


def test_a_model_that_other_names_lead_to_is_told() -> None:
    before, after = catalogue(equals="m"), catalogue(equals="m-2")
    assert (["m"], []) == (renamed_models(before, after), renamed_models(after, after))


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (Fraction(0), "0"),
        (Fraction("0.000000002"), "0.000000002"),
        (Fraction(100), "100"),
        (Fraction(1, 3), "≈0.333333333333"),
    ],
)
def test_an_amount_is_shown_exactly_or_marked(usd: Fraction, text: str) -> None:
    assert text == usd_text(usd)


def test_tokens_are_told_by_the_million() -> None:
    name = "ai_input_token"
    quote = Quote(Fraction(2000), "flat")
    assert ("2", "ai_input_token x 1000000") == (
        quote_text(quote, unit(name)),
        unit_text(unit(name)),
    )


def test_no_price_is_no_zero() -> None:
    assert "-" == quote_text(None, unit("sms_segment"))


def test_of_many_names_the_first_are_told() -> None:
    assert ("a, b", "a, b, c and 2 more") == (names_text("ba"), names_text("edcba"))
