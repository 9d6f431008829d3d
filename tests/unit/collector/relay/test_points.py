from datetime import UTC, date, datetime
from typing import Any

import pytest

from collector.relay.points import (
    EVENT_COLUMNS,
    DaySums,
    cost_point,
    day_point,
    escape_field,
    escape_tag,
    usage_points,
)
from ledger.measures import Measures
from ledger.money import Nanos
from ledger.rollups import RollupKey, RollupRow, State, Tally
from ledger.tenant import BEGINNING, Tenant, TenantId, TenantPeriod

ACME = TenantId("acme")
START = datetime(2026, 3, 9, tzinfo=UTC)
TENANT = Tenant(
    tenant_id=ACME,
    name='The "A" Team\\',
    periods=(TenantPeriod(valid_from=BEGINNING, plan="Pro", timezone="UTC"),),
)


def event(**changes: Any) -> tuple[Any, ...]:
    values = {
        "event_id": "SM1", "id": 7, "channel": "sms", "direction": "outbound", "source": "twilio",
        "feature": "broadcast", "model": None, "price_class": "standard", "count": 1,
        "quantity": 2, "stamp": 1_773_057_600_000_000_007, **changes,
    }  # fmt: skip
    return tuple(values.get(name, 0) for name in EVENT_COLUMNS)


def row(cost: int | None, **changes: Any) -> RollupRow:
    key = RollupKey(
        date=date(2026, 3, 9), channel="ai", direction="outbound", source="openai",
        feature="ai_sms", model="gpt 4o, mini=yes", price_class="standard",
    )._replace(**changes)  # fmt: skip
    return RollupRow(
        key=key,
        tally=Tally(3, Measures(30, 20, output_tokens=10), 0, 0),
        day_start_utc=START,
        estimated_cost=None if cost is None else Nanos(cost),
        price_version="flat@1",
        price_source=None,
        state=State.ESTIMATED,
        settled_count=0,
        revision=4,
    )


def test_an_event_is_one_line_with_every_field_and_its_tags_in_order() -> None:
    (point,) = usage_points(ACME, [event()])
    expected = (
        "usage,channel=sms,direction=outbound,feature=broadcast,price_class=standard,source=twilio,"
        "tenant=acme count=1i,quantity=2i,input_tokens=0i,cached_input_tokens=0i,"
        "cache_write_tokens=0i,"
        "output_tokens=0i,audio_in_tokens=0i,audio_out_tokens=0i,image_in_tokens=0i,"
        "image_out_tokens=0i,audio_ms=0i 1773057600000000007"
    )
    assert expected == point.line


def test_a_row_is_one_line_with_its_cost_twice() -> None:
    expected = (
        "usage_cost,channel=ai,direction=outbound,feature=ai_sms,model=gpt\\ 4o\\,\\ mini\\=yes,"
        "plan=Pro\\ Plus,price_class=standard,source=openai,tenant=acme count=3i,quantity=30i,"
        "input_tokens=20i,cached_input_tokens=0i,cache_write_tokens=0i,output_tokens=10i,"
        "audio_in_tokens=0i,audio_out_tokens=0i,image_in_tokens=0i,image_out_tokens=0i,audio_ms=0i,"
        "cost=0.0000125,cost_nanos=12500i,unpriced=0i 1773014400000000000"
    ).replace("0.0000125", "1.25e-05")
    assert expected == cost_point(ACME, "Pro Plus", row(12_500)).line


@pytest.mark.parametrize(
    ("cost", "fields"),
    [
        (None, "cost=0.0,cost_nanos=0i,unpriced=1i"),
        (0, "cost=0.0,cost_nanos=0i,unpriced=0i"),
        (-5_000_000_000, "cost=-5.0,cost_nanos=-5000000000i,unpriced=0i"),
        (69_255_730_000, "cost=69.25573,cost_nanos=69255730000i,unpriced=0i"),
        (2**63 - 1, "cost=9223372036.854776,cost_nanos=9223372036854775807i,unpriced=0i"),
    ],
)
def test_a_cost_is_exact_as_a_number_of_nanos(cost: int | None, fields: str) -> None:
    line = cost_point(ACME, "Pro", row(cost)).line
    assert fields == line.split(" ")[-2].partition("audio_ms=0i,")[2]


def test_a_percent_sign_in_a_tag_is_one() -> None:
    (point,) = usage_points(ACME, [event(model="50% off %d")])
    cost = cost_point(ACME, "100%", row(1, model="%s")).line
    expected = (True, True)
    found = ("model=50%\\ off\\ %d," in point.line, "model=%s,plan=100%," in cost)
    assert expected == found


def test_a_tenants_day_is_one_line() -> None:
    costs = {"cost": 1_500_000_000, "ai_cost": 1_000_000_000, "twilio_cost": 0}
    sums = DaySums(**costs, emails=4, unpriced=2, ai_unpriced=1, twilio_unpriced=0)
    expected = (
        'usage_tenant_day,plan=Pro,tenant=acme name="The \\"A\\" Team\\\\",cost=1.5,ai_cost=1.0,'
        "twilio_cost=0.0,emails=4i,unpriced=2i,ai_unpriced=1i,twilio_unpriced=0i"
        " 1773014400000000000"
    )
    assert expected == day_point(TENANT, "Pro", date(2026, 3, 9), START, sums).line


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("plain", "plain"),
        ("a b,c=d", "a\\ b\\,c\\=d"),
        ("back\\slash", "back\\slash"),
        ("ends\\", "ends\\\\ "),
        ('"quoted"', '"quoted"'),
        ("Ünïcode 模型", "Ünïcode\\ 模型"),
    ],
)
def test_tags_are_escaped_as_the_protocol_wants(value: str, escaped: str) -> None:
    assert escaped == escape_tag(value)


def test_text_fields_are_escaped_as_the_protocol_wants() -> None:
    assert '"a \\"b\\" \\\\ c"' == escape_field('a "b" \\ c')
