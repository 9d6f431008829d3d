"""A token that no header can hold is told without its text."""

import traceback

import pytest

from collector.influx.target import Target
from collector.influx.transport import Transport
from collector.influx.writer import Writer
from ledger.errors import InvalidError

TOKENS = ["s3cret\nof-a-test", "s3cret\u2019s"]


def told(caught: pytest.ExceptionInfo[InvalidError]) -> str:
    """Return all that a traceback of the error would show."""
    return "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("token", TOKENS)
def test_a_request_with_it_is_refused_and_does_not_repeat_it(token: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Transport(Target(url="http://127.0.0.1:9", token=token)).get("/ping")
    assert ("influx_refused", False) == (caught.value.code, "s3cret" in told(caught))


@pytest.mark.parametrize("token", TOKENS)
def test_a_write_with_it_is_refused_and_does_not_repeat_it(token: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Writer(Target(url="http://127.0.0.1:9", token=token)).write("b", b"usage quantity=1i 1")
    assert ("influx_refused", False) == (caught.value.code, "s3cret" in told(caught))
