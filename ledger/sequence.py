"""Booking sequence numbers: one growing series for the whole ledger, never handed out twice."""

from collections.abc import Sequence
from typing import Any

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


def number_rows(connection: sa.Connection, count: int) -> sa.ColumnElement[int]:
    """Return the expression that gives each row of a query a number of its own, growing.

    Args:
        connection: in whose transaction the query runs, once.
        count: at least how many rows it has.
    """
    if is_postgresql(connection):
        return sa.func.nextval(BOOKING_SEQUENCE, type_=sa.BigInteger)
    driver: Any = connection.connection.driver_connection
    # A window function, which could count the rows, takes four times as long a row.
    driver.create_function("next_booking_number", 0, iter(take_numbers(connection, count)).__next__)
    return sa.func.next_booking_number(type_=sa.BigInteger)
