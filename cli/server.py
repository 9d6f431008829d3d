"""Gunicorn, configured by our command line instead of its own, with a costing worker beside it."""

import os
import subprocess
import sys
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from cli.wsgi import create


def server_options(host: str, port: int, *, workers: int) -> dict[str, Any]:
    """Return gunicorn's settings, by name, for serving on a port."""
    return {
        "bind": f"{host}:{port}",
        "workers": workers,
        "threads": 16,
        # The gateway takes queries of Grafana in the address; 4,094 bytes are few for a long one.
        "limit_request_line": 8190,
        "worker_class": "gthread",
        "proc_name": "meterline",
        "control_socket_disable": True,
        # What a proxy says is read by the application, and only where the settings trust one.
        # gunicorn would take it, and the path that is answered, from whoever is on this machine.
        "forwarded_allow_ips": "",
    }


class Server(BaseApplication):
    """An HTTP server whose every worker process builds its own application."""

    def __init__(self, options: dict[str, Any], *, costing: bool) -> None:
        """Take gunicorn's settings by name; `costing` keeps a costing worker running."""
        self._options = options
        self._costing = CostingWorker() if costing else None
        super().__init__()

    def load_config(self) -> None:
        """Hand our options on."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:  # type: ignore[override] # the stubs spell WSGI in types of their own
        """Build the application in the worker: connections must not be shared by a fork.

        A worker that could not start would end the whole server, and one is started whenever
        another died; `meterline serve` has looked at the schema.
        """
        return create(was_checked=True)

    def run(self) -> None:
        """Serve until told to stop."""
        try:
            _Arbiter(self, self._costing).run()
        finally:
            if self._costing is not None:
                self._costing.stop()


class CostingWorker:
    """A `meterline work` that ends with this process, started again when it dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def keep(self) -> None:
        """Start the worker unless it runs."""
        if self._process is None or self._process.poll() is not None:
            # -P: the current folder of an operator must not shadow our packages.
            command = [sys.executable, "-P", "-m", "cli.main", "work", "--parent", str(os.getpid())]
            self._process = subprocess.Popen(command)  # noqa: S603 - our own command, no input in it

    def stop(self) -> None:
        """Let the worker finish what it does, and wait for it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


class _Arbiter(Arbiter):
    """Gunicorn's master, which looks after the costing worker as often as after its own."""

    def __init__(self, server: Server, costing: CostingWorker | None) -> None:
        self._costing_worker = costing
        super().__init__(server)

    def start(self) -> None:
        try:
            super().start()
        except SystemExit:  # gunicorn's log has the reason, and no way out
            where = self.cfg.bind[0]
            tell = f"error: cannot listen on {where}; choose another by --port or --host"
            click.echo(tell, err=True)
            raise

    def manage_workers(self) -> None:
        super().manage_workers()
        if self._costing_worker is not None:
            self._costing_worker.keep()
