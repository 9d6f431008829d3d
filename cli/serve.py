"""`meterline serve`: the HTTP side under gunicorn, with a costing worker beside it."""

import subprocess
import sys
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication

from api.app import create_app
from cli.wiring import open_ledger


class _Server(BaseApplication):
    """Gunicorn with options from our command line instead of its own."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:  # type: ignore[override] # the stubs spell WSGI in types of their own
        # Each worker process builds its own engine: connections must not be shared by a fork.
        return create_app(open_ledger().services)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option("--work/--no-work", default=True, help="Run the costing worker beside the server.")
def serve(host: str, port: int, workers: int, *, work: bool) -> None:
    """Serve the HTTP API."""
    open_ledger()
    worker = _start_worker() if work else None
    try:
        _Server(
            {
                "bind": f"{host}:{port}",
                "workers": workers,
                "threads": 4,
                "worker_class": "gthread",
                "proc_name": "meterline",
                "control_socket_disable": True,
            }
        ).run()
    finally:
        if worker is not None:
            worker.terminate()
            worker.wait()


def _start_worker() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cli.main", "work", "--with-parent"]
    return subprocess.Popen(command)  # noqa: S603 - our own command, no input in it
