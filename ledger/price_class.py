"""Price classes: what makes one unit cost more or less than another of its kind.

A class is a slug, part of the key of a rollup row: the tier that the provider served, then `long`
for a request beyond the long-context threshold, then the unit that sets usage apart, joined by
dots: `standard`, `flex`, `batch.long`, `flex.duration`. `standard` is left out before a dot.
"""

from functools import lru_cache
from typing import NamedTuple

from ledger.errors import InvalidError
from ledger.event import STANDARD_PRICE_CLASS, parse_slug
from ledger.measures import Measures
from ledger.rollups import SP3_PRICE_VERSION
from ledger.units import load_catalogue

LONG = "long"
_APART = tuple((unit.column, unit.apart) for unit in load_catalogue().units if unit.apart)
_THRESHOLD = load_catalogue().long_context_tokens
_TIERS = {
    "auto": STANDARD_PRICE_CLASS,
    "default": STANDARD_PRICE_CLASS,
    "fast": "priority",
}
_PARTS = frozenset({LONG, *(apart for _, apart in _APART)})
_RESERVED = _PARTS | {
    SP3_PRICE_VERSION,
    *(unit.price_class for unit in load_catalogue().units if unit.price_class),
}
"""What a tier cannot be called: its usage would be taken for an opening balance, or be counted in
another unit than the one that it is billed in."""


class PriceClass(NamedTuple):
    """A price class, taken to pieces.

    Attributes:
        served: the tier as served, `batch` for a batch endpoint, else `standard`.
        is_long: whether each request had more tokens in than the long-context threshold.
        apart: what the unit is called that sets the usage apart, or None.
    """

    served: str
    is_long: bool = False
    apart: str | None = None

    @property
    def text(self) -> str:
        """The class as rollup rows have it."""
        served = () if self.served == STANDARD_PRICE_CLASS else (self.served,)
        parts = [*served, *([LONG] if self.is_long else ()), *([self.apart] if self.apart else ())]
        return ".".join(parts) or STANDARD_PRICE_CLASS


@lru_cache(maxsize=1024)
def split_price_class(text: str) -> PriceClass:
    """Take to pieces what `PriceClass.text` put together."""
    parts = text.split(".")
    apart = parts.pop() if parts[-1] in _PARTS - {LONG} else None
    is_long = bool(parts) and parts[-1] == LONG
    if is_long:
        parts.pop()
    return PriceClass(".".join(parts) or STANDARD_PRICE_CLASS, is_long, apart)


def classify_ai(served: str, measures: Measures) -> str:
    """Return the price class of one AI usage.

    Raises:
        InvalidError: `reserved_price_class` or `invalid_slug`.
    """
    apart = next((name for column, name in _APART if getattr(measures, column)), None)
    # All tokens together are more than those in: nearly always that is enough to know.
    is_long = measures.quantity > _THRESHOLD and tokens_in(measures) > _THRESHOLD
    if served == STANDARD_PRICE_CLASS and apart is None and not is_long:
        return served  # nearly always
    return parse_slug(
        PriceClass(check_tier(served), is_long, apart).text, key="metadata.service_tier"
    )


def parse_price_class(text: object, *, key: str) -> str:
    """Check that usage can be of a price class, as it is written in a price file.

    Raises:
        InvalidError: `invalid_slug`, or `unknown_price_class` where no usage is ever of it.
    """
    name = parse_slug(text, key=key)
    pieces = split_price_class(name)
    served = name_tier(pieces.served)
    is_tier = not _RESERVED.intersection(served.split("."))
    right = pieces._replace(served=served).text if is_tier else None
    if right != name:
        instead = "" if right is None else f"; write {right}"
        raise InvalidError(
            "unknown_price_class", f"no usage is of this class{instead}", key=key, value=name
        )
    return name


def name_tier(served: str) -> str:
    """Return what we call a tier that the provider calls so, or that was asked for by this name."""
    return _TIERS.get(served, served)


def check_tier(served: str) -> str:
    """Check that a tier as served has the name of nothing else.

    Raises:
        InvalidError: `reserved_price_class`.
    """
    if _RESERVED.intersection(served.split(".")):
        raise InvalidError(
            "reserved_price_class",
            f"a service tier cannot be called {', '.join(sorted(_RESERVED))}",
            key="metadata.service_tier",
            value=served,
        )
    return served


def tokens_in(measures: Measures) -> int:
    """Return all tokens that went in, cached or not."""
    return (
        measures.input_tokens
        + measures.cached_input_tokens
        + measures.cache_write_tokens
        + measures.audio_in_tokens
        + measures.image_in_tokens
    )
