import codecs
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from collector.imports.files import (
    ImportReport,
    LineFault,
    import_events,
    read_csv_events,
    read_ndjson_events,
)
from collector.imports.mapping import CsvMapping
from collector.intake import TRANSACTION_EVENTS, Intake
from ledger.event import Status
from ledger.models import usage_metrics
from ledger.session import operator_session
from tests.builders import NOW, ai, sms

HEADER = b"time,feature,units\n"
MAPPING = CsvMapping(
    columns={"time": "time", "feature": "feature", "quantity": "units"},
    fixed={"tenant": "acme", "channel": "sms"},
)


def rows(*numbers: int) -> bytes:
    return b"".join(b"2026-03-09T12:00:00Z,f%d,1\n" % number for number in numbers)


def ndjson(*events: object) -> bytes:
    return b"\n".join(
        event if isinstance(event, bytes) else orjson.dumps(event) for event in events
    )


class Importer:
    """Imports bytes as a file, and remembers which lines were not booked."""

    def __init__(self, intake: Intake, folder: Path) -> None:
        self._intake = intake
        self._folder = folder
        self.faults: list[tuple[int, str | None]] = []

    def csv(
        self, content: bytes, mapping: CsvMapping = MAPPING, *, name: str = "usage.csv"
    ) -> ImportReport:
        path = self._write(name, content)
        return self._book(read_csv_events(path, mapping, delimiter=",", on_bytes=lambda _: None))

    def ndjson(self, content: bytes) -> ImportReport:
        path = self._write("usage.ndjson", content)
        return self._book(read_ndjson_events(path, on_bytes=lambda _: None))

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path

    def _book(self, events: Iterable[tuple[int, object]]) -> ImportReport:
        return import_events(events, self._intake, clock=lambda: NOW, on_fault=self._note)

    def _note(self, fault: LineFault) -> None:
        self.faults.append((fault.line, fault.result.code))


@pytest.fixture
def importer(intake: Intake, tmp_path: Path) -> Importer:
    return Importer(intake, tmp_path)


def stored(engine: sa.Engine, *columns: str) -> list[Any]:
    query = sa.select(*(usage_metrics.c[name] for name in columns)).order_by(usage_metrics.c.id)
    with operator_session(engine) as session:
        return [tuple(row) for row in session.connection.execute(query)]


def features(engine: sa.Engine) -> list[str]:
    return [feature for (feature,) in stored(engine, "feature")]


def test_a_file_that_grew_by_100_rows_stores_100(importer: Importer) -> None:
    before = HEADER + rows(1, 2, 3, 1)
    importer.csv(before)
    assert {Status.STORED: 100, Status.DUPLICATE: 4} == importer.csv(
        before + rows(*range(1, 101))
    ).counts


def test_a_file_imported_again_stores_nothing(importer: Importer) -> None:
    importer.csv(HEADER + rows(1, 2))
    assert {Status.DUPLICATE: 2} == importer.csv(HEADER + rows(1, 2)).counts


def test_a_renamed_file_stores_nothing(importer: Importer) -> None:
    importer.csv(HEADER + rows(1, 2), name="march.csv")
    assert {Status.DUPLICATE: 2} == importer.csv(HEADER + rows(1, 2), name="old.csv").counts


def test_a_file_in_another_order_stores_nothing(importer: Importer) -> None:
    importer.csv(HEADER + rows(1, 2, 1))
    assert {Status.DUPLICATE: 3} == importer.csv(HEADER + rows(1, 1, 2)).counts


def test_identical_rows_are_all_booked(importer: Importer) -> None:
    assert {Status.STORED: 3} == importer.csv(HEADER + rows(1, 1, 1)).counts


def test_a_file_saved_with_other_line_ends_and_a_mark_stores_nothing(importer: Importer) -> None:
    content = HEADER + rows(1, 2)
    importer.csv(content)
    again = codecs.BOM_UTF8 + content.replace(b"\n", b"\r\n")
    assert {Status.DUPLICATE: 2} == importer.csv(again).counts


def test_a_row_that_was_mended_is_the_only_one_booked_again(importer: Importer) -> None:
    importer.csv(HEADER + rows(1) + b"2026-03-09T12:00:00Z,f2\n" + rows(3))
    assert {Status.STORED: 1, Status.DUPLICATE: 2} == importer.csv(HEADER + rows(1, 2, 3)).counts


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_kind_of_line_end_ends_a_row(
    importer: Importer, engine: sa.Engine, end: bytes
) -> None:
    importer.csv((HEADER + rows(1, 2)).replace(b"\n", end))
    assert ["f1", "f2"] == features(engine)


def test_mixed_line_ends_end_rows(importer: Importer, engine: sa.Engine) -> None:
    mixed = [rows(1).strip() + b"\r\n", rows(2).strip() + b"\r", rows(3), rows(4).strip()]
    importer.csv(HEADER.strip() + b"\r\n" + b"".join(mixed))
    assert ["f1", "f2", "f3", "f4"] == features(engine)


@pytest.mark.parametrize("header", [HEADER, b'"time","feature","units"\n'])
def test_a_byte_order_mark_is_no_part_of_the_first_column(
    importer: Importer, header: bytes
) -> None:
    assert {Status.STORED: 1} == importer.csv(codecs.BOM_UTF8 + header + rows(1)).counts


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (b'2026-03-09T12:00:00Z,"f2,1\n', "broken_row"),
        (b"2026-03-09T12:00:00Z,f2\n", "broken_row"),
        (b"2026-03-09T12:00:00Z,f2,1,1\n", "broken_row"),
        (b"2026-03-09T12:00:00Z,caf\xe9,1\n", "malformed_utf8"),
        (b"2026-03-09T12:00:00,f2,1\n", "missing_offset"),
        (b"2099-03-09T12:00:00Z,f2,1\n", "future_time"),
        (b"2026-03-09T12:00:00Z,Not A Slug,1\n", "invalid_slug"),
        (b"2026-03-09T12:00:00Z,f2,-1\n", "invalid_quantity"),
        (b"2026-03-09T12:00:00Z,f2,NaN\n", "invalid_quantity"),
        (b"2026-03-09T12:00:00Z,f2," + b"9" * 30 + b"\n", "invalid_quantity"),
        (b"2026-03-09T12:00:00Z,f2," + b"9" * 5000 + b"\n", "invalid_quantity"),
    ],
)
class TestABadRow:
    def test_is_named_with_its_line(self, importer: Importer, row: bytes, code: str) -> None:
        importer.csv(HEADER + rows(1) + row + rows(3))
        assert [(3, code)] == importer.faults

    def test_leaves_its_neighbours_booked(
        self, importer: Importer, engine: sa.Engine, row: bytes, code: str
    ) -> None:
        del code
        importer.csv(HEADER + rows(1) + row + rows(3))
        assert ["f1", "f3"] == features(engine)


def test_a_cell_over_several_lines_is_one_event(importer: Importer) -> None:
    note = b'time,feature,units,note\n2026-03-09T12:00:00Z,f1,1,"two\n\nlines"\n'
    assert {Status.STORED: 1} == importer.csv(note).counts


def test_lines_inside_a_cell_count_for_the_line_of_a_later_fault(importer: Importer) -> None:
    note = b'time,feature,units,note\n2026-03-09T12:00:00Z,f1,1,"two\n\nlines"\nbroken\n'
    importer.csv(note)
    assert [(5, "broken_row")] == importer.faults


def test_a_fault_behind_the_first_transaction_keeps_its_line(importer: Importer) -> None:
    many = range(TRANSACTION_EVENTS + 500)
    importer.csv(HEADER + rows(*many) + b"broken\n" + rows(7))
    assert [(TRANSACTION_EVENTS + 502, "broken_row")] == importer.faults


def test_the_tenant_may_be_a_column(importer: Importer, engine: sa.Engine) -> None:
    mapping = CsvMapping(columns={"time": "t", "tenant": "who"}, fixed={"channel": "sms"})
    importer.csv(b"t,who\n2026-03-09T12:00:00Z,acme\n2026-03-09T12:00:00Z,karachi\n", mapping)
    assert [("acme",), ("karachi",)] == stored(engine, "tenant_id")


def test_the_row_of_an_unknown_tenant_is_named(importer: Importer) -> None:
    mapping = CsvMapping(columns={"time": "t", "tenant": "who"}, fixed={"channel": "sms"})
    importer.csv(b"t,who\n2026-03-09T12:00:00Z,nobody\n2026-03-09T12:00:00Z,acme\n", mapping)
    assert [(2, "unknown_tenant")] == importer.faults


def test_token_counts_and_model_of_a_row_are_booked(importer: Importer, engine: sa.Engine) -> None:
    columns = {"time": "t", "input_tokens": "in", "output_tokens": "out"}
    fixed = {"tenant": "acme", "channel": "ai", "model": "house-llm"}
    mapping = CsvMapping(columns=columns, fixed=fixed)
    importer.csv(b"t,in,out\n2026-03-09T12:00:00Z,374,44\n", mapping)
    assert [("house-llm", 374, 44)] == stored(engine, "model", "input_tokens", "output_tokens")


def test_one_id_with_two_contents_is_a_conflict_on_the_second_line(importer: Importer) -> None:
    mapping = CsvMapping(
        columns={"id": "i", "time": "t"}, fixed={"tenant": "acme", "channel": "sms"}
    )
    importer.csv(b"i,t\nSM1,2026-03-09T12:00:00Z\nSM1,2026-03-09T13:00:00Z\n", mapping)
    assert [(3, "id_conflict")] == importer.faults


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"id": "SM2", "tenant": "ac', "malformed_json"),
        (b'{"id": "caf\xe9"}', "malformed_utf8"),
        (b"[" * 5000, "malformed_json"),
        (b"[{}]", "not_an_object"),
        (b"null", "not_an_object"),
        (orjson.dumps(sms(id=...)), "missing_id"),
        (orjson.dumps(sms("SM2", quantity=True)), "invalid_quantity"),
        (orjson.dumps(sms("SM2", tenant="nobody")), "unknown_tenant"),
        (b'{"quantity": NaN}', "malformed_json"),
    ],
)
class TestABadLineOfEvents:
    def test_is_named(self, importer: Importer, line: bytes, code: str) -> None:
        importer.ndjson(ndjson(sms("SM1"), line, sms("SM3")))
        assert [(2, code)] == importer.faults

    def test_leaves_its_neighbours_booked(
        self, importer: Importer, engine: sa.Engine, line: bytes, code: str
    ) -> None:
        del code
        importer.ndjson(ndjson(sms("SM1"), line, sms("SM3")))
        assert [("SM1",), ("SM3",)] == stored(engine, "event_id")


def test_blank_lines_between_events_count_as_lines(importer: Importer) -> None:
    importer.ndjson(b"\r\n" + ndjson(sms("SM1"), b"  ", b"oops"))
    assert [(4, "malformed_json")] == importer.faults


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_events_may_have_a_byte_order_mark_and_either_line_end(
    importer: Importer, end: bytes
) -> None:
    content = codecs.BOM_UTF8 + ndjson(sms("SM1"), ai("c1")).replace(b"\n", end) + end
    assert {Status.STORED: 2} == importer.ndjson(content).counts


def test_an_event_of_a_file_that_the_api_took_before_is_a_duplicate(
    importer: Importer, intake: Intake
) -> None:
    intake.book([sms("SM1")], only_tenant=None, now=NOW)
    assert {Status.DUPLICATE: 1} == importer.ndjson(ndjson(sms("SM1"))).counts


def test_metadata_that_was_not_kept_is_counted_by_name(importer: Importer) -> None:
    events = [sms("SM1", metadata={"colour": 1}), sms("SM2", metadata={"colour": 2, "size": 3})]
    assert {"colour": 2, "size": 1} == importer.ndjson(ndjson(*events)).dropped


def test_progress_of_events_adds_up_to_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "usage.ndjson"
    path.write_bytes(ndjson(sms("SM1"), b"", sms("SM2")))
    heard: list[int] = []
    list(read_ndjson_events(path, on_bytes=heard.append))
    assert path.stat().st_size == sum(heard)


def test_progress_of_rows_adds_up_to_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_bytes("time,feature,units\r\n1,é,1\r\n".encode())
    heard: list[int] = []
    list(read_csv_events(path, MAPPING, delimiter=",", on_bytes=heard.append))
    assert path.stat().st_size == sum(heard)
