"""What of a worker was stopped short by an error, for whoever looks without its log at hand."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from ledger.models import worker_health
from ledger.session import OperatorSession
from ledger.shipping import INFLUXDB

_COLUMNS = worker_health.c


class Stoppage(NamedTuple):
    """The last time that something was stopped short.

    Attributes:
        name: what it was, as the beginning of a sentence.
        last_error: what stopped it.
        failed_at: when that was.
    """

    name: str
    last_error: str
    failed_at: datetime


def note_stoppage(session: OperatorSession, name: str, error: str, *, now: datetime) -> None:
    """Note that something was stopped short. The session must be writing: they come one by one."""
    own = sa.update(worker_health).where(_COLUMNS.name == name)
    values = {"last_error": error, "failed_at": now}
    counted = own.values(failures=_COLUMNS.failures + 1, **values)
    if not session.connection.execute(counted).rowcount:
        first = sa.insert(worker_health).values(name=name, failures=1, **values)
        session.connection.execute(first)


def list_stoppages(session: OperatorSession) -> list[Stoppage]:
    """Return what was ever stopped short, the last first; how it goes with InfluxDB is apart."""
    query = (
        sa.select(*(_COLUMNS[name] for name in Stoppage._fields))
        .where(_COLUMNS.name != INFLUXDB)
        .order_by(_COLUMNS.failed_at.desc(), _COLUMNS.name)
    )
    return [Stoppage(*row) for row in session.connection.execute(query)]
