"""The InfluxQL of the boards: texts in which Grafana puts the range for `$timeFilter`.

None names a tenant: the gateway adds it to every SELECT. None groups by two tags where it is read
as a table, since Grafana's backend may mix up the columns of such tags. What has no price is left
out of every sum of money (its `cost` is 0) and counted by a query of its own.
"""

from collections.abc import Iterable
from typing import Final

from collector.influx.query import quote_name, quote_text
from collector.relay.points import TENANT_DAY, USAGE_COST
from ledger.units import load_catalogue

UNPRICED: Final = "unpriced"
"""The name of the number of usages without a price, in all panels."""

DAY: Final = "time(1d)"
"""Groups by day; `daily` says of which zone."""

IS_AI: Final = "\"channel\" = 'ai'"

_TIME: Final = "$timeFilter"
_SHIFTED_DAY: Final = "time(1d, 11h)"
"""The days of `EVERY_ZONE`: as an offset, which holds in subqueries, too."""

_TENANT: Final = '"tenant"'
_SHARES: Final = ("ai", "twilio")
_NUMBERS: Final = ("emails", "unpriced", "ai_unpriced", "twilio_unpriced")


def cost(*, where: str = "", group: str = "") -> str:
    """Return the query of the cost of what is priced; no row where nothing is."""
    return _select(['sum("cost") AS "cost"'], USAGE_COST, '"unpriced" = 0', where, group=group)


def unpriced(*, where: str = "", group: str = "") -> str:
    """Return the query of the number of usages without a price; no row where there are none."""
    usages = f'sum("count") AS "{UNPRICED}"'
    return _select([usages], USAGE_COST, '"unpriced" = 1', where, group=group)


def count(*, group: str) -> str:
    """Return the query of the number of usages, priced or not."""
    return _select(['sum("count") AS "count"'], USAGE_COST, group=group)


def top(tag: str) -> str:
    """Return the query of the value of a tag that most was spent on, and how much."""
    name = quote_name(tag)
    costs = cost(where=f"{name} != ''", group=name)
    return f'SELECT {name}, max("cost") AS "cost" FROM ({costs}) WHERE "cost" > 0'


def tokens_by_model() -> str:
    """Return the query of AI usages and their tokens, `input` and `output`, by model."""
    sides: dict[str, list[str]] = {}
    for unit in load_catalogue().units:
        if unit.side is not None:
            sides.setdefault(unit.side, []).append(f"sum({quote_name(unit.column)})")
    sums = (f"{' + '.join(columns)} AS {quote_name(side)}" for side, columns in sides.items())
    return _select(['sum("count") AS "count"', *sums], USAGE_COST, IS_AI, group='"model"')


def daily(query: str, *, timezone: str) -> str:
    """Return a query that groups by `DAY` for a zone's days; those without a row are left out."""
    return f"{query} fill(none) tz({quote_text(timezone)})"


def tenants_on_plan() -> str:
    """Return the query of each tenant's last name and plan, of those on the plans asked for."""
    last = _select(['last("name") AS "name"', '"plan"'], TENANT_DAY, group=_TENANT)
    return f'SELECT "name", "plan" FROM ({last}) WHERE "plan" =~ /^$plan$/ GROUP BY {_TENANT}'


def tenants_over_threshold() -> str:
    """Return the query of e-mails and rows without a price, of tenants whose AI share is high.

    One that is not known counts as high.
    """
    high = '"ai_share" > $ai_threshold OR "ai_unpriced" > 0'
    return f'SELECT "emails", "unpriced" FROM ({_tenant_sums()}) WHERE {high} GROUP BY {_TENANT}'


def share_by_tenant(name: str) -> str:
    """Return the query of a share of each tenant's cost, `ai` or `twilio`, where it is known."""
    known = f'"{name}_unpriced" = 0'
    return f'SELECT "{name}_share" FROM ({_tenant_sums()}) WHERE {known} GROUP BY {_TENANT}'


def top_tenants(number: int) -> str:
    """Return the query of the tenants that cost most on each day; rows have cost and tenant."""
    days = _select(['sum("cost") AS "cost"'], TENANT_DAY, group=f"{_SHIFTED_DAY}, {_TENANT}")
    return (
        f'SELECT top("cost", {_TENANT}, {number}) AS "cost" FROM ({days} fill(none))'
        f' WHERE {_TIME} AND "cost" > 0 GROUP BY {_SHIFTED_DAY}'
    )


def plans() -> str:
    """Return the query of the plans that tenants were on."""
    return f'SHOW TAG VALUES FROM {quote_name(TENANT_DAY)} WITH KEY = "plan"'


def _tenant_sums() -> str:
    shares = (f'sum("{name}_cost") / sum("cost") AS "{name}_share"' for name in _SHARES)
    numbers = (f'sum("{name}") AS "{name}"' for name in _NUMBERS)
    return _select([*shares, *numbers], TENANT_DAY, group=_TENANT)


def _select(columns: Iterable[str], measurement: str, *conditions: str, group: str = "") -> str:
    where = " AND ".join(filter(None, (_TIME, *conditions)))
    by = f" GROUP BY {group}" if group else ""
    return f"SELECT {', '.join(columns)} FROM {quote_name(measurement)} WHERE {where}{by}"
