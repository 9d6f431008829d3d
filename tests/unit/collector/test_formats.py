import pytest

from collector.formats import Form, read_body, read_line
from ledger.errors import InvalidError

ENVELOPE = (
    b'{"specversion":"1.0","id":"7","source":"/host","type":"usage","subject":"acme",'
    b'"time":"2026-03-09T12:00:00Z","data":{"channel":"sms","direction":"outbound"}}'
)
EVENT = {
    "id": "/host/7",
    "tenant": "acme",
    "time": "2026-03-09T12:00:00Z",
    "channel": "sms",
    "direction": "outbound",
}


def code_of(item: object) -> str | None:
    return item.code if isinstance(item, InvalidError) else None


def test_one_json_event_is_a_list_of_one() -> None:
    assert [{"id": "1"}] == read_body(b'{"id":"1"}', Form.JSON)


def test_an_array_keeps_its_order() -> None:
    assert [1, 2, 3] == read_body(b"[1,2,3]", Form.JSON)


def test_a_broken_line_of_ndjson_leaves_its_neighbours_alone() -> None:
    first, broken, last = read_body(b'{"id":"1"}\n{"id":\r\n\n{"id":"3"}', Form.NDJSON)
    assert ({"id": "1"}, "malformed_json", {"id": "3"}) == (first, code_of(broken), last)


def test_broken_utf8_is_told_from_broken_json() -> None:
    assert "malformed_utf8" == code_of(read_line(b'{"id":"\xff"}'))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'[{"id":"1"},{"id":', "malformed_json"),
        (b"", "malformed_json"),
        (b'"\xff"', "malformed_utf8"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"quantity": NaN}', "malformed_json"),
    ],
)
def test_a_body_that_says_nothing_is_refused_as_a_whole(body: bytes, code: str) -> None:
    with pytest.raises(InvalidError) as refused:
        read_body(body, Form.JSON)
    assert code == refused.value.code


def test_a_cloudevent_is_identified_by_source_and_id() -> None:
    assert [EVENT] == read_body(ENVELOPE, Form.CLOUDEVENT)


def test_the_tenant_in_the_data_of_a_cloudevent_goes_before_its_subject() -> None:
    body = ENVELOPE.replace(b'"channel"', b'"tenant":"karachi","channel"')
    assert [{**EVENT, "tenant": "karachi"}] == read_body(body, Form.CLOUDEVENT)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (b'"1.0"', b'"0.3"', "specversion"),
        (b'"id":"7"', b'"id":7', "id"),
        (b'"source":"/host",', b"", "source"),
        (b'"type":"usage"', b'"type":""', "type"),
        (b'"data":{', b'"payload":{', "data"),
        (b'"data":{', b'"data":{"id":"x",', "data.id"),
    ],
)
def test_a_broken_cloudevent_of_a_batch_names_its_fault(old: bytes, new: bytes, key: str) -> None:
    batch = b"[" + ENVELOPE + b"," + ENVELOPE.replace(old, new) + b"]"
    good, broken = read_body(batch, Form.CLOUDEVENT_BATCH)
    found = (broken.code, broken.key) if isinstance(broken, InvalidError) else None
    assert (EVENT, ("invalid_cloudevent", key)) == (good, found)


def test_a_cloudevents_batch_must_be_an_array() -> None:
    with pytest.raises(InvalidError) as refused:
        read_body(ENVELOPE, Form.CLOUDEVENT_BATCH)
    assert "malformed_json" == refused.value.code
