"""Runs queries for those whose secret was checked: reads them, confines them, passes them on."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import NamedTuple

from api.gateway.answers import Result, join_documents, list_names, write_answer
from api.gateway.errors import BadUpstreamError
from api.gateway.gate import Gate
from api.gateway.influxql.errors import refuse
from api.gateway.influxql.names import check_show
from api.gateway.influxql.parsing import Parser
from api.gateway.influxql.preparing import Prepared, Read, prepare_for_operator, prepare_for_tenant
from api.gateway.influxql.tree import Select, ShowNames, Statement
from api.gateway.request import Query
from collector.influx.passage import Passage
from collector.influx.target import Target, build_read_target
from collector.relay.points import USAGE
from ledger.errors import ForbiddenError, MissingError, UnavailableError
from ledger.settings import Settings
from ledger.tenant import TenantId

_OPERATOR = "operator"

_Prepare = Callable[[Read], Prepared]


class _Ask(NamedTuple):
    """What InfluxDB is asked, and in which bucket."""

    text: str
    bucket: str


class Gateway:
    """Answers queries out of one InfluxDB."""

    def __init__(self, target: Target, *, queries: int, seconds: float) -> None:
        self._target = target
        self._seconds = seconds
        self._parser = Parser()
        self._gate = Gate(queries)
        self._passage = Passage(target, connections=queries)

    def answer_tenant(self, query: Query, tenant_id: TenantId, *, now: datetime) -> bytes:
        """Return the answer to a query that sees one tenant.

        Raises:
            InvalidError: `query_refused`, `influx_refused` or `answer_too_large`.
            UnavailableError: `too_many_queries` or `influx_unavailable`.
        """
        prepare = partial(prepare_for_tenant, tenant_id=tenant_id, now=now)
        return self._answer(query, prepare, f"tenant {tenant_id}")

    def answer_operator(self, query: Query, *, now: datetime) -> bytes:
        """Return the answer to a query that sees all tenants.

        Raises:
            MeterlineError: see `answer_tenant`.
        """
        return self._answer(query, partial(prepare_for_operator, now=now), _OPERATOR)

    def _answer(self, query: Query, prepare: _Prepare, key: str) -> bytes:
        deadline = time.monotonic() + self._seconds
        self._check_database(query.database)
        # All of them are looked at before the first one runs.
        steps = [self._plan(each, prepare) for each in self._parser.parse(query.text)]
        known = [step for step in steps if not isinstance(step, _Ask)]
        if len(known) == len(steps):
            return write_answer(known)
        with self._gate.enter(key, seconds=deadline - time.monotonic()):
            results = [
                self._fetch(step, query.epoch, deadline) if isinstance(step, _Ask) else step
                for step in steps
            ]
        return write_answer(results)

    def _plan(self, statement: Statement, prepare: _Prepare) -> _Ask | Result:
        """Return what to ask InfluxDB, or the result where it need not be asked."""
        if isinstance(statement, Select):
            return self._ask(prepare(statement))
        self._check_database(statement.database or "")
        if isinstance(statement, ShowNames):
            check_show(statement)
            return list_names(statement, self._target.buckets)
        return self._ask(prepare(statement))

    def _check_database(self, name: str) -> None:
        if name and name not in self._target.buckets:
            raise refuse(f"there is no such database; there is {self._target.bucket}")

    def _ask(self, prepared: Prepared) -> _Ask:
        target = self._target
        places = {
            target.usage_bucket if name == USAGE else target.bucket
            for name in prepared.measurements
        }
        if len(places) > 1:
            raise refuse(f"{USAGE} is in a database of its own here: ask for it alone")
        return _Ask(prepared.text, places.pop())

    def _fetch(self, ask: _Ask, epoch: str, deadline: float) -> Result:
        left = deadline - time.monotonic()
        if left <= 0:
            raise UnavailableError("influx_unavailable", "there was no answer in time")
        try:
            documents = self._passage.fetch(ask.text, bucket=ask.bucket, epoch=epoch, seconds=left)
        except (ForbiddenError, MissingError) as error:
            # Its own words may name what only operators know.
            raise BadUpstreamError(error.code, "InfluxDB does not let the gateway read") from error
        return join_documents(documents)


def build_gateway(settings: Settings) -> Gateway | None:
    """Return the gateway that the settings describe, or None where no InfluxDB is configured."""
    target = build_read_target(settings)
    if target is None:
        return None
    return Gateway(
        target, queries=settings.gateway_queries, seconds=settings.gateway_timeout_seconds
    )
