"""`meterline import` and `meterline export`: usage from files, figures to CSV."""

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from cli.messages import describe
from cli.wiring import open_ledger
from collector.imports.files import (
    ImportReport,
    LineFault,
    import_events,
    read_csv_events,
    read_ndjson_events,
)
from collector.imports.mapping import CsvMapping
from costing.export import read_export, write_csv
from costing.reported import read_reported
from ledger.errors import InvalidError
from ledger.event import Status
from ledger.period import RANGES, parse_range
from ledger.session import operator_session, tenant_session
from ledger.tenant import parse_tenant_id, parse_timezone
from ledger.tenants import get_tenant

_SHOWN_FAULTS = 100
_SHOWN_DROPPED = 20

Pairs = tuple[tuple[str, str], ...]


class Pair(click.ParamType[tuple[str, str]]):
    """A `name=value` argument."""

    name = "field=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Split at the first equals sign."""
        if isinstance(value, tuple):
            return value
        name, equals, rest = str(value).partition("=")
        if not (name and equals and rest):
            self.fail(f"{value!r} is not {param.metavar if param else self.name}", param, ctx)
        return name, rest


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--map",
    "columns",
    type=Pair(),
    multiple=True,
    metavar="FIELD=COLUMN",
    help="Read FIELD from a CSV column; fields that events do not have go to metadata.",
)
@click.option(
    "--set",
    "fixed",
    type=Pair(),
    multiple=True,
    metavar="FIELD=VALUE",
    help="Give FIELD the same value in every row.",
)
@click.option("--timezone", help="IANA zone of times without an offset.")
@click.option("--delimiter", default=",", show_default=True, help="One character.")
def import_file(
    file: Path, columns: Pairs, fixed: Pairs, timezone: str | None, delimiter: str
) -> None:
    """Book the usage in FILE: CSV with --map, otherwise one JSON event a line.

    What is booked stays booked once: an import that was stopped is resumed by running it again,
    and a file that grew can be imported again. Rows without a direction are outbound. Lines that
    cannot be booked are named, the rest is booked, and the exit code is 1.
    """  # fmt: skip
    if not columns and (fixed or timezone):
        raise click.UsageError("--set and --timezone need --map: they are for CSV files")
    if len(delimiter) != 1:
        raise click.UsageError("--delimiter is one character")
    mapping = CsvMapping(
        columns=_unique(columns),
        fixed=_unique(fixed),
        timezone=None if timezone is None else ZoneInfo(parse_timezone(timezone)),
    )
    wiring = open_ledger()
    faults = _FaultPrinter()
    with click.progressbar(length=file.stat().st_size, label=file.name, file=sys.stderr) as bar:
        update: Callable[[int], None] = bar.update
        events: Iterator[tuple[int, object]] = (
            read_csv_events(file, mapping, delimiter=delimiter, on_bytes=update)
            if columns
            else read_ndjson_events(file, on_bytes=update)
        )
        try:
            report = import_events(events, wiring.intake, clock=wiring.clock, on_fault=faults)
        except InvalidError as error:
            click.echo(f"error: {error.message}", err=True)
            sys.exit(1)
    if report.faults and not columns and file.suffix == ".csv":
        click.echo("a CSV file is read with --map FIELD=COLUMN", err=True)
    _tell(report, faults)


def _unique(pairs: Pairs) -> dict[str, str]:
    """Return the pairs by field; metadata may be named as faults name it, `metadata.model`."""
    fields: dict[str, str] = {}
    for name, value in pairs:
        fieldname = name.removeprefix("metadata.")
        if fieldname in fields:
            raise click.UsageError(f"{fieldname} is given twice")
        fields[fieldname] = value
    return fields


class _FaultPrinter:
    """Names lines that were not booked, up to a number that a person still reads."""

    def __init__(self) -> None:
        self.hidden = 0
        self._shown = 0

    def __call__(self, fault: LineFault) -> None:
        if self._shown >= _SHOWN_FAULTS:
            self.hidden += 1
            return
        self._shown += 1
        result = fault.result
        where = f" {result.key}" if result.key else ""
        why = describe(result.message, result.value)
        click.echo(f"line {fault.line}: {result.code}{where}: {why}", err=True)


def _tell(report: ImportReport, faults: _FaultPrinter) -> None:
    if faults.hidden:
        click.echo(f"and {faults.hidden} more lines", err=True)
    for name, events in report.dropped.most_common(_SHOWN_DROPPED):
        click.echo(f"metadata {name} was not kept (events: {events})", err=True)
    if len(report.dropped) > _SHOWN_DROPPED:
        click.echo(f"and {len(report.dropped) - _SHOWN_DROPPED} more metadata keys", err=True)
    click.echo(", ".join(f"{report.counts[status]} {status}" for status in Status))
    if report.faults:
        sys.exit(1)


@click.command()
@click.option("--tenant", "tenant_id", required=True)
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First local date.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last local date, included.")
@click.option("--range", "range_name", type=click.Choice(sorted(RANGES)), help="Default: 30d.")
@click.option(
    "--as-reported",
    "known_on",
    type=click.DateTime(["%Y-%m-%d"]),
    help="As it was known at the end of this local date; of days that had closed by then.",
)
def export(
    tenant_id: str,
    first: datetime | None,
    last: datetime | None,
    range_name: str | None,
    known_on: datetime | None,
) -> None:
    """Write a tenant's usage as CSV to standard output: a line a day, channel and feature."""
    # Faults of the options are named by option, and before a ledger is looked for.
    if (first is None) != (last is None):
        raise click.UsageError("--from and --to go together")
    if first is not None and range_name is not None:
        raise click.UsageError("give --range, or --from and --to")
    wiring = open_ledger()
    with operator_session(wiring.engine) as session:
        tenant = get_tenant(session, parse_tenant_id(tenant_id, reserved=True))
    now = wiring.clock()
    dates = parse_range(range_name, _iso(first), _iso(last), now=now, zone=tenant.zone_at(now))
    with tenant_session(wiring.engine, tenant.tenant_id) as own:
        if known_on is None:
            lines = read_export(own, dates)
        else:
            lines = read_reported(own, tenant, dates, known_on=known_on.date(), now=now)
        for text in write_csv(lines):
            click.echo(text, nl=False)


def _iso(value: datetime | None) -> str | None:
    return None if value is None else value.date().isoformat()
