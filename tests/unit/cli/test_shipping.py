import pytest

from cli.shipping import choose_pause


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 1), (1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (10_000, 60)]
)
def test_waiting_grows_with_failures_up_to_a_minute(failures: int, seconds: float) -> None:
    assert seconds == choose_pause(failures, is_more=failures > 0)


def test_where_more_is_due_nothing_is_waited_for() -> None:
    assert 0 == choose_pause(0, is_more=True)
