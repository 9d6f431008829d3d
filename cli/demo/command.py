"""`meterline demo`: a ledger of invented tenants, to look at."""

import shlex
import sys
from collections import Counter
from datetime import UTC
from pathlib import Path

import click
from click.core import ParameterSource
from tabulate import tabulate

from cli import schema
from cli.demo.file import make_demo_file
from cli.demo.run import book_deliveries, need_no_tenants, prepare_ledger, trust_the_cache
from cli.demo.serving import check_port, serve_demo
from cli.demo.tenants import TENANTS
from cli.demo.usage import count_deliveries, deliver_usage
from cli.wiring import Wiring, connect
from costing.verify import Report, verify
from ledger.event import Status
from ledger.money import Nanos, format_usd

_DEFAULT_PATH = Path("meterline-demo.db")
_MOST_DAYS = 366


@click.command()
@click.option(
    "--days",
    default=90,
    show_default=True,
    type=click.IntRange(1, _MOST_DAYS),
    help="Days of usage up to the start of today (UTC).",
)
@click.option(
    "--path",
    default=_DEFAULT_PATH,
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the ledger. Made anew if a demo made it; any other file is left as it is.",
)
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="On 127.0.0.1."
)
@click.option("--no-serve", is_flag=True, help="Make the ledger and stop.")
@click.option(
    "--fill", is_flag=True, help="Fill the ledger that the settings name, if it is empty, and stop."
)
def demo(days: int, path: Path, port: int, *, no_serve: bool, fill: bool) -> None:
    """Make a ledger with invented tenants and plausible usage, and serve it.

    The usage goes through the real intake and costing and is verified. The same day and the same
    --days give the same figures every time. Links that sign in are printed when it is served.
    """
    if fill:
        _fill_configured(days)
        return
    if not no_serve:
        check_port(port)
    url = f"sqlite:///{path}"
    wiring = connect(url)
    if wiring.engine.url.database != str(path):
        raise click.UsageError(f"{path} does not fit into a database URL; name another --path")
    make_demo_file(path)
    trust_the_cache(wiring.engine)
    _fill(wiring, days)
    click.echo(f"ledger: {path}")
    if no_serve:
        click.echo(f"next: METERLINE_DATABASE_URL={shlex.quote(url)} meterline verify")
    else:
        serve_demo(wiring.engine, url, port=port, now=wiring.clock())


def _fill_configured(days: int) -> None:
    """Fill the ledger that the settings name.

    Raises:
        ConflictError: `ledger_in_use`.
        UsageError: for options that name another ledger.
    """
    context = click.get_current_context()
    for name in ("path", "port"):
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--fill takes the ledger of the settings and no --{name}")
    wiring = connect()
    schema.upgrade(wiring.engine)
    need_no_tenants(wiring)
    _fill(wiring, days)


def _fill(wiring: Wiring, days: int) -> None:
    """Register the tenants, book and cost their usage, and check that all of it ties."""
    began = wiring.clock()
    today = began.astimezone(UTC).date()
    prepare_ledger(wiring, TENANTS, days=days, today=today)
    deliveries = deliver_usage(TENANTS, days=days, today=today)
    with click.progressbar(
        deliveries, length=count_deliveries(days), label="demo", file=sys.stderr
    ) as bar:
        counts = book_deliveries(wiring, bar, now=began)
    report = verify(wiring.engine, wiring.flat_map)
    if report.differences:
        click.echo(f"error: the demo ledger does not tie: {report.differences[0]}", err=True)
        sys.exit(1)
    _tell(counts, report, seconds=(wiring.clock() - began).total_seconds())


def _tell(counts: Counter[Status], report: Report, *, seconds: float) -> None:
    rows = [
        ("tenants", len(report.totals)),
        ("events stored", counts[Status.STORED]),
        ("duplicates", counts[Status.DUPLICATE]),
        ("conflicts", counts[Status.CONFLICT]),
        ("unpriced events", sum(total.unpriced_events for total in report.totals)),
        ("total cost USD", format_usd(Nanos(sum(total.cost for total in report.totals)))),
        ("seconds taken", f"{seconds:.1f}"),
    ]
    click.echo(tabulate(rows, tablefmt="plain", disable_numparse=True, colalign=("left", "right")))
