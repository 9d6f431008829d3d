import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.imports.records import MAX_SPAN, read_records
from ledger.errors import InvalidError

Read = list[tuple[int, list[str] | str]]

CELLS = st.text(alphabet='a", \n;é', max_size=6)
ANY_LINES = st.lists(st.text(alphabet='a",\r\udcff\0', max_size=8).map("{}\n".format), max_size=12)


def read(text: str, delimiter: str = ",") -> Read:
    """Return line and cells of every record, or line and the code of what is wrong with it."""
    lines = io.StringIO(text)
    return [
        (line, cells.code if isinstance(cells, InvalidError) else cells)
        for line, cells in read_records(lines, delimiter=delimiter)
    ]


def written(rows: Sequence[Sequence[str]]) -> io.StringIO:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    text.seek(0)
    return text


def message_of(text: str) -> str:
    *_, (_, fault) = read_records(io.StringIO(text))
    assert isinstance(fault, InvalidError)
    return fault.message


def test_every_record_carries_the_line_on_which_it_stands() -> None:
    assert [(1, ["a", "b"]), (2, ["1", "2"]), (3, ["3", "4"])] == read("a,b\n1,2\n3,4\n")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
def test_a_line_end_is_no_part_of_the_last_cell(end: str) -> None:
    assert [["a", "b"]] == [cells for _, cells in read_records([f"a,b{end}"])]


@pytest.mark.parametrize("text", ["", "\n", "\n \n\r\n"])
def test_a_text_without_content_has_no_records(text: str) -> None:
    assert [] == read(text)


def test_blank_lines_are_skipped_and_counted() -> None:
    assert [(3, ["a"]), (5, ["1"])] == read("\n  \na\n\n1\n")


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ('"a","b"', ["a", "b"]),
        ('"a,b",c', ["a,b", "c"]),
        ('"say ""hi""",c', ['say "hi"', "c"]),
        ('5" pipe,c', ['5" pipe', "c"]),
        ('"",""', ["", ""]),
        ('"one\ntwo\n\nthree",c', ["one\ntwo\n\nthree", "c"]),
        (",", ["", ""]),
    ],
)
def test_quotes_protect_what_is_inside(text: str, cells: list[str]) -> None:
    assert [(1, cells)] == read(text)


def test_lines_inside_a_quoted_cell_count_for_the_records_after_it() -> None:
    assert [(1, ["a"]), (2, ["x\ny\nz"]), (5, ["1"])] == read('a\n"x\ny\nz"\n1\n')


def test_an_unclosed_quote_breaks_its_own_line_alone() -> None:
    text = 'a,b\n1,2\n3,"oops\n5,6\n7,8\n'
    broken = (3, "broken_row")
    assert [(1, ["a", "b"]), (2, ["1", "2"]), broken, (4, ["5", "6"]), (5, ["7", "8"])] == read(
        text
    )


def test_an_unclosed_quote_before_quoted_rows_breaks_its_own_line_alone() -> None:
    text = '"a","b"\n"1","oops\n"3","4"\n"5","6"\n'
    assert [(1, ["a", "b"]), (2, "broken_row"), (3, ["3", "4"]), (4, ["5", "6"])] == read(text)


def test_two_unclosed_quotes_in_a_row_break_two_lines() -> None:
    text = 'a,b\n1,"x\n2,"y\n3,z\n'
    assert [(1, ["a", "b"]), (2, "broken_row"), (3, "broken_row"), (4, ["3", "z"])] == read(text)


def test_an_unclosed_quote_at_the_end_is_told() -> None:
    assert [(1, ["a", "b"]), (2, "broken_row")] == read('a,b\n1,"2')


def test_an_unclosed_quote_is_called_that() -> None:
    assert "a quote is never closed" == message_of('a,b\n1,"2')


@pytest.mark.parametrize("row", ["1,2", "1,2,3,4", '1,"2"', '"1",2,3,4', "1;2;3"])
def test_a_row_of_another_width_is_broken(row: str) -> None:
    assert [(1, ["a", "b", "c"]), (2, "broken_row"), (3, ["7", "8", "9"])] == read(
        f"a,b,c\n{row}\n7,8,9\n"
    )


def test_a_row_of_another_width_tells_both_widths() -> None:
    assert "2 cells where the header has 3" == message_of("a,b,c\n1,2\n")


def test_a_record_over_lines_with_too_few_cells_is_broken_where_it_starts() -> None:
    text = 'a,b,c\n1,"x\ny"\n4,5,6\n'
    assert (2, "broken_row") == read(text)[1]


def test_reading_goes_on_behind_a_broken_record_over_lines() -> None:
    text = 'a,b,c\n1,"x\ny"\n4,5,6\n'
    assert (4, ["4", "5", "6"]) == read(text)[-1]


def test_text_behind_a_closing_quote_is_broken() -> None:
    assert [(1, ["a", "b"]), (2, "broken_row"), (3, ["3", "4"])] == read('a,b\n"1"x,2\n3,4\n')


def test_a_cell_may_cover_as_many_lines_as_a_record() -> None:
    cell = "\n" * (MAX_SPAN - 1)
    assert [(1, ["a"]), (2, [cell])] == read(f'a\n"{cell}"\n')


def test_a_quote_that_closes_too_late_breaks_its_line() -> None:
    cell = "x\n" * MAX_SPAN
    assert (2, "broken_row") == read(f'a\n"{cell}"\n')[1]


def test_bytes_that_are_no_text_refuse_their_row_alone() -> None:
    text = "a,b\n1,caf\udce9\n2,café\n"
    assert [(1, ["a", "b"]), (2, "malformed_utf8"), (3, ["2", "café"])] == read(text)


def test_bytes_that_are_no_text_refuse_a_quoted_row_where_it_starts() -> None:
    assert [(1, ["a"]), (2, "malformed_utf8"), (4, ["1"])] == read('a\n"x\n\udcff"\n1\n')


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " "])
def test_another_delimiter_leaves_commas_alone(delimiter: str) -> None:
    text = f'a{delimiter}b\n1,5{delimiter}"x{delimiter}y"\n'
    assert [(1, ["a", "b"]), (2, ["1,5", f"x{delimiter}y"])] == read(text, delimiter)


def test_a_broken_first_line_sets_no_width() -> None:
    assert [(1, "broken_row"), (2, ["a", "b", "c"])] == read('"a"x,b\na,b,c\n')


def test_a_cell_longer_than_the_parser_takes_is_broken_and_no_crash() -> None:
    assert [(1, ["a"]), (2, "broken_row"), (3, ["1"])] == read(f'a\n"{"x" * 200_000}"\n1\n')


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=6))
def test_what_a_csv_writer_wrote_is_read_back(rows: list[list[str]]) -> None:
    assert rows == [cells for _, cells in read_records(written(rows))]


@given(ANY_LINES)
def test_no_text_makes_the_reader_fail_or_go_back(lines: list[str]) -> None:
    numbers = [line for line, _ in read_records(lines)]
    assert sorted(set(numbers)) == numbers


@given(ANY_LINES)
def test_every_cell_of_a_read_record_is_text(lines: list[str]) -> None:
    cells = [record.cells for record in read_records(lines)]
    assert all("\udcff" not in cell for row in cells if isinstance(row, list) for cell in row)


@given(ANY_LINES)
def test_every_read_record_is_as_wide_as_the_first(lines: list[str]) -> None:
    rows = [record.cells for record in read_records(lines) if isinstance(record.cells, list)]
    assert len({len(row) for row in rows}) <= 1
