"""The price catalogue: published prices by model, tier and date, as `genai-prices` has them.

What the ledger uses is a snapshot, taken by command and kept for ever: neither a newer package nor
the network changes a price. A snapshot has the prices in our own units; where the package would
price a tier that it does not know like the standard one, the snapshot has nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import orjson

from costing.pricing.card import Amount, digest
from costing.pricing.matching import matches, part_dates
from ledger.errors import MissingError
from ledger.price_class import PriceClass, split_price_class

CATALOGUE_SOURCE = "genai-prices"

_MOST_NAMES = 10_000
"""Names that are remembered: there may be any number, as those who send usage choose them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """What a snapshot has for a model, a class and a date."""

    model: str
    starts_on: date
    amounts: Mapping[str, Amount]


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """One snapshot.

    Attributes:
        document: canonical JSON: models in the order in which they are tried, each with what its
            names look like and its prices, newest last.
    """

    document: str

    @cached_property
    def version(self) -> str:
        """Source and digest."""
        return f"{CATALOGUE_SOURCE}@{digest(self.document)}"

    @cached_property
    def models(self) -> list[Mapping[str, Any]]:
        """Return the decoded models."""
        models: list[Mapping[str, Any]] = orjson.loads(self.document)["models"]
        return models

    def find(self, model: str, price_class: str, day: date) -> Listed | None:
        """Return the prices of a model as it was served, in force on `day`."""
        known = self._named(model)
        if known is None:
            return None
        pieces = split_price_class(price_class)
        wanted = PriceClass(pieces.served, pieces.is_long).text
        found = None
        for price in known["prices"]:
            if price["price_class"] == wanted and date.fromisoformat(price["starts_on"]) <= day:
                found = price
        if found is None or found["units"] is None:
            return None
        return Listed(
            model=known["id"],
            starts_on=date.fromisoformat(found["starts_on"]),
            amounts={unit: Amount(*amount) for unit, amount in found["units"].items()},
        )

    def _named(self, model: str) -> Mapping[str, Any] | None:
        if model not in self._found:
            if len(self._found) >= _MOST_NAMES:
                self._found.clear()
            name = model.lower()
            self._found[model] = self._match(name) or self._match(part_dates(name))
        return self._found[model]

    def _match(self, name: str) -> Mapping[str, Any] | None:
        return next((known for known in self.models if matches(known["match"], name)), None)

    @cached_property
    def _found(self) -> dict[str, Mapping[str, Any] | None]:
        return {}


def restore_catalogue(document: str) -> Catalogue:
    """Build a snapshot again.

    Raises:
        MissingError: `edited_price_entry`, where it is none.
    """
    catalogue = Catalogue(document=document)
    try:
        is_sound = all({"id", "match", "prices"} <= known.keys() for known in catalogue.models)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MissingError(
            "edited_price_entry", f"a price catalogue in the ledger was edited: {error!r}"
        ) from error
    if not is_sound:
        raise MissingError("edited_price_entry", "a price catalogue in the ledger was edited")
    return catalogue
