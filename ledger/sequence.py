"""Booking sequence numbers: one growing series for the whole ledger, never handed out twice."""

import sqlalchemy as sa

from ledger.models import sequences

BOOKING = "booking"


def take_numbers(connection: sa.Connection, count: int) -> range:
    """Take `count` consecutive numbers inside the caller's transaction.

    A rolled-back transaction gives its numbers back, and nobody has seen them.
    """
    statement = (
        sa.update(sequences)
        .where(sequences.c.name == BOOKING)
        .values(value=sequences.c.value + count)
        .returning(sequences.c.value)
    )
    last: int = connection.execute(statement).scalar_one()
    return range(last - count + 1, last + 1)
