import pytest

from meterline.delivery.backoff import delay_of


@pytest.mark.parametrize(
    ("failures", "chance", "expected"),
    [(1, 1, 2.0), (1, 0, 1.0), (3, 1, 8.0), (4, 0.5, 12.0), (9, 1, 60.0), (10**6, 0, 30.0)],
)
def test_the_wait_doubles_up_to_its_bound_and_is_spread_over_its_upper_half(
    failures: int, chance: float, expected: float
) -> None:
    assert expected == delay_of(failures, first=2, longest=60, chance=chance)
