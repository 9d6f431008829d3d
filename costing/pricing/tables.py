"""Reads the tables of a price file: one entry each, everything checked by name."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from costing.pricing.card import Amount
from costing.pricing.entries import (
    ALL,
    AliasEntry,
    Entry,
    MarkupEntry,
    RateEntry,
    Scope,
    parse_percent,
)
from ledger.errors import InvalidError
from ledger.event import DIRECTIONS
from ledger.money import parse_rate
from ledger.period import FIRST_DATE, LAST_DATE
from ledger.price_class import parse_price_class
from ledger.tenant import parse_label, parse_tenant_id
from ledger.units import Unit, load_catalogue

CURRENCY = "USD"
MAX_PER = 1_000_000_000


def read_table(kind: str, said: Mapping[str, Any]) -> Entry:
    """Read one entry of a price file.

    Args:
        kind: `rate`, `markup` or `alias`.
        said: the keys of its table.

    Raises:
        InvalidError: with the first key at fault.
    """
    return _READERS[kind](said)


def _read_rate(said: Mapping[str, Any]) -> RateEntry:
    known = {"unit", "amount", "per", "withdrawn", "currency", "starts_on", "tenant", "plan"}
    _only(said, known | {"model", "price_class", "direction"})
    unit = _unit(said.get("unit"))
    return RateEntry(
        starts_on=_start(said.get("starts_on")),
        unit=unit.name,
        amount=_amount(said),
        scope=_scope(said),
        model=_model(said, unit),
        price_class=_price_class(said.get("price_class"), unit),
        direction=_direction(said.get("direction"), unit),
    )


def _read_markup(said: Mapping[str, Any]) -> MarkupEntry:
    _only(said, {"percent", "starts_on", "tenant", "plan"})
    scope = _scope(said)
    if scope == ALL:
        raise InvalidError("invalid_price", "say whose: tenant or plan", key="tenant")
    return MarkupEntry(
        starts_on=_start(said.get("starts_on")),
        percent=parse_percent(said.get("percent")),
        scope=scope,
    )


def _read_alias(said: Mapping[str, Any]) -> AliasEntry:
    _only(said, {"model", "prices_as", "starts_on"})
    model, prices_as = (parse_label(said.get(key), key=key) for key in ("model", "prices_as"))
    if model == prices_as:
        raise InvalidError("invalid_price", "an alias leads to another model", key="prices_as")
    return AliasEntry(starts_on=_start(said.get("starts_on")), model=model, prices_as=prices_as)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Entry]] = {
    "rate": _read_rate,
    "markup": _read_markup,
    "alias": _read_alias,
}


def _only(said: Mapping[str, Any], known: set[str]) -> None:
    for key in said:
        if key not in known:
            there = ", ".join(sorted(known))
            raise InvalidError("invalid_price", f"no such key; there are {there}", key=key)


def _unit(name: object) -> Unit:
    unit = load_catalogue().unit(name) if isinstance(name, str) else None
    if unit is None:
        there = ", ".join(unit.name for unit in load_catalogue().units)
        raise InvalidError("unknown_unit", f"the units are {there}", key="unit", value=name)
    return unit


def _amount(said: Mapping[str, Any]) -> Amount | None:
    withdrawn = said.get("withdrawn", False)
    if not isinstance(withdrawn, bool):
        raise InvalidError("invalid_price", "true or false", key="withdrawn", value=withdrawn)
    if withdrawn:
        if "amount" in said or "per" in said:
            raise InvalidError("invalid_price", "what is withdrawn has no amount", key="amount")
        return None
    if said.get("currency") != CURRENCY:
        raise InvalidError(
            "unknown_currency",
            f'give currency = "{CURRENCY}"; amounts are never converted',
            key="currency",
            value=said.get("currency"),
        )
    per = said.get("per", 1)
    if type(per) is not int or not 1 <= per <= MAX_PER:
        raise InvalidError(
            "invalid_price", f"a whole number from 1 to {MAX_PER}", key="per", value=per
        )
    amount = said.get("amount")
    parse_rate(amount, key="amount")
    return Amount(str(amount), per)


def _start(value: object) -> date:
    if value is None:
        raise InvalidError(
            "undated_price", "say from which date on, like 2026-12-01", key="starts_on"
        )
    if type(value) is not date or not FIRST_DATE <= value <= LAST_DATE:
        raise InvalidError(
            "invalid_date",
            "a date without quotes, like 2026-12-01",
            key="starts_on",
            value=value.isoformat() if isinstance(value, datetime) else value,
        )
    return value


def _scope(said: Mapping[str, Any]) -> Scope:
    tenant, plan = said.get("tenant"), said.get("plan")
    if tenant is not None and plan is not None:
        raise InvalidError("invalid_price", "tenant or plan, not both", key="plan", value=plan)
    return Scope(
        None if tenant is None else parse_tenant_id(tenant),
        None if plan is None else parse_label(plan, key="plan"),
    )


def _model(said: Mapping[str, Any], unit: Unit) -> str | None:
    model = said.get("model")
    if unit.channel == "ai":
        return parse_label(model, key="model")
    if model is not None:
        raise InvalidError("invalid_price", f"{unit.channel} has no models", key="model")
    return None


def _price_class(value: object, unit: Unit) -> str | None:
    if value is None:
        return None
    if unit.price_class is not None:
        raise InvalidError(
            "invalid_price",
            f"{unit.name} is of the class {unit.price_class} as it is",
            key="price_class",
            value=value,
        )
    return parse_price_class(value, key="price_class")


def _direction(value: object, unit: Unit) -> str | None:
    if value is None:
        return None
    if unit.channel == "ai":
        raise InvalidError("invalid_price", "AI usage is outbound alone", key="direction")
    if value not in DIRECTIONS:
        raise InvalidError(
            "invalid_price", f"one of {', '.join(DIRECTIONS)}", key="direction", value=value
        )
    return str(value)
