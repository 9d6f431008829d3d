"""What the ledger keeps of prices is read as the same again, and what was edited is found."""

import random
from collections.abc import Iterator, Sequence
from datetime import date

import orjson
import pytest
from genai_prices.data import providers
from genai_prices.types import Provider

from costing.pricing.card import UNPRICED_VERSION, Amount, RateCard, restore_card
from costing.pricing.catalogue import Catalogue, restore_catalogue
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
from costing.pricing.flat import load_flat_map, restore_flat_map
from costing.pricing.matching import matches, part_dates
from costing.pricing.published import PROVIDER, take_snapshot
from ledger.errors import InvalidError, MissingError
from ledger.units import load_catalogue

START = date(2026, 12, 1)
HALF = 0.5
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
    unit = load_catalogue().unit("ai_input_token")
    assert unit is not None
    assert 2875 == CARD.rate(unit, "outbound")


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
    marked = load_flat_map().mark_up("15")
    assert marked == restore_flat_map(marked.document)
    assert marked.price_version != load_flat_map().price_version


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
        ({"regex": r"\d$"}, "o3", True),
        ({"or": [{"equals": "a"}, {"equals": "b"}]}, "b", True),
        ({"and": [{"starts_with": "a"}, {"ends_with": "c"}]}, "ab", False),
    ],
)
def test_a_clause_of_a_catalogue_holds_for_names(
    clause: dict[str, object], name: str, *, expected: bool
) -> None:
    assert expected == matches(clause, name)


def their_model(provider: Provider, name: str) -> str | None:
    found = provider.find_model(name)
    return None if found is None else found.id


def made_up_names(ids: Sequence[str]) -> Iterator[str]:
    """Yield names that look like those of models, most of which nobody has."""
    chance = random.Random(8)
    marks = (
        "-",
        ":",
        "",
        "-2025-12-11",
        "-20251211",
        "-20251399",
        "-202512110",
        "-mini",
        "-preview",
        "-latest",
    )
    for _ in range(2000):
        head, tail = chance.choice(ids), chance.choice(ids)
        cut = chance.randrange(len(head) + 1)
        yield chance.choice((
            head[:cut] + chance.choice(marks) + tail[chance.randrange(len(tail)):],
            head + chance.choice(marks) + chance.choice(marks),
            f"ft:{head}{chance.choice(marks)}:org::{tail[:3]}",
            head.upper() if chance.random() < HALF else head.title(),
            f"openai/{head}",
        ))  # fmt: skip


def test_names_lead_to_the_models_that_the_package_takes_them_for() -> None:
    (provider,) = (each for each in providers if each.id == PROVIDER)
    # Whether a model has a price is another matter: each is given one.
    models = [
        {**known, "prices": [{"price_class": "standard", "starts_on": "1970-01-01", "units": {}}]}
        for known in take_snapshot().models
    ]
    catalogue = Catalogue(document=orjson.dumps({"models": models}).decode())
    ids = [model.id for model in provider.models]
    dated = [f"{name}{end}" for name in ids for end in ("-2026-11-01", "-20261101", "x")]
    names = {*ids, *dated, *made_up_names(ids)}
    theirs = {name: their_model(provider, name) for name in names}
    ours = {name: catalogue.find(name, "standard", START) for name in names}
    assert theirs == {name: found and found.model for name, found in ours.items()}
    # Both kinds of name were met, or this would say little.
    assert (True, True) == tuple(
        sum((each is None) is is_unknown for each in theirs.values()) > len(ids)
        for is_unknown in (True, False)
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-5.2-20251211", "gpt-5.2-2025-12-11"),
        ("ft:m-20251211:org", "ft:m-2025-12-11:org"),
        ("gpt-5.2-20251399", "gpt-5.2-20251399"),
        ("gpt-5.2-202512110", "gpt-5.2-202512110"),
        ("gpt-5.2-19991211", "gpt-5.2-19991211"),
    ],
)
def test_a_date_that_is_run_together_is_parted(name: str, expected: str) -> None:
    assert expected == part_dates(name)


def test_not_every_name_that_was_ever_sent_is_remembered() -> None:
    catalogue = Catalogue(document='{"models": []}')
    for number in range(10_001):
        catalogue.find(f"m{number}", "standard", START)
    assert len(catalogue._found) <= 10_000  # noqa: SLF001 - what is remembered is seen nowhere else
