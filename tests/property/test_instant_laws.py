"""Laws of instants in SQL: the databases cut them to whole seconds as Python does."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.columns import UtcDateTime, epoch_seconds
from ledger.session import operator_session

FIRST = datetime(1970, 1, 1, tzinfo=UTC)
instants = st.timedeltas(timedelta(0), timedelta(days=84_000)).map(lambda since: FIRST + since)


@given(instant=instants)
@example(instant=datetime(2026, 3, 8, 23, 59, 59, 999_700, UTC))
@example(instant=datetime(2026, 3, 8, 23, 59, 59, 999_999, UTC))
def test_the_second_of_an_instant_is_the_one_that_has_begun(
    engine: sa.Engine, instant: datetime
) -> None:
    query = sa.select(epoch_seconds(sa.literal(instant, UtcDateTime)))
    with operator_session(engine) as session:
        found = session.connection.scalar(query)
    assert int(instant.replace(microsecond=0).timestamp()) == found
