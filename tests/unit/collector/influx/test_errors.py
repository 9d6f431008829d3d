import pytest

from collector.influx.errors import RejectedError, TooLargeError, UncertainError, read_answer
from ledger.errors import MeterlineError

PARTIAL = '{"error":"partial write: field type conflict: input field dropped=1"}'


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (400, '{"message":"please provide org"}', "influx_refused"),
        (401, "", "influx_token_refused"),
        (403, "", "influx_token_refused"),
        (404, '{"error":"database not found: \\"x\\""}', "influx_bucket_missing"),
        (404, '{"message":"bucket \\"x\\" not found"}', "influx_bucket_missing"),
        (404, '{"message":"no dbrp mapping found"}', "influx_bucket_missing"),
        (404, "404 page not found", "influx_path_missing"),
        (301, "", "influx_refused"),
        (429, "", "influx_unavailable"),
        (500, '{"error":"engine: write /disk: no space left on device"}', "influx_unavailable"),
        (503, "", "influx_unavailable"),
    ],
)
def test_an_answer_has_one_meaning(status: int, text: str, code: str) -> None:
    found = read_answer(status, text)
    assert isinstance(found, MeterlineError)
    assert code == found.code


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, PARTIAL),
        (422, '{"code":"unprocessable entity","message":"failure writing points"}'),
        (400, '{"error":"unable to parse \'x\': missing fields"}'),
        (400, '{"error":"partial write of line protocol occurred","data":[{"line_number":2}]}'),
    ],
)
def test_faults_of_lines_are_told_from_faults_of_the_request(status: int, text: str) -> None:
    assert isinstance(read_answer(status, text), RejectedError)


def test_a_size_that_is_too_large_is_told_apart() -> None:
    assert isinstance(read_answer(413, ""), TooLargeError)


@pytest.mark.parametrize(("status", "is_uncertain"), [(500, False), (502, True), (504, True)])
def test_what_a_gateway_says_leaves_open_whether_it_was_received(
    status: int, *, is_uncertain: bool
) -> None:
    assert is_uncertain == isinstance(read_answer(status, ""), UncertainError)


def test_a_page_of_a_proxy_is_not_repeated() -> None:
    found = read_answer(502, "<html><h1>502</h1></html>")
    assert "InfluxDB answers 502: status 502" == str(found)


def test_a_write_that_1_x_gave_up_waiting_for_may_still_take_effect() -> None:
    assert isinstance(read_answer(500, '{"error":"timeout"}'), UncertainError)


def test_the_reason_of_a_line_is_told_where_3_x_gives_it_apart() -> None:
    text = (
        '{"error":"partial write of line protocol occurred","data":[{"original_line":"usage",'
        '"line_number":1,"error_message":"invalid column type for column quantity"}]}'
    )
    expected = "partial write of line protocol occurred: invalid column type for column quantity"
    assert expected == str(read_answer(400, text))
