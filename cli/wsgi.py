"""The WSGI entry point for servers that import one: `cli.wsgi:create()`."""

from flask import Flask

from api.app import create_app
from cli.wiring import open_ledger


def create() -> Flask:
    """Build the application from the environment."""
    return create_app(open_ledger().services)
