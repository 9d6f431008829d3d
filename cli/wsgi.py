"""The WSGI entry point: `cli.wsgi:create()` builds the application from the environment."""

from flask import Flask

from api.app import create_app
from api.services import Services
from cli.counting import CounterWriter
from cli.wiring import connect, open_ledger


def create(*, was_checked: bool = False) -> Flask:
    """Build the application around the ledger that the settings name.

    Args:
        was_checked: the schema was found to be current. Then the ledger is not asked for anything,
            so that a process which starts while it does not answer is there when it does.
    """
    wiring = connect(for_requests=True) if was_checked else open_ledger(for_requests=True)
    services = Services(
        engine=wiring.engine,
        intake=wiring.intake,
        reception=wiring.reception,
        settings=wiring.settings,
        clock=wiring.clock,
        embedding=wiring.embedding,
    )
    app = create_app(services)
    CounterWriter(wiring.engine, services.counters).start()
    return app
