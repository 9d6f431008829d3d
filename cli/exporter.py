"""`meterline exporter`: shows the state of metering to Prometheus, on a port of its own."""

import signal
import threading
from fractions import Fraction
from functools import partial

import click

from cli.schema import require_current
from cli.wiring import connect
from exporter.watch import Watch
from ledger.errors import UnavailableError
from ledger.money import parse_usd
from ledger.settings import Settings

_ENDING = (signal.SIGTERM, signal.SIGINT)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=9464, show_default=True, type=click.IntRange(0, 65535))
def exporter(host: str, port: int) -> None:
    """Serve metrics for Prometheus at /metrics."""
    # The client of Prometheus is of no use to other commands, which start faster without it.
    from exporter.collectors import choose_collectors  # noqa: PLC0415
    from exporter.scrape import Scrape  # noqa: PLC0415
    from exporter.server import PATH, open_server  # noqa: PLC0415

    tell = partial(click.echo, err=True)
    wiring = connect(for_requests=True)
    try:
        require_current(wiring.engine)
    except UnavailableError as error:  # that, too, is to be seen by who scrapes
        tell(f"waiting: {error.message}")
    collectors = choose_collectors(_watch(wiring.settings), ships=wiring.target is not None)
    scrape = Scrape(wiring.engine, collectors, clock=wiring.clock, tell=tell)
    # Blocked here and so in every thread that is started: the one that waits for them gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    with open_server(host, port, scrape) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"metrics at http://{shown}:{server.server_port}{PATH}")
        signal.sigwait(_ENDING)
        server.shutdown()
        serving.join()


def _watch(settings: Settings) -> Watch:
    """Return the limits of the settings, exactly."""
    return Watch(
        tenants=settings.metrics_tenants,
        ai_share=Fraction(settings.alert_ai_share),
        ai_amount=parse_usd(f"{settings.alert_ai_usd:f}"),
        hour_amount=parse_usd(f"{settings.alert_hour_usd:f}"),
    )
