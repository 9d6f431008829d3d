"""Which layer rates usage, and with what: one table."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from costing.pricing.books import Kept
from costing.pricing.card import Amount, Rates
from costing.pricing.catalogue import Catalogue
from costing.pricing.entries import ALL, AliasEntry, Entry, MarkupEntry, RateEntry, Scope
from costing.pricing.flat import load_flat_map
from costing.pricing.published import take_snapshot
from costing.pricing.resolution import Book, Dated, Kind
from ledger.period import FIRST_DATE
from ledger.tenant import TenantId
from ledger.units import load_catalogue

DAY = date(2026, 11, 20)
BEFORE, AFTER = date(2026, 11, 1), date(2026, 12, 1)
TENANT, PLAN = Scope(tenant_id=TenantId("acme")), Scope(plan="Pro")
SMS, TOKEN, OUT, CACHED = (
    "sms_segment",
    "ai_input_token",
    "ai_output_token",
    "ai_cached_input_token",
)
AUDIO = "ai_audio_millisecond"

FLAT = load_flat_map()


@pytest.fixture(scope="module")
def catalogue() -> Dated:
    return Dated(FIRST_DATE, take_snapshot())


def rate(unit: str, usd: str | None, scope: Scope = ALL, **more: Any) -> RateEntry:
    fields = {"starts_on": BEFORE, **more}
    return RateEntry(unit=unit, amount=None if usd is None else Amount(usd), scope=scope, **fields)


def model(name: str, usd: str, scope: Scope = ALL, **more: Any) -> list[RateEntry]:
    return [rate(unit, usd, scope, model=name, **more) for unit in (TOKEN, OUT)]


def resolve(laid: Sequence[Entry | Dated], **kind: Any) -> Rates | None:
    asked = {
        "tenant_id": TenantId("acme"),
        "plan": "Pro",
        "date": DAY,
        "channel": "sms",
        "direction": "outbound",
        "model": None,
        "price_class": "standard",
        **kind,
    }
    return Book(flat=FLAT, laid=laid).resolve(Kind(**asked))


def usd_of(rates: Rates | None, unit: str) -> float | None:
    found = load_catalogue().unit(unit)
    assert found is not None
    nanos = None if rates is None else rates.rate(found, "outbound")
    return None if nanos is None else float(nanos / 10**9)


def said(rates: Rates | None, unit: str) -> tuple[str | None, float | None]:
    """Return the layer, and dollars for one of a unit."""
    return None if rates is None else rates.source, usd_of(rates, unit)


@pytest.mark.parametrize(
    ("laid", "expected"),
    [
        ([], ("flat", 0.0089)),
        ([rate(SMS, "0.5")], ("operator", 0.5)),
        ([rate(SMS, "0.5"), rate(SMS, "0.4", PLAN)], ("plan", 0.4)),
        ([rate(SMS, "0.4", PLAN), rate(SMS, "0.3", TENANT)], ("tenant", 0.3)),
        ([rate(SMS, "0.3", Scope(tenant_id=TenantId("other")))], ("flat", 0.0089)),
        ([rate(SMS, "0.3", Scope(plan="Elite"))], ("flat", 0.0089)),
        # The newest start by the day counts, whichever was laid down first.
        ([rate(SMS, "0.5", starts_on=AFTER)], ("flat", 0.0089)),
        ([rate(SMS, "0.5", starts_on=DAY), rate(SMS, "0.6")], ("operator", 0.5)),
        ([rate(SMS, "0.5"), rate(SMS, "0.6")], ("operator", 0.6)),
        # A rate of one direction goes before one of both.
        ([rate(SMS, "0.5"), rate(SMS, "0.6", direction="outbound")], ("operator", 0.6)),
        ([rate(SMS, "0.6", direction="inbound")], ("flat", 0.0089)),
        # What is withdrawn gives its place to the next.
        ([rate(SMS, "0.5"), rate(SMS, None, starts_on=DAY)], ("flat", 0.0089)),
        ([rate(SMS, "0.5"), rate(SMS, None, TENANT)], ("operator", 0.5)),
        (
            [rate(SMS, "0.5"), rate(SMS, "0.6", direction="outbound"),
             rate(SMS, None, direction="outbound", starts_on=DAY)],
            ("operator", 0.5),
        ),
        # Rates of other units are no rates of this one.
        ([rate("mms_message", "0.5"), rate("sms_failed_message", "0.5")], ("flat", 0.0089)),
    ],
)  # fmt: skip
def test_a_message_takes_the_rate_of_the_first_layer_that_has_one(
    laid: list[Entry], expected: tuple[str, float]
) -> None:
    assert expected == said(resolve(laid), SMS)


@pytest.mark.parametrize(
    ("markups", "usd"),
    [
        ([MarkupEntry(starts_on=BEFORE, percent="10", scope=PLAN)], 0.55),
        ([MarkupEntry(starts_on=BEFORE, percent="-50", scope=TENANT)], 0.25),
        (
            [MarkupEntry(starts_on=BEFORE, percent="10", scope=PLAN),
             MarkupEntry(starts_on=BEFORE, percent="20", scope=TENANT)],
            0.6,
        ),
        ([MarkupEntry(starts_on=AFTER, percent="10", scope=PLAN)], 0.5),
        ([MarkupEntry(starts_on=BEFORE, percent="10", scope=Scope(plan="Elite"))], 0.5),
    ],
)  # fmt: skip
def test_a_markup_is_on_what_the_operator_pays(markups: list[Entry], usd: float) -> None:
    assert ("operator", usd) == said(resolve([rate(SMS, "0.5"), *markups]), SMS)


@pytest.mark.parametrize("scope", [TENANT, PLAN])
def test_a_markup_is_not_on_a_price_that_was_agreed(scope: Scope) -> None:
    markup = MarkupEntry(starts_on=BEFORE, percent="10", scope=TENANT)
    assert 0.5 == usd_of(resolve([rate(SMS, "0.5", scope), markup]), SMS)


def test_a_markup_is_on_the_flat_map_and_the_catalogue_too(catalogue: Dated) -> None:
    markup = MarkupEntry(starts_on=BEFORE, percent="100", scope=TENANT)
    asked = {"channel": "ai", "model": "gpt-4o"}
    assert ("flat", 0.0178) == said(resolve([markup]), SMS)
    assert ("genai-prices", 5e-6) == said(resolve([catalogue, markup], **asked), TOKEN)


def test_a_message_has_no_model_whatever_its_metadata_name() -> None:
    assert ("tenant", 0.3) == said(resolve([rate(SMS, "0.3", TENANT)], model="gpt-4o"), SMS)


def test_a_failed_message_has_a_rate_of_its_own() -> None:
    laid = [rate(SMS, "0.5"), rate("sms_failed_message", "0.002")]
    failed = resolve(laid, price_class="failed")
    assert ("operator", 0.002) == said(failed, "sms_failed_message")


@pytest.mark.parametrize(
    ("laid", "asked", "expected"),
    [
        ([], {"model": "house-llm"}, ("flat", 2e-6)),
        ([], {"model": "gpt-4o"}, ("genai-prices", 2.5e-6)),
        ([], {"model": "gpt-4o-2024-08-06"}, ("genai-prices", 2.5e-6)),
        (model("gpt-4o", "0.1"), {"model": "gpt-4o"}, ("operator", 0.1)),
        # Names are taken as they were served.
        (model("gpt-4o", "0.1"), {"model": "gpt-4o-2024-08-06"}, ("genai-prices", 2.5e-6)),
        # An alias leads on where the name itself has no price in a layer.
        ([AliasEntry(starts_on=BEFORE, model="our-deployment", prices_as="gpt-4o")],
         {"model": "our-deployment"}, ("genai-prices", 2.5e-6)),
        ([AliasEntry(starts_on=BEFORE, model="our-deployment", prices_as="gpt-4o"),
          *model("our-deployment", "0.1")], {"model": "our-deployment"}, ("operator", 0.1)),
        ([AliasEntry(starts_on=BEFORE, model="our-deployment", prices_as="gpt-4o"),
          *model("gpt-4o", "0.2", TENANT)], {"model": "our-deployment"}, ("tenant", 0.2)),
        # Nor does the catalogue know better what a name stands for.
        ([AliasEntry(starts_on=BEFORE, model="gpt-4", prices_as="gpt-4o")],
         {"model": "gpt-4"}, ("genai-prices", 2.5e-6)),
        ([AliasEntry(starts_on=BEFORE, model="gpt-4", prices_as="house-llm")],
         {"model": "gpt-4"}, ("flat", 2e-6)),
        ([AliasEntry(starts_on=AFTER, model="our-deployment", prices_as="gpt-4o")],
         {"model": "our-deployment"}, ("flat", 2e-6)),
        # The nearest class goes first; a rate of no class is of any.
        ([*model("m", "0.1"), *model("m", "0.2", price_class="flex")],
         {"model": "m", "price_class": "flex"}, ("operator", 0.2)),
        ([*model("m", "0.1"), *model("m", "0.2", price_class="flex")],
         {"model": "m", "price_class": "flex.long"}, ("operator", 0.2)),
        ([*model("m", "0.2", price_class="flex"), *model("m", "0.3", price_class="flex.long")],
         {"model": "m", "price_class": "flex.long"}, ("operator", 0.3)),
        ([*model("m", "0.1"), *model("m", "0.2", price_class="flex")],
         {"model": "m"}, ("operator", 0.1)),
        (model("m", "0.2", price_class="flex"), {"model": "m"}, ("flat", 2e-6)),
        # What the catalogue has of classes; what it has not is never taken for the standard one.
        ([], {"model": "o3", "price_class": "flex"}, ("genai-prices", 1e-6)),
        ([], {"model": "o3", "price_class": "batch"}, ("genai-prices", 1e-6)),
        ([], {"model": "o3", "price_class": "priority"}, ("genai-prices", 3.5e-6)),
        ([], {"model": "o3", "price_class": "scale"}, ("flat", 2e-6)),
        ([], {"model": "whisper-1"}, ("flat", 2e-6)),
        ([], {"model": "gpt-5.6-sol", "price_class": "long"}, ("genai-prices", 8e-6)),
        # Prices of the catalogue have their dates.
        ([], {"model": "o3", "date": date(2025, 6, 9)}, ("genai-prices", 1e-5)),
        ([], {"model": "o3", "date": date(2025, 6, 10)}, ("genai-prices", 2e-6)),
    ],
)  # fmt: skip
def test_a_call_takes_the_price_of_its_model(
    catalogue: Dated, laid: list[Entry], asked: dict[str, Any], expected: tuple[str, float]
) -> None:
    assert expected == said(resolve([catalogue, *laid], channel="ai", **asked), TOKEN)


def test_a_detail_without_a_rate_costs_what_its_side_costs() -> None:
    laid = [*model("m", "0.1"), rate(CACHED, "0.01", model="m")]
    rates = resolve(laid, channel="ai", model="m")
    found = [usd_of(rates, unit) for unit in (CACHED, "ai_audio_in_token", "ai_image_out_token")]
    assert [0.01, 0.1, 0.1] == found


def test_usage_by_duration_is_rated_by_what_rates_durations_alone(catalogue: Dated) -> None:
    asked = {"channel": "ai", "price_class": "duration"}
    whisper = resolve([catalogue], model="whisper-1", **asked)
    assert ("genai-prices", 1e-7) == said(whisper, AUDIO)
    assert resolve([catalogue, *model("m", "0.1")], model="m", **asked) is None


def test_usage_that_nobody_has_a_rate_for_has_none() -> None:
    assert resolve([], channel="email", direction="inbound") is None


def test_a_catalogue_is_in_force_from_its_own_start(catalogue: Dated) -> None:
    newer = Dated(AFTER, Catalogue(document='{"models": []}'))
    asked = {"channel": "ai", "model": "gpt-4o"}
    sources = [
        said(resolve([catalogue, newer], date=day, **asked), TOKEN)[0] for day in (DAY, AFTER)
    ]
    assert ["genai-prices", "flat"] == sources


def test_the_same_rates_are_one_version_whoever_has_them() -> None:
    one = resolve([rate(SMS, "0.5", TENANT)])
    other = resolve([rate(SMS, "0.5", TENANT, starts_on=FIRST_DATE)])
    assert one is not None
    assert other is not None
    assert one.price_version == other.price_version


def test_what_can_have_rated_usage_is_found_by_the_flat_maps_that_others_were_marked_up_from() -> (
    None
):
    markup = MarkupEntry(starts_on=BEFORE, percent="10", scope=TENANT)
    kind = Kind(TenantId("acme"), "Pro", DAY, "sms", "outbound", None, "standard")
    kept = Kept({each.price_version: each for each in (FLAT.mark_up("10"), FLAT.mark_up("20"))})
    ever = Book(flat=FLAT, laid=[markup]).resolve_ever(kind, kept.flat_maps)
    assert {FLAT.price_version, FLAT.mark_up("10").price_version} == ever.keys()


def test_what_can_have_rated_a_deployment_is_what_each_entry_on_its_way_made_of_it(
    catalogue: Dated,
) -> None:
    laid: list[Entry | Dated] = [
        *model("other", "0.9"),
        AliasEntry(starts_on=BEFORE, model="our-deployment", prices_as="gpt-4o"),
        rate(SMS, "0.5"),
        catalogue,
        MarkupEntry(starts_on=BEFORE, percent="10", scope=Scope(plan="Elite")),
        *model("gpt-4o", "0.1"),
        *model("gpt-4o", "0.2", TENANT, starts_on=AFTER),
        *model("our-deployment", "0.3", PLAN),
    ]
    kind = Kind(TenantId("acme"), "Pro", DAY, "ai", "outbound", "our-deployment", "standard")
    ever = Book(flat=FLAT, laid=laid).resolve_ever(kind, ())
    found = sorted((said(rates, TOKEN)) for rates in ever.values())
    # The one side of a model, and then both.
    one_side = [("operator", 0.1), ("plan", 0.3)]
    both = [("flat", 2e-6), ("genai-prices", 2.5e-6), ("operator", 0.1), ("plan", 0.3)]
    assert sorted([*one_side, *both]) == found
