"""What the ledger keeps of prices is read as the same again, and what was edited is found."""

from datetime import date

import orjson
import pytest
from genai_prices.data import providers

from costing.pricing.card import UNPRICED_VERSION, Amount, RateCard, restore_card
from costing.pricing.catalogue import restore_catalogue
from costing.pricing.entries import (
    ALL,
    KIND_NAMES,
    AliasEntry,
    Entry,
    MarkupEntry,
    RateEntry,
    Scope,
    read_entry,
    write_entry,
)
from costing.pricing.flat import load_price_book, restore_price_book
from costing.pricing.matching import matches
from costing.pricing.published import PROVIDER, take_snapshot
from ledger.errors import InvalidError, MissingError

START = date(2026, 12, 1)
CARD = RateCard(
    source="genai-prices",
    amounts={"ai_input_token": Amount("2.5", 1_000_000)},
    markup="15",
    basis={"model": "gpt-4o"},
)


@pytest.mark.parametrize(
    "entry",
    [
        RateEntry(starts_on=START, unit="sms_segment", amount=Amount("0.1")),
        RateEntry(starts_on=START, unit="ai_input_token", amount=None, model="m", price_class="x"),
        RateEntry(starts_on=START, unit="sms_segment", amount=Amount("1", 7), direction="inbound"),
        MarkupEntry(starts_on=START, percent="-5.5", scope=Scope(plan="Pro")),
        AliasEntry(starts_on=START, model="a", prices_as="b"),
    ],
)
def test_a_kept_entry_is_the_same_entry(entry: Entry) -> None:
    kind = KIND_NAMES[type(entry)]
    assert entry == read_entry(kind, entry.starts_on, entry.scope, write_entry(entry))


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("rate", "{"),
        ("rate", "[]"),
        ("rate", '{"amount":["x",1],"unit":"sms_segment"}'),
        ("rate", '{"amount":["1",0],"unit":"sms_segment"}'),
        ("rate", '{"amount":["1",0.5],"unit":"sms_segment"}'),
        ("rate", '{"amount":["1",1],"more":1,"unit":"sms_segment"}'),
        ("rate", '{"amount":["1",1],"unit":"fax_page"}'),
        ("rate", '{"amount":null,"unit":"sms_segment"}'),
        ("markup", '{"percent":"lots"}'),
        ("gift", "{}"),
    ],
)
def test_an_entry_that_was_edited_is_found(kind: str, document: str) -> None:
    with pytest.raises(MissingError, match="edited"):
        read_entry(kind, START, ALL, document)


def test_a_kept_card_is_the_same_card() -> None:
    restored = restore_card(CARD.document)
    assert (CARD, CARD.price_version) == (restored, restored.price_version)


@pytest.mark.parametrize(
    "change", [{"markup": "16"}, {"amounts": {}}, {"source": "operator"}, {"basis": {}}]
)
def test_other_rates_are_another_version(change: dict[str, object]) -> None:
    said = {"source": CARD.source, "amounts": CARD.amounts, "markup": "15", "basis": CARD.basis}
    other = RateCard(**{**said, **change})  # type: ignore[arg-type] # whatever the case says
    assert CARD.price_version != other.price_version


def test_a_card_without_rates_is_called_none() -> None:
    assert UNPRICED_VERSION == RateCard(source="x", amounts={}).price_version


def test_a_markup_is_on_every_rate_of_a_card() -> None:
    said = orjson.loads(CARD.document)
    assert (["2.5", 1_000_000], "15") == (said["units"]["ai_input_token"], said["markup"])


def test_a_card_names_no_tenant_and_no_plan() -> None:
    assert {"source", "currency", "units", "markup", "basis"} == orjson.loads(CARD.document).keys()


@pytest.mark.parametrize(
    "change",
    [
        {"units": []},
        {"units": {"ai_input_token": ["x", 1]}},
        {"units": {"ai_input_token": ["1", 0]}},
        {"currency": "EUR"},
        {"more": "1"},
        {"markup": "lots"},
    ],
)
def test_a_card_that_was_edited_is_none(change: dict[str, object]) -> None:
    said = {**orjson.loads(CARD.document), **change}
    with pytest.raises(InvalidError, match="no rate card"):
        restore_card(orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode())


@pytest.mark.parametrize("document", ["{", "{}", "[]", CARD.document + " "])
def test_what_is_no_card_is_refused(document: str) -> None:
    with pytest.raises(InvalidError, match="no rate card"):
        restore_card(document)


def test_a_kept_flat_map_with_a_markup_is_the_same() -> None:
    marked = load_price_book().mark_up("15")
    assert marked == restore_price_book(marked.document)
    assert marked.price_version != load_price_book().price_version


def test_a_kept_catalogue_is_the_same() -> None:
    taken = take_snapshot()
    assert taken.version == restore_catalogue(taken.document).version


@pytest.mark.parametrize("document", ["{", "[]", "{}", '{"models": [{}]}', '{"models": [1]}'])
def test_a_catalogue_that_was_edited_is_found(document: str) -> None:
    with pytest.raises(MissingError, match="was edited"):
        restore_catalogue(document)


@pytest.mark.parametrize(
    ("clause", "name", "expected"),
    [
        ({"equals": "GPT-4o"}, "gpt-4o", True),
        ({"equals": "gpt-4o"}, "gpt-4o-mini", False),
        ({"starts_with": "gpt-4o"}, "gpt-4o-mini", True),
        ({"ends_with": "mini"}, "gpt-4o-mini", True),
        ({"contains": "4O"}, "gpt-4o-mini", True),
        ({"regex": r"^o\d$"}, "o3", True),
        ({"or": [{"equals": "a"}, {"equals": "b"}]}, "b", True),
        ({"and": [{"starts_with": "a"}, {"ends_with": "c"}]}, "ab", False),
    ],
)
def test_a_clause_of_a_catalogue_holds_for_names(
    clause: dict[str, object], name: str, *, expected: bool
) -> None:
    assert expected == matches(clause, name)


def test_names_lead_to_the_models_that_the_package_takes_them_for() -> None:
    catalogue = take_snapshot()
    (provider,) = (each for each in providers if each.id == PROVIDER)
    ends = ("", "-2026-11-01", "-mini", "-preview", "x")
    priced = {known["id"] for known in catalogue.models if known["prices"]}
    differ = []
    for name in (f"{model.id}{end}" for model in provider.models for end in ends):
        theirs = next((m.id for m in provider.models if m.is_match(name)), None)
        ours = catalogue.find(name, "standard", START)
        if (None if ours is None else ours.model) != (theirs if theirs in priced else None):
            differ.append(name)
    assert [] == differ
