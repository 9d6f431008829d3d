"""Proves that the series say what the ledger says, or names the first difference."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from collector.influx.buckets import Buckets
from collector.influx.errors import reading_answer
from collector.influx.query import Reader, quote_name, quote_text
from collector.influx.target import Target
from collector.influx.transport import Transport
from collector.relay.job import read_oldest
from collector.relay.ledger_parts import find_starts, read_parts
from collector.relay.parts import (
    FIELDS,
    WINDOW_SECONDS,
    Figures,
    Key,
    differ,
)
from collector.relay.points import (
    MEASUREMENTS,
    NANOS_A_SECOND,
    TENANT_DAY,
    USAGE,
    USAGE_COST,
    bucket_of,
)
from collector.relay.reading import Oldest
from ledger.difference import Difference
from ledger.session import operator_session, tenant_session
from ledger.shipping import Unshipped, measure_unshipped
from ledger.tenant import Tenant, TenantId
from ledger.tenants import list_tenants

_END_OF_TIME = 2**63 - 2
_COUNTED = {USAGE: "quantity", USAGE_COST: "cost_nanos", TENANT_DAY: "cost"}
_SUMMED = {USAGE: FIELDS[USAGE][1:], USAGE_COST: FIELDS[USAGE_COST][1:]}


class SeriesReport(NamedTuple):
    """What waits of every tenant, apart, and the first difference of each that has one."""

    unshipped: dict[TenantId, Unshipped]
    differences: list[Difference]


class SeriesVerifier:
    """Compares the ledger with InfluxDB, a tenant after the other.

    Args:
        engine: of the ledger.
        target: the InfluxDB.
    """

    def __init__(self, engine: sa.Engine, target: Target) -> None:
        transport = Transport(target.patient)
        self._engine = engine
        self._target = target
        self._buckets = Buckets(target, transport)
        self._reader = Reader(transport)

    def verify(self, tenants: Iterable[Tenant], *, is_all: bool, now: datetime) -> SeriesReport:
        """Compare tenants.

        Args:
            tenants: the tenants.
            is_all: they are all there are, so that nobody else may have points.
            now: the current instant.

        Raises:
            MeterlineError: see `Transport.send`.
        """
        oldest = read_oldest(self._buckets, self._target, now=now)
        report = SeriesReport({}, [])
        known: set[str] = set()
        for tenant in tenants:
            known.add(tenant.tenant_id)
            report.differences.extend(self._compare(tenant.tenant_id, oldest))
            with tenant_session(self._engine, tenant.tenant_id) as session:
                report.unshipped[tenant.tenant_id] = measure_unshipped(session)
        if is_all:
            report.differences.extend(self._leave_out_new(self._find_strangers(known)))
        return report

    def _compare(self, tenant_id: TenantId, oldest: Oldest) -> Iterator[Difference]:
        """Yield the first difference of a tenant, if any.

        Usage may be booked and shipped meanwhile. So the ledger is read again where something
        differs, and what changed there since is no difference but a thing of the next time.
        """
        with tenant_session(self._engine, tenant_id) as session:
            starts = find_starts(session, oldest)
            before = read_parts(session, starts)
        found = self._read_series(tenant_id, starts)
        differences = [
            (key, *difference)
            for key in sorted(before.keys() | found.keys(), key=_in_order)
            for difference in differ(key, before.get(key), found.get(key))
        ]
        if not differences:
            return
        with tenant_session(self._engine, tenant_id) as session:
            after = read_parts(session, starts)
        for key, field, expected, there in differences:
            if before.get(key) == after.get(key):
                yield Difference(
                    tenant_id=tenant_id,
                    where=f"series {key}: {field}",
                    expected=expected,
                    found=f"{there}; `meterline rebuild series` sends it again",
                )
                return

    def _read_series(self, tenant_id: TenantId, starts: dict[str, datetime]) -> dict[Key, Figures]:
        return {
            **self._read_sums(tenant_id, USAGE, self._target.usage_bucket, starts),
            **self._read_sums(tenant_id, USAGE_COST, self._target.bucket, starts),
            **self._read_days(tenant_id, starts),
        }

    def _read_sums(
        self, tenant_id: TenantId, measurement: str, bucket: str, starts: dict[str, datetime]
    ) -> dict[Key, Figures]:
        sums = ", ".join(f"sum({quote_name(name)})" for name in _SUMMED[measurement])
        series = self._reader.run(
            f"SELECT count({quote_name(_COUNTED[measurement])}), {sums}"
            f" FROM {quote_name(measurement)} WHERE {_within(tenant_id, starts[measurement])}"
            f" GROUP BY time({WINDOW_SECONDS[measurement]}s) fill(none)",
            bucket=bucket,
        )
        with reading_answer():
            return {
                Key(measurement, row[0] // NANOS_A_SECOND): _read_figures(
                    row[1:], count=len(FIELDS[measurement])
                )
                for one in series
                for row in one.values
            }

    def _read_days(self, tenant_id: TenantId, starts: dict[str, datetime]) -> dict[Key, Figures]:
        fields = FIELDS[TENANT_DAY][1:]
        series = self._reader.run(
            f"SELECT {', '.join(map(quote_name, fields))} FROM {quote_name(TENANT_DAY)}"
            f" WHERE {_within(tenant_id, starts[TENANT_DAY])}",
            bucket=self._target.bucket,
        )
        rows: defaultdict[Key, list[Figures]] = defaultdict(list)
        with reading_answer():
            for one in series:
                for time, *values in one.values:
                    key = Key(TENANT_DAY, time // NANOS_A_SECOND)
                    rows[key].append((1, *_read_figures(values, count=len(fields))))
            return {key: tuple(map(sum, zip(*group, strict=True))) for key, group in rows.items()}

    def _leave_out_new(self, strangers: Iterable[Difference]) -> Iterator[Difference]:
        """Yield strangers that are not registered now either."""
        found = list(strangers)
        if not found:
            return
        with operator_session(self._engine) as session:
            known = {tenant.tenant_id for tenant in list_tenants(session)}
        yield from (each for each in found if each.tenant_id not in known)

    def _find_strangers(self, known: set[str]) -> Iterator[Difference]:
        for measurement in MEASUREMENTS:
            bucket = bucket_of(measurement, self._target)
            series = self._reader.run(
                f"SELECT count({quote_name(_COUNTED[measurement])})"
                f' FROM {quote_name(measurement)} GROUP BY "tenant"',
                bucket=bucket,
            )
            with reading_answer():
                counts = {str(one.tags.get("tenant", "")): one.values[0][1] for one in series}
            for tenant_id, points in counts.items():
                if tenant_id not in known:
                    yield Difference(
                        tenant_id=TenantId(tenant_id),
                        where=f"series {measurement}",
                        expected="no points, since the tenant is not registered",
                        found=f"{points} points",
                    )


def _read_figures(values: Sequence[Any], *, count: int) -> Figures:
    """Return so many numbers; an aggregate of nothing is null, and 0."""
    figures = tuple(value or 0 for value in values)
    if len(figures) != count or not all(isinstance(value, int | float) for value in figures):
        raise ValueError("figures are numbers, one a field")
    return figures


def _within(tenant_id: TenantId, start: datetime) -> str:
    begin = int(start.timestamp()) * NANOS_A_SECOND
    return f'"tenant" = {quote_text(tenant_id)} AND time >= {begin} AND time < {_END_OF_TIME}'


def _in_order(key: Key) -> tuple[int, int]:
    return key.start, MEASUREMENTS.index(key.measurement)
