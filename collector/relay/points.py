"""Points in InfluxDB's line protocol. Pure functions of values.

Whatever is sent twice is the same point: its time and its tags follow from what is booked and never
change. Every point has every field of its measurement, since one that is left out would keep the
value that was there before. Tags are in the order of their names, as InfluxDB likes them.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from collector.influx.target import Target
from ledger.measures import MEASURE_COLUMNS
from ledger.money import NANOS_PER_USD
from ledger.rollups import RollupRow
from ledger.tenant import Tenant, TenantId

USAGE = "usage"
USAGE_COST = "usage_cost"
TENANT_DAY = "usage_tenant_day"
MEASUREMENTS = (USAGE, USAGE_COST, TENANT_DAY)

EVENT_COLUMNS = (
    "event_id", "id", "channel", "direction", "source", "feature", "model", "price_class",
    "count", *MEASURE_COLUMNS, "stamp",
)  # fmt: skip
"""What a point of `usage` is made of, in this order. `stamp` is its time in nanoseconds: the second
of the event, and in it the booking number, so that no two events have the same."""

NANOS_A_SECOND = 1_000_000_000
_MEASURES = ",".join(f"{name}=%di" for name in MEASURE_COLUMNS)
_COUNTS = f"count=%di,{_MEASURES}"
_COST_FIELDS = f"{_COUNTS},cost=%r,cost_nanos=%di,unpriced=%di %d"
_KEY_START, _KEY_END = 2, 8
_TAG_ESCAPES = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})
_FIELD_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})


class Point(NamedTuple):
    """A line, and how to name the point in it: within its tenant and measurement.

    `stamp` is its time in nanoseconds since 1970.
    """

    measurement: str
    point_id: str | int
    stamp: int
    line: str


def bucket_of(measurement: str, target: Target) -> str:
    """Return the bucket of a measurement."""
    return target.usage_bucket if measurement == USAGE else target.bucket


class DaySums(NamedTuple):
    """What all usage of a tenant on a date came to; costs in nano-dollars, of what is priced.

    `unpriced` counts the rows without a price, `ai_unpriced` and `twilio_unpriced` those of them
    that are AI's and Twilio's: where there are any, the share is not known.
    """

    cost: int
    ai_cost: int
    twilio_cost: int
    emails: int
    unpriced: int
    ai_unpriced: int
    twilio_unpriced: int


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
        key = event[_KEY_START:_KEY_END]
        head = heads.get(key)
        if head is None:
            tags = _head(USAGE, tenant_id, *key).replace("%", "%%")
            head = heads[key] = f"{tags} {_COUNTS} %d"
        yield Point(USAGE, event[1], event[-1], head % event[_KEY_END:])


def cost_point(tenant_id: TenantId, plan: str, row: RollupRow) -> Point:
    """Return the point of a rollup row, at the start of its day."""
    key, cost = row.key, row.estimated_cost
    head = _head(
        USAGE_COST, tenant_id, key.channel, key.direction, key.source, key.feature, key.model,
        key.price_class, plan,
    )  # fmt: skip
    stamp = to_stamp(row.day_start_utc)
    costs = (_to_usd(cost or 0), cost or 0, cost is None)
    fields = _COST_FIELDS % (row.tally.events, *row.tally.measures, *costs, stamp)
    return Point(USAGE_COST, f"{key.date} {key.rollup_id.hex}", stamp, f"{head} {fields}")


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
    counts = (
        f"emails={sums.emails}i,unpriced={sums.unpriced}i,ai_unpriced={sums.ai_unpriced}i,"
        f"twilio_unpriced={sums.twilio_unpriced}i"
    )
    stamp = to_stamp(start)
    return Point(TENANT_DAY, str(date), stamp, f"{tags} name={name},{costs},{counts} {stamp}")


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


def to_stamp(instant: datetime) -> int:
    """Return the whole second of an instant, in nanoseconds since 1970."""
    return int(instant.timestamp()) * NANOS_A_SECOND


def _to_usd(nanos: int) -> float:
    # Shown by charts, never summed for a bill: that is what `cost_nanos` is for.
    return nanos / NANOS_PER_USD
