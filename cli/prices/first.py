"""Gives a new ledger its first price catalogue."""

from cli.wiring import Wiring
from costing.pricing.resolution import Dated
from costing.pricing.snapshots import lay_first_catalogue
from ledger.session import operator_session


def take_first_catalogue(wiring: Wiring) -> Dated | None:
    """Lay the prices of the installed package down, where there are none; return them."""
    with operator_session(wiring.engine, write=True) as session:
        return lay_first_catalogue(session, now=wiring.clock())
