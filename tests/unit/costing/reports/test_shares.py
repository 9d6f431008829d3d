from decimal import Decimal
from fractions import Fraction

import pytest

from costing.reports.figures import NOTHING, Figures, add_figures
from costing.reports.shares import round_percent, share_of, split_percent
from ledger.money import Nanos

UNKNOWN = Figures(
    count=1, estimated_cost=None, has_unpriced=True, unpriced_count=1, flat_rated_count=0
)
KNOWN = Figures(
    count=2, estimated_cost=Nanos(7), has_unpriced=False, unpriced_count=0, flat_rated_count=2
)


@pytest.mark.parametrize(
    ("part", "whole", "share"),
    [
        (1, 3, Fraction(1, 3)),
        (0, 3, Fraction(0)),
        (0, 0, Fraction(0)),
        (0, None, Fraction(0)),
        (-1, 3, Fraction(-1, 3)),
        (None, 3, None),
        (1, None, None),
        (1, 0, None),
        (-3, -3, None),
    ],
)
def test_a_share_is_known_where_there_is_something_to_share(
    part: int | None, whole: int | None, share: Fraction | None
) -> None:
    found = share_of(None if part is None else Nanos(part), None if whole is None else Nanos(whole))
    assert share == found


def sevenths(*parts: int) -> list[Fraction | None]:
    return [Fraction(part, 7) for part in parts]


@pytest.mark.parametrize(
    ("shares", "shown"),
    [
        (sevenths(1, 2, 4), ["14.3", "28.6", "57.1"]),
        ([Fraction(1, 3)] * 3, ["33.4", "33.3", "33.3"]),
        ([Fraction(1, 6)] * 6, ["16.7", "16.7", "16.7", "16.7", "16.6", "16.6"]),
        ([Fraction(1, 2), None, Fraction(1, 2)], ["50.0", "None", "50.0"]),
        ([Fraction(0), Fraction(1)], ["0.0", "100.0"]),
        ([Fraction(9999, 10000), Fraction(1, 10000)], ["100.0", "0.0"]),
        ([Fraction(-1, 3), Fraction(4, 3)], ["-33.3", "133.3"]),
        ([Fraction(0)] * 2, ["0.0", "0.0"]),
        ([None, None], ["None", "None"]),
        ([], []),
    ],
)
def test_percentages_are_split_by_largest_remainder(
    shares: list[Fraction | None], shown: list[str]
) -> None:
    assert shown == [str(percent) for percent in split_percent(shares)]


@pytest.mark.parametrize(
    ("share", "percent"),
    [
        (Fraction(1, 3), Decimal("33.3")),
        (Fraction(2, 3), Decimal("66.7")),
        (Fraction(5, 10_000), Decimal("0.0")),
        (Fraction(15, 10_000), Decimal("0.2")),
        (Fraction(1), Decimal("100.0")),
        (None, None),
    ],
)
def test_a_share_that_stands_alone_is_rounded(
    share: Fraction | None, percent: Decimal | None
) -> None:
    assert percent == round_percent(share)


def test_what_is_known_is_added_and_what_is_not_is_counted() -> None:
    expected = Figures(
        count=3, estimated_cost=Nanos(7), has_unpriced=True, unpriced_count=1, flat_rated_count=2
    )
    assert expected == add_figures([KNOWN, UNKNOWN])


def test_nothing_does_not_make_an_unknown_cost_known() -> None:
    assert UNKNOWN == add_figures([NOTHING, UNKNOWN])


def test_the_sum_of_no_figures_is_nothing() -> None:
    assert NOTHING == add_figures([])
