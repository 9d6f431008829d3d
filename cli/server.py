"""Gunicorn, configured by our command line instead of its own."""

from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from cli.wsgi import create


class Server(BaseApplication):
    """An HTTP server whose every worker process builds its own application."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        """Hand our options on."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:  # type: ignore[override] # the stubs spell WSGI in types of their own
        """Build the application in the worker: connections must not be shared by a fork."""
        return create()
