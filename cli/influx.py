"""`meterline influx`: makes InfluxDB ready for the series, and gives it up."""

from datetime import timedelta

import click

from cli.wiring import connect, open_ledger
from collector.influx.buckets import Buckets, Made
from collector.influx.transport import Transport
from ledger.errors import InvalidError
from ledger.session import operator_session
from ledger.shipping import stop_shipping

_MOST_DAYS = 36_500


@click.group()
def influx() -> None:
    """Make InfluxDB ready for the series, or give it up."""


@influx.command()
@click.option(
    "--usage-retention-days",
    type=click.IntRange(1, _MOST_DAYS),
    help="How long METERLINE_INFLUX_USAGE_BUCKET keeps raw points. Default: for ever, or as it is.",
)
def setup(usage_retention_days: int | None) -> None:
    """Make the bucket that the settings name, or the two; what is there already stays."""
    target = connect().target
    if target is None:
        raise InvalidError("influx_not_configured", "set METERLINE_INFLUX_URL first")
    if usage_retention_days is not None and len(target.buckets) == 1:
        raise click.UsageError(
            "--usage-retention-days needs METERLINE_INFLUX_USAGE_BUCKET: figures are kept for ever"
        )
    buckets = Buckets(target, Transport(target))
    server = buckets.find_server()
    click.echo(f"InfluxDB {server.version}")
    for bucket in target.buckets:
        retention = (
            timedelta(days=usage_retention_days)
            if usage_retention_days is not None and bucket == target.usage_bucket
            else None
        )
        made = buckets.ensure(bucket, server.flavour, retention)
        click.echo(f"bucket {bucket}: {made}")
        if made is Made.IMPLICIT and retention is not None:
            click.echo(
                "give it its retention with `influxdb3 create database --retention-period`",
                err=True,
            )
    click.echo("usage that was booked before goes there with `meterline rebuild series`")


@influx.command()
def leave() -> None:
    """Give InfluxDB up: nothing waits to be shipped any more, and InfluxDB keeps what it has."""
    wiring = open_ledger()
    if wiring.target is not None:
        raise InvalidError(
            "influx_configured", "unset METERLINE_INFLUX_URL first, here and for all processes"
        )
    with operator_session(wiring.engine, write=True) as session:
        waited = stop_shipping(session)
    click.echo(f"events that waited to be shipped and wait no more: {waited}")
