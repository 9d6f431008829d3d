"""`Meter` and the clients of the providers."""

import subprocess
import sys

import pytest

from meterline import Meter

PROVIDERS = ("openai", "twilio", "sendgrid")


def test_importing_the_sdk_and_making_a_meter_imports_no_package_of_a_provider() -> None:
    code = (
        "import sys; from meterline import Meter; Meter('http://127.0.0.1:9', 'key');"
        f"print([name for name in {(*PROVIDERS, 'flask', 'httpx', 'pydantic', 'asyncio')!r}"
        " if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == found.stdout


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_no_client_comes_back_as_it_was_and_is_told_each_time(
    meter: Meter, caplog: pytest.LogCaptureFixture, provider: str
) -> None:
    wrap = getattr(meter, provider)
    thing = object()
    found = [wrap(thing) is thing, wrap(thing) is thing]
    told = sum("could not be wrapped" in line for line in caplog.messages)
    assert ([True, True], 2) == (found, told)


def test_a_meter_does_not_show_its_key() -> None:
    meter = Meter("http://127.0.0.1:9", "a-secret-key")
    assert "a-secret-key" not in repr(vars(meter))


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "meter.example"},
        {"url": "ftp://meter.example"},
        {"api_key": ""},
        {"api_key": "two\nlines"},
        {"max_bytes": 10},
        {"when_full": "drop-some"},
        {"interval": 0},
        {"timeout": -1},
    ],
)
def test_an_argument_that_makes_no_sense_is_told_when_the_meter_is_made(
    arguments: dict[str, object],
) -> None:
    fine: dict[str, object] = {"url": "http://127.0.0.1:9", "api_key": "key"}
    with pytest.raises(ValueError, match=r"."):
        Meter(**{**fine, **arguments})  # type: ignore[arg-type] # on purpose
