"""The WSGI entry point: `cli.wsgi:create()` builds the application from the environment."""

from flask import Flask

from api.app import create_app
from api.services import Services
from cli.wiring import open_ledger


def create() -> Flask:
    """Build the application around the ledger that the settings name."""
    wiring = open_ledger(for_requests=True)
    services = Services(
        engine=wiring.engine,
        intake=wiring.intake,
        settings=wiring.settings,
        clock=wiring.clock,
    )
    return create_app(services)
