"""What `meterline doctor` looks at in InfluxDB and in the way to it."""

from collections.abc import Iterator, Sequence

from cli import schema
from cli.findings import STALE_AFTER, Finding
from cli.wiring import Wiring
from collector.influx.buckets import Buckets, Flavour
from collector.influx.probe import probe_bucket
from collector.influx.target import Target
from collector.influx.transport import Transport
from ledger.errors import MeterlineError
from ledger.session import operator_session
from ledger.shipping import (
    Health,
    Hold,
    does_ship,
    list_holds,
    measure_unshipped,
    read_health,
    read_refusal,
)

_MOST_HOLDS = 5


def examine_influx(wiring: Wiring) -> Iterator[Finding]:
    """Look at address, version, token, buckets, retention, backlog and the last error."""
    target = wiring.target
    is_current = schema.current_revision(wiring.engine) == schema.head_revision()
    if target is None:
        missed = describe_missed(wiring) if is_current else None
        there_are_none = "METERLINE_INFLUX_URL is not set: there are no series"
        yield Finding(ok=None if missed is None else False, text=missed or there_are_none)
        return
    yield from _server(target)
    if is_current:
        yield from _backlog(wiring)


def describe_missed(wiring: Wiring) -> str | None:
    """Return what is wrong where a ledger ships and the settings name no InfluxDB; None: nothing.

    Raises:
        UnavailableError: the ledger did not answer.
    """
    if wiring.target is not None:
        return None
    with operator_session(wiring.engine) as session:
        if not does_ship(session):
            return None
        waits = measure_unshipped(session).events
    return (
        f"METERLINE_INFLUX_URL is not set, but this ledger ships to InfluxDB: {waits} events wait;"
        " set it, or give InfluxDB up with `meterline influx leave`"
    )


def _server(target: Target) -> Iterator[Finding]:
    transport = Transport(target)
    buckets = Buckets(target, transport)
    try:
        server = buckets.find_server()
    except MeterlineError as error:
        yield Finding(ok=False, text=f"METERLINE_INFLUX_URL: {error.message}")
        return
    yield Finding(ok=True, text=f"InfluxDB {server.version} at {target.url}")
    for bucket in target.buckets:
        try:
            buckets.check_org(server.flavour)
            probe_bucket(transport, target, bucket)
            kept = buckets.read_retention(bucket, server.flavour)
        except MeterlineError as error:
            yield Finding(ok=False, text=f"bucket {bucket}: {error.message}")
            continue
        if kept is None:
            unknown = server.flavour is Flavour.V3
            span = "has a retention that cannot be asked" if unknown else "keeps all points"
            yield Finding(ok=True, text=f"bucket {bucket} {span}")
        elif bucket != target.bucket:
            yield Finding(ok=True, text=f"bucket {bucket} keeps raw points for {kept.days} days")
        else:
            yield Finding(
                ok=False,
                text=f"bucket {bucket} keeps points for {kept.days} days: figures that are older"
                " are not there; give it no retention, and raw points a bucket of their own"
                " (METERLINE_INFLUX_USAGE_BUCKET)",
            )


def _backlog(wiring: Wiring) -> Iterator[Finding]:
    with operator_session(wiring.engine) as session:
        waits = measure_unshipped(session)
        health = read_health(session)
        refusal = read_refusal(session)
        holds = list_holds(session)
    age = None if waits.oldest is None else wiring.clock() - waits.oldest
    is_late = age is not None and age >= STALE_AFTER
    text = "nothing waits to be shipped"
    if waits.points:
        text = f"{waits.points} points wait to be shipped"
    if age is not None:
        text += f", the oldest for {age.total_seconds():.0f} s"
    yield Finding(ok=not is_late, text=text + ("; is `meterline work` running?" if is_late else ""))
    if health is not None:
        yield _describe_health(health)
    yield from _describe_holds(holds)
    if refusal is not None:
        line, reason = refusal
        yield Finding(
            ok=False,
            text=f"{waits.quarantined} points are quarantined, such as {line!r}: {reason}",
        )
    if waits.expired:
        yield Finding(ok=None, text=f"{waits.expired} points were too old for their bucket")


def _describe_holds(holds: Sequence[Hold]) -> Iterator[Finding]:
    for each in holds[:_MOST_HOLDS]:
        yield Finding(
            ok=False,
            text=f"{each.measurement} of tenant {each.tenant_id} is held back since"
            f" {each.held_since:%Y-%m-%d %H:%M:%S} UTC, tried {each.failures} times,"
            f" again from {each.retry_at:%H:%M:%S} on: {each.reason}",
        )
    if len(holds) > _MOST_HOLDS:
        yield Finding(ok=False, text=f"{len(holds) - _MOST_HOLDS} more are held back")


def _describe_health(health: Health) -> Finding:
    when = f"{health.failed_at:%Y-%m-%d %H:%M:%S} UTC"
    if health.recovered_at is not None:
        text = f"the relay works again; it failed last at {when}: {health.last_error}"
        return Finding(ok=None, text=text)
    return Finding(
        ok=False,
        text=f"the relay fails, {health.failures} times in a row, last at {when}:"
        f" {health.last_error}",
    )
