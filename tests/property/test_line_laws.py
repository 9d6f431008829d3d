"""Laws of points: what is written into InfluxDB is read back as it was, whatever the labels."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.influx.query import quote_text
from collector.relay.points import EVENT_COLUMNS, escape_field, escape_tag, usage_points
from ledger.errors import InvalidError
from ledger.tenant import TenantId, parse_label
from tests.servers.influx import Influx, require_influx

ACME = TenantId("acme")
# What the protocol, InfluxQL and our own formatting give a meaning to comes often.
SPECIAL = st.sampled_from(list("\\\\\\ ,=\"'%#\u00e9模"))


def is_label(text: str) -> bool:
    try:
        parse_label(text, key="model")
    except InvalidError:
        return False
    return True


labels = st.text(st.one_of(SPECIAL, st.characters(codec="utf-8")), min_size=1, max_size=20).filter(
    is_label
)


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    require_influx()
    with closing(Influx(tmp_path_factory.mktemp("laws") / "influx")) as influx:
        influx.query('CREATE DATABASE "meterline"')
        yield influx


def event(model: str, stamp: int) -> tuple[Any, ...]:
    values = {
        "event_id": "e", "id": stamp, "channel": "ai", "direction": "outbound", "source": "openai",
        "feature": "x", "model": model, "price_class": "standard", "stamp": stamp,
    }  # fmt: skip
    return tuple(values.get(name, 0) for name in EVENT_COLUMNS)


def stored(model: str) -> str:
    """Return how a label is read back: one that ends with a backslash has a blank after it."""
    return f"{model} " if model.endswith("\\") else model


@given(models=st.lists(labels, min_size=1, max_size=30, unique=True))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_labels_are_read_back_as_they_were_and_stay_apart(
    influx: Influx, models: list[str]
) -> None:
    influx.query('DROP MEASUREMENT "usage"')
    lines = [p.line for p in usage_points(ACME, [event(m, n) for n, m in enumerate(models, 1)])]
    influx.write(*lines)
    found = influx.query('SELECT count("quantity") FROM "usage" GROUP BY "model"')
    assert {stored(model): 1 for model in models} == {
        one["tags"]["model"]: one["values"][0][1] for one in found
    }


@given(model=labels)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_label_in_a_query_finds_its_points_and_no_others(influx: Influx, model: str) -> None:
    influx.query('DROP MEASUREMENT "usage"')
    influx.write(*(p.line for p in usage_points(ACME, [event(model, 1), event("other one", 2)])))
    value = influx.value(
        f'SELECT count("quantity") FROM "usage" WHERE "model" = {quote_text(stored(model))}'
    )
    assert 1 == value


@given(name=labels)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_name_is_read_back_as_it_was(influx: Influx, name: str) -> None:
    influx.query('DROP MEASUREMENT "usage_tenant_day"')
    influx.write(f"usage_tenant_day,plan=x name={escape_field(name)} 1")
    assert name == influx.value('SELECT "name" FROM "usage_tenant_day"')


@given(one=labels, other=labels)
def test_two_labels_that_differ_are_written_differently(one: str, other: str) -> None:
    assert (one == other) == (escape_tag(one) == escape_tag(other))
