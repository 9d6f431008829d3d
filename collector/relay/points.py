"""Points in InfluxDB's line protocol. Pure functions of values.

Whatever is sent twice is the same point: its time and its tags follow from what is booked and never
change. Every point has every field of its measurement, since one that is left out would keep the
value that was there before. Tags are in the order of their names, as InfluxDB likes them.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from ledger.measures import MEASURE_COLUMNS
from ledger.money import NANOS_PER_USD
from ledger.rollups import RollupRow
from ledger.tenant import Tenant, TenantId

USAGE = "usage"
USAGE_COST = "usage_cost"
TENANT_DAY = "usage_tenant_day"
MEASUREMENTS = (USAGE, USAGE_COST, TENANT_DAY)

EVENT_COLUMNS = (
    "event_id", "id", "time", "channel", "direction", "source", "feature", "model", "price_class",
    *MEASURE_COLUMNS,
)  # fmt: skip
"""What a point of `usage` is made of, in this order."""

_NANOS_A_SECOND = 1_000_000_000
_MEASURES = ",".join(f"{name}=%di" for name in MEASURE_COLUMNS)
_COST_FIELDS = f"count=%di,{_MEASURES},cost=%r,cost_nanos=%di,unpriced=%di %d"
_KEY_START, _KEY_END = 3, 9
_TAG_ESCAPES = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})
_FIELD_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})


class Point(NamedTuple):
    """A line, and how to name the point in it: within its tenant and measurement."""

    measurement: str
    point_id: str
    time: datetime
    line: str


class DaySums(NamedTuple):
    """What all usage of a tenant on a date came to; costs in nano-dollars, of what is priced."""

    cost: int
    ai_cost: int
    twilio_cost: int
    emails: int
    unpriced: int


def escape_tag(text: str) -> str:
    """Return a tag's value as line protocol writes it.

    The protocol has no way to end a value with a backslash: it would escape what follows. Such a
    value gets a blank at its end. No label has one there, so it stays different from all others.
    """
    escaped = text.translate(_TAG_ESCAPES)
    return escaped + "\\ " if escaped.endswith("\\") else escaped


def escape_field(text: str) -> str:
    """Return a text field's value as line protocol writes it, quotes included."""
    return f'"{text.translate(_FIELD_ESCAPES)}"'


def usage_points(tenant_id: TenantId, events: Iterable[tuple[Any, ...]]) -> Iterator[Point]:
    """Yield a point for each raw row, given as the `EVENT_COLUMNS`."""
    heads: dict[tuple[Any, ...], str] = {}
    for event in events:
        _event_id, number, time, *_ = event
        key = event[_KEY_START:_KEY_END]
        head = heads.get(key)
        if head is None:
            tags = _head(USAGE, tenant_id, *key).replace("%", "%%")
            head = heads[key] = f"{tags} {_MEASURES} %d"
        stamp = int(time.timestamp()) * _NANOS_A_SECOND + number % _NANOS_A_SECOND
        line = head % (*event[_KEY_END:], stamp)
        yield Point(USAGE, str(number), time, line)


def cost_point(tenant_id: TenantId, plan: str, row: RollupRow) -> Point:
    """Return the point of a rollup row, at the start of its day."""
    key, cost = row.key, row.estimated_cost
    head = _head(
        USAGE_COST, tenant_id, key.channel, key.direction, key.source, key.feature, key.model,
        key.price_class, plan,
    )  # fmt: skip
    values = (
        row.tally.events,
        *row.tally.measures,
        _to_usd(cost or 0),
        cost or 0,
        cost is None,
        _stamp(row.day_start_utc),
    )
    point_id = f"{key.date} {key.rollup_id.hex}"
    return Point(USAGE_COST, point_id, row.day_start_utc, f"{head} {_COST_FIELDS % values}")


def day_point(tenant: Tenant, plan: str, date: object, start: datetime, sums: DaySums) -> Point:
    """Return the point of a tenant's date, at its start."""
    name = escape_field(tenant.name)
    costs = ",".join(
        f"{field}={_to_usd(nanos)!r}"
        for field, nanos in (
            ("cost", sums.cost),
            ("ai_cost", sums.ai_cost),
            ("twilio_cost", sums.twilio_cost),
        )
    )
    tags = f"{TENANT_DAY},plan={escape_tag(plan)},tenant={tenant.tenant_id}"
    counts = f"emails={sums.emails}i,unpriced={sums.unpriced}i"
    line = f"{tags} name={name},{costs},{counts} {_stamp(start)}"
    return Point(TENANT_DAY, str(date), start, line)


def _head(  # noqa: PLR0913, PLR0917 - the tags there are, in the order of the rollup key
    measurement: str,
    tenant_id: TenantId,
    channel: str,
    direction: str,
    source: str | None,
    feature: str | None,
    model: str | None,
    price_class: str,
    plan: str | None = None,
) -> str:
    """Return measurement and tags. What is not known is left out."""
    tags = (
        ("channel", channel),
        ("direction", direction),
        ("feature", feature),
        ("model", model),
        ("plan", plan),
        ("price_class", price_class),
        ("source", source),
        ("tenant", tenant_id),
    )
    parts = [f"{name}={escape_tag(value)}" for name, value in tags if value is not None]
    return ",".join([measurement, *parts])


def _stamp(instant: datetime) -> int:
    return int(instant.timestamp()) * _NANOS_A_SECOND


def _to_usd(nanos: int) -> float:
    # Shown by charts, never summed for a bill: that is what `cost_nanos` is for.
    return nanos / NANOS_PER_USD
