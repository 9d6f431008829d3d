"""`meterline serve`: the HTTP side under gunicorn, with a costing worker beside it."""

import click

from cli.wiring import open_ledger


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option("--work/--no-work", default=True, help="Run the costing worker beside the server.")
def serve(host: str, port: int, workers: int, *, work: bool) -> None:
    """Serve the HTTP API."""
    # Flask and gunicorn take a third of the time that other commands need to start.
    from cli.server import Server, server_options  # noqa: PLC0415

    # Tells now what is wrong with the ledger, and leaves no connection that a fork would share.
    open_ledger().engine.dispose()
    Server(server_options(host, port, workers=workers), costing=work).run()
