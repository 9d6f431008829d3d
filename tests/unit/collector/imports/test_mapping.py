import io
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.imports.mapping import CsvMapping, map_records
from collector.imports.records import read_records
from ledger.errors import InvalidError

ROWS = st.lists(st.sampled_from(["1,x", "2,y", '"3,",z']), max_size=8)


def mapped(text: str, mapping: CsvMapping) -> list[tuple[int, Any]]:
    return list(map_records(read_records(io.StringIO(text)), mapping))


def events(text: str, fixed: dict[str, str] | None = None, /, **columns: str) -> list[Any]:
    mapping = CsvMapping(columns=columns, fixed=fixed or {})
    return [event for _, event in mapped(text, mapping)]


def ids(text: str, **columns: str) -> list[str]:
    return [event["id"] for event in events(text, **(columns or {"time": "t"}))]


def time_of(cell: str, zone: str | None) -> object:
    timezone = None if zone is None else ZoneInfo(zone)
    mapping = CsvMapping(columns={"time": "t"}, timezone=timezone)
    return mapped(f't\n"{cell}"\n', mapping)[0][1]["time"]


def refused(text: str, **columns: str) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        events(text, **columns)
    return caught.value


def test_a_mapped_column_becomes_its_field() -> None:
    (event,) = events("When,What\n2024-01-01T00:00:00Z,sms\n", time="When", channel="What")
    assert ("2024-01-01T00:00:00Z", "sms") == (event["time"], event["channel"])


def test_a_field_that_events_do_not_have_goes_to_metadata() -> None:
    (event,) = events("n\n7\n", {"model": "house-llm"}, input_tokens="n")
    assert {"input_tokens": 7, "model": "house-llm"} == event["metadata"]


def test_a_fixed_value_is_in_every_event() -> None:
    found = events("t\n1\n2\n", {"tenant": "acme"}, time="t")
    assert ["acme", "acme"] == [event["tenant"] for event in found]


def test_an_unmapped_column_is_not_in_the_event() -> None:
    (event,) = events("t,secret\n1,hush\n", time="t")
    assert {"id", "direction", "time"} == event.keys()


def test_a_row_without_a_direction_is_outbound() -> None:
    assert "outbound" == events("t\n1\n", time="t")[0]["direction"]


def test_a_direction_of_the_row_stands() -> None:
    assert "inbound" == events("d\ninbound\n", direction="d")[0]["direction"]


def test_an_event_keeps_the_line_of_its_row() -> None:
    mapping = CsvMapping(columns={"time": "t"})
    assert [4, 5] == [line for line, _ in mapped('\nt,n\n\n1,x\n2,"y\ny"\n', mapping)]


def test_a_broken_row_is_handed_on_in_its_place() -> None:
    found = events("t,n\n1,x\n2\n3,z\n", time="t")
    assert "broken_row" == found[1].code


def test_a_field_is_mapped_or_set_and_not_both() -> None:
    with pytest.raises(InvalidError, match="time is both mapped and set"):
        CsvMapping(columns={"time": "t"}, fixed={"time": "now"})


def test_a_missing_column_is_named_with_line_field_and_header() -> None:
    expected = "line 3: --map time=When: the header has no such column; it has a, b"
    assert expected == refused("\n\na,b\n1,2\n", time="When").message


def test_a_column_that_is_there_twice_cannot_be_mapped() -> None:
    assert "ambiguous_column" == refused("a,a\n1,2\n", time="a").code


def test_a_column_that_is_there_twice_and_not_mapped_is_harmless() -> None:
    assert "1" == events("t,a,a\n1,2,3\n", time="t")[0]["time"]


def test_column_names_are_told_apart_by_case() -> None:
    assert "missing_column" == refused("Time\n1\n", time="time").code


def test_spaces_around_a_column_name_do_not_matter() -> None:
    assert "1" == events("a, When \n0,1\n", time="When")[0]["time"]


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_file_without_a_header_is_refused(text: str) -> None:
    assert "empty_file" == refused(text, time="t").code


def test_a_header_that_is_no_text_is_refused_with_its_line() -> None:
    assert (
        "line 2: not UTF-8; save the file as UTF-8" == refused("\nt\udce9\n1\n", time="t").message
    )


@pytest.mark.parametrize(
    ("cell", "value"),
    [("0", 0), ("12", 12), ("-3", -3), ("2.50", 2.5), (" 7 ", 7), ("007", 7)],
)
def test_a_count_is_read_as_a_number(cell: str, value: float) -> None:
    assert value == events(f"q\n{cell}\n", quantity="q")[0]["quantity"]


@pytest.mark.parametrize("cell", ["1e3", "NaN", "inf", "0x10", "1_000", "true", "12 tokens", "1."])
def test_what_is_no_plain_decimal_is_left_for_intake_to_refuse(cell: str) -> None:
    assert cell == events(f"q\n{cell}\n", quantity="q")[0]["quantity"]


def test_an_empty_cell_is_not_there_rather_than_zero() -> None:
    (event,) = events("t,q\n1,\n", time="t", quantity="q")
    assert "quantity" not in event


def test_a_count_of_more_digits_than_python_reads_is_still_an_event() -> None:
    digits = "9" * 5000
    assert 1 == len(events(f"q\n{digits}\n", quantity="q"))


@pytest.mark.parametrize("fieldname", ["conversation_id", "model", "template_id"])
def test_digits_of_an_identifier_stay_text(fieldname: str) -> None:
    (event,) = events("c\n0012\n", **{fieldname: "c"})
    assert {fieldname: "0012"} == event["metadata"]


def test_an_id_of_digits_stays_text() -> None:
    assert ["0042"] == ids("i\n0042\n", id="i")


@pytest.mark.parametrize(("cell", "value"), [("TRUE", True), ("false", False), ("yes", "yes")])
def test_a_flag_is_read_in_any_case(cell: str, value: object) -> None:
    assert {"batch": value} == events(f"b\n{cell}\n", batch="b")[0]["metadata"]


@pytest.mark.parametrize(
    ("cell", "zone", "time"),
    [
        ("2023-11-16 18:15:46.6805900", "UTC", "2023-11-16T18:15:46.680590+00:00"),
        ("2024-07-01 12:00", "Europe/Berlin", "2024-07-01T12:00:00+02:00"),
        ("2024-01-01 12:00", "Europe/Berlin", "2024-01-01T12:00:00+01:00"),
        ("2024-01-01", "Asia/Karachi", "2024-01-01T00:00:00+05:00"),
        ("0001-01-01", "America/New_York", "0001-01-01T00:00:00-04:56:02"),
    ],
)
def test_a_time_without_an_offset_is_local_to_the_given_zone(
    cell: str, zone: str, time: str
) -> None:
    assert time == time_of(cell, zone)


@pytest.mark.parametrize("cell", ["2024-07-01T12:00:00Z", "2024-07-01 12:00+05:30"])
def test_the_offset_of_a_row_wins_over_the_given_zone(cell: str) -> None:
    assert cell == time_of(cell, "Europe/Berlin")


@pytest.mark.parametrize("cell", ["16/11/2023 18:15", "yesterday", "2024-02-30", "1700000000"])
def test_a_time_that_cannot_be_read_is_left_for_intake_to_refuse(cell: str) -> None:
    assert cell == time_of(cell, "UTC")


def test_without_a_zone_a_time_without_an_offset_is_left_for_intake_to_refuse() -> None:
    assert "2024-01-01 12:00" == time_of("2024-01-01 12:00", None)


def test_a_row_without_an_id_gets_one_that_no_version_changes() -> None:
    assert ["csv:6a0ceae681866c8964279b1622f57eed:1"] == ids("t,n\n1,x\n", time="t", feature="n")


def test_identical_rows_get_ids_of_their_own() -> None:
    assert 3 == len(set(ids("t\n1\n1\n1\n")))


def test_rows_with_an_id_keep_it() -> None:
    assert ["SM1", "SM2"] == ids("i,t\nSM1,1\nSM2,1\n", id="i", time="t")


def test_a_row_whose_id_is_empty_gets_a_stable_one() -> None:
    assert ids("i,t\n,1\n", id="i", time="t")[0].startswith("csv:")


def test_appended_rows_do_not_change_the_ids_before_them() -> None:
    before = "t\n1\n2\n1\n"
    assert ids(before) == ids(before + "1\n2\n3\n")[:3]


def test_an_unmapped_column_takes_no_part_in_the_id() -> None:
    assert ids("t,n\n1,x\n") == ids("t,n\n1,y\n")


def test_the_order_of_columns_takes_no_part_in_the_id() -> None:
    columns = {"time": "t", "feature": "n"}
    assert ids("t,n\n1,x\n", **columns) == ids("n,t\nx,1\n", **columns)


def test_the_order_of_the_mapping_takes_no_part_in_the_id() -> None:
    assert ids("t,n\n1,x\n", feature="n", time="t") == ids("t,n\n1,x\n", time="t", feature="n")


def test_the_name_of_a_column_takes_no_part_in_the_id() -> None:
    assert ids("t\n1\n", time="t") == ids("when\n1\n", time="when")


def test_the_field_of_a_cell_takes_part_in_the_id() -> None:
    swapped = ids("a,b\n1,2\n", source="b", feature="a")
    assert ids("a,b\n1,2\n", source="a", feature="b") != swapped


def test_the_border_between_cells_takes_part_in_the_id() -> None:
    columns = {"source": "a", "feature": "b"}
    assert ids("a,b\nx,yz\n", **columns) != ids("a,b\nxy,z\n", **columns)


def test_quotes_and_spaces_around_a_cell_take_no_part_in_the_id() -> None:
    assert ids("t\n1\n") == ids('t\n" 1 "\n')


def test_a_broken_row_does_not_change_the_ids_of_others() -> None:
    columns = {"time": "t", "feature": "n"}
    healthy, broken = "t,n\n1,x\n1,x\n", "t,n\n1,x\n2\n1,x\n"
    found = [e["id"] for e in events(broken, **columns) if not isinstance(e, InvalidError)]
    assert ids(healthy, **columns) == found


@given(ROWS, st.randoms())
def test_a_file_in_another_order_has_the_same_ids(rows: list[str], random: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    columns = {"time": "t", "feature": "n"}
    first, second = ("\n".join(["t,n", *lines]) for lines in (rows, shuffled))
    assert sorted(ids(first, **columns)) == sorted(ids(second, **columns))


@given(ROWS)
def test_no_two_rows_of_a_file_share_an_id(rows: list[str]) -> None:
    found = ids("\n".join(["t,n", *rows]), time="t", feature="n")
    assert len(rows) == len(set(found))
