"""Points of two tenants as the relay writes them, so that what is whose can be told by its values.

All that is written of the other tenant is large or has its mark: a sum with one of its points in it
is no sum of acme's.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product

from ledger.measures import MEASURE_COLUMNS

FIRST_DAY = datetime(2026, 2, 1, tzinfo=UTC)
DAYS = 30
NANOS_A_DAY = 86_400_000_000_000
MARK = "zq9"
"""Part of every text that is the other tenant's."""

ACME, OTHER = "acme", "karachi"


def lines_of(tenant: str) -> Iterator[str]:
    """Yield every point of a tenant: a month of three channels by two features."""
    is_other = tenant == OTHER
    mark, factor = (MARK, 1_000_003) if is_other else ("", 1)
    start = int(FIRST_DAY.timestamp()) * 1_000_000_000
    kinds = product(range(DAYS), ("sms", "email", "ai"), ("broadcast", "support"))
    for number, (day, channel, feature) in enumerate(kinds):
        stamp = start + day * NANOS_A_DAY
        tags = f"channel={channel}{mark},direction=outbound,feature={feature}{mark}"
        if channel == "ai":
            tags += f",model=house-llm{mark}"
        value = (number % 7 + 1) * factor
        counts = ",".join(f"{name}={value}i" for name in ("count", *MEASURE_COLUMNS))
        rest = f"price_class=standard,source=s{mark},tenant={tenant}"
        yield f"usage,{tags},{rest} {counts} {stamp + number + (500 if is_other else 0)}"
        yield (
            f"usage_cost,{tags},plan=Pro{mark},{rest} {counts},cost={value / 4},"
            f"cost_nanos={value}i,unpriced=0i {stamp}"
        )
    for day in range(DAYS):
        value = (day + 1) * factor
        yield (
            f'usage_tenant_day,plan=Pro{mark},tenant={tenant} name="{tenant}{mark}",cost={value},'
            f"ai_cost={value / 2},twilio_cost={value / 4},emails={value}i,unpriced=0i"
            ",ai_unpriced=0i,twilio_unpriced=0i"
            f" {start + day * NANOS_A_DAY}"
        )
