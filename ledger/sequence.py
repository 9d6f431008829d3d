"""Booking sequence numbers: one growing series for the whole ledger, never handed out twice."""

from collections.abc import Sequence

import sqlalchemy as sa

from ledger.engine import is_postgresql
from ledger.models import BOOKING_SEQUENCE, sequences

BOOKING = "booking"


def take_numbers(connection: sa.Connection, count: int) -> Sequence[int]:
    """Take `count` growing numbers inside the caller's transaction.

    Whether they follow each other without a gap depends on who else takes some. Numbers of a
    rolled-back transaction may be lost; nobody has seen them.
    """
    if is_postgresql(connection):
        query = f"SELECT nextval('{BOOKING_SEQUENCE}') FROM generate_series(1, %s)"
        return connection.exec_driver_sql(query, (count,)).scalars().all()
    statement = (
        sa.update(sequences)
        .where(sequences.c.name == BOOKING)
        .values(value=sequences.c.value + count)
        .returning(sequences.c.value)
    )
    last: int = connection.execute(statement).scalar_one()
    return range(last - count + 1, last + 1)
