"""Brings the prices of the installed package into the ledger: at first, and when told to."""

from collections.abc import Sequence
from datetime import date, datetime
from importlib.metadata import version

import sqlalchemy as sa

from costing.pricing.catalogue import CATALOGUE_SOURCE, Catalogue
from costing.pricing.resolution import Dated
from costing.pricing.store import Laid, append_catalogue, read_laid
from ledger.models import usage_rollups_daily
from ledger.period import FIRST_DATE, tomorrow_everywhere
from ledger.session import OperatorSession


def installed_package() -> str:
    """Return name and version of the package whose prices a snapshot has."""
    return f"{CATALOGUE_SOURCE} {version(CATALOGUE_SOURCE)}"


def read_installed() -> Catalogue:
    """Return a snapshot of what the installed package has.

    Raises:
        InvalidError: `unknown_catalogue`.
    """
    # The package takes a third of a second to load, which few commands need.
    from costing.pricing.published import take_snapshot  # noqa: PLC0415

    return take_snapshot()


def find_catalogue(laid: Sequence[Laid]) -> Dated | None:
    """Return the catalogue that was laid down last, None where there is none."""
    catalogues = [each.what for each in laid if isinstance(each.what, Dated)]
    return catalogues[-1] if catalogues else None


def lay_first_catalogue(session: OperatorSession, *, now: datetime) -> Dated | None:
    """Lay down what the installed package has, where there is no catalogue; return it.

    It is in force from the first date on, so that all usage is rated by it; where usage was rated
    before, from the first date on that has begun nowhere.
    """
    if find_catalogue(read_laid(session)) is not None:
        return None
    is_new = session.connection.execute(sa.select(usage_rollups_daily).limit(1)).first() is None
    starts_on = FIRST_DATE if is_new else tomorrow_everywhere(now)
    return lay_catalogue(session, read_installed(), starts_on=starts_on, now=now)


def lay_catalogue(
    session: OperatorSession, catalogue: Catalogue, *, starts_on: date, now: datetime
) -> Dated:
    """Lay a snapshot of the installed package down."""
    append_catalogue(session, catalogue, starts_on=starts_on, origin=installed_package(), now=now)
    return Dated(starts_on, catalogue)
