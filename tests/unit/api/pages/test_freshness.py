from datetime import timedelta

import pytest

from api.pages.usage_view import describe_freshness
from costing.reports.summary import Freshness
from tests.builders import NOW


@pytest.mark.parametrize(
    ("age", "waiting", "words"),
    [
        (timedelta(seconds=59), 0, "Up to date; updated less than a minute ago, nothing waits"),
        (timedelta(days=5), 0, "Up to date; updated 5 days ago, nothing waits"),
        (timedelta(minutes=1), 1, "Updated 1 minute ago; 1 usage waits to be costed"),
        (timedelta(hours=3), 1200, "Updated 3 hours ago; 1,200 usages wait to be costed"),
        (None, 2, "Not updated yet; 2 usages wait to be costed"),
        (None, 0, "Up to date; there was no usage yet"),
    ],
)
def test_freshness_tells_a_quiet_tenant_from_one_that_waits(
    age: timedelta | None, waiting: int, words: str
) -> None:
    costed_at = None if age is None else NOW - age
    freshness = Freshness(costed_at=costed_at, pending_events=waiting)
    assert words == describe_freshness(freshness, NOW)
