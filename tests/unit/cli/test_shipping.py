import pytest

from cli.shipping import backoff_seconds


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 1), (1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (10_000, 60)]
)
def test_waiting_grows_with_failures_up_to_a_minute(failures: int, seconds: float) -> None:
    assert seconds == backoff_seconds(failures)
