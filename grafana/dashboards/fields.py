"""How values are shown: units, and what is another way for one field of a panel."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

COUNT, SHARE, SECONDS, _TEXT = "short", "percentunit", "s", "string"

USD_SHORT = "currencyUSD"
"""Money at an axis: 1,234.56 is `$1.23K`."""

USD = "prefix:$"
"""Money to the cent: 1,234.56 is `$1234.56`. Grafana's own unit of full amounts is too new."""

_CENTS: Json = {
    "decimals": 2,
    "mappings": [
        {
            "type": "range",
            "options": {
                "from": 0.000000001,
                "to": 0.004999999,
                "result": {"text": "under $0.01", "index": 0},
            },
        }
    ],
}
"""What is less than half a cent is not shown as nothing."""

_WARNING = {"mode": "fixed", "fixedColor": "dark-orange"}


def as_unit(unit: str) -> Json:
    """Return the field options of a unit."""
    return {"unit": unit, **(_CENTS if unit == USD else {})}


def by_name(name: str, properties: Mapping[str, Any]) -> Json:
    """Return what is another way for the field or series of a name; properties by their id."""
    return _override("byName", name, properties)


def count_of_unpriced(name: str) -> Json:
    """Return how a number of usages without a price is shown beside money: as what it is."""
    return by_name(name, {"unit": "suffix:unpriced", "decimals": 0, "color": _WARNING})


def marks_of_unpriced(name: str) -> Json:
    """Return how a series of such numbers is shown above bars of money: as points of its own."""
    return by_name(
        name,
        {
            "unit": COUNT,
            "color": _WARNING,
            "custom.drawStyle": "points",
            "custom.pointSize": 8,
            "custom.showPoints": "always",
            "custom.stacking": {"mode": "none", "group": "A"},
            "custom.axisPlacement": "right",
        },
    )


def column(name: str, title: str, **properties: Any) -> Json:
    """Return how a column of a table is headed and shown."""
    return by_name(name, {"displayName": title, **properties})


def money_column(name: str, title: str, **properties: Any) -> Json:
    """Return the same of a column of money."""
    return column(name, title, **as_unit(USD), **properties)


def text_column(name: str, title: str, **properties: Any) -> Json:
    """Return the same of a column of texts, of which `1000` is one, and not a thousand."""
    return column(name, title, unit=_TEXT, **properties)


def text_field(name: str) -> Json:
    """Return the same of a text among large values."""
    return by_name(name, {"unit": _TEXT})


def text_mapping(texts: Mapping[str, str]) -> Json:
    """Return what is shown in the place of values."""
    options = {value: {"text": text, "index": n} for n, (value, text) in enumerate(texts.items())}
    return {"type": "value", "options": options}


def empty_mapping(text: str) -> Json:
    """Return what is shown in the place of an empty text: a tag that a point does not have."""
    return {"type": "special", "options": {"match": "empty", "result": {"text": text, "index": 0}}}


def hide_time() -> Json:
    """Return that the time of a row is not shown."""
    return _override("byType", "time", {"custom.hidden": True})


def _override(matcher: str, options: str, properties: Mapping[str, Any]) -> Json:
    return {
        "matcher": {"id": matcher, "options": options},
        "properties": [{"id": name, "value": value} for name, value in properties.items()],
    }
