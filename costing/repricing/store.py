"""Reads rollup rows a page at a time: there can be millions."""

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from costing.repricing.page import KIND, Row, RowKind
from ledger.measures import MEASURE_COLUMNS, Measures
from ledger.models import usage_rollups_daily
from ledger.period import DateRange
from ledger.rollups import SP3_PRICE_VERSION
from ledger.session import TenantSession

PAGE_ROWS = 20_000
"""Most rows in one transaction."""

_ROW = usage_rollups_daily.c
_PLACE = (_ROW.date, _ROW.rollup_id)
_KIND = [_ROW[name] for name in KIND]
_MEASURES = [_ROW[name] for name in MEASURE_COLUMNS]


class Place(NamedTuple):
    """Where a page ended, in the order of the primary key."""

    date: date
    rollup_id: UUID


class Page(NamedTuple):
    """Some rollup rows of a tenant, one after the other.

    Attributes:
        dates: local dates of the tenant.
        model: only rows of this model; None: all rows.
        after: where the page before ended, None for the first.
        end: the last row, None where no more than a page is left.
    """

    dates: DateRange
    model: str | None
    after: Place | None
    end: Place | None = None


def find_page(
    session: TenantSession, dates: DateRange, *, model: str | None, after: Place | None
) -> Page:
    """Return the next page."""
    page = Page(dates, model, after)
    query = (
        sa.select(*_PLACE)
        .where(*is_on(session, page))
        .order_by(*_PLACE)
        .offset(PAGE_ROWS - 1)
        .limit(1)
    )
    found = session.connection.execute(query).first()
    return page if found is None else page._replace(end=Place(*found))


def is_on(session: TenantSession, page: Page) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the conditions that a row is on a page.

    Opening balances of SP-3 are on none: nothing is known that could be rated.
    """
    yield _ROW.tenant_id == session.tenant_id
    # The index is read from where the page begins to where it ends.
    yield _ROW.date >= (page.dates.start if page.after is None else page.after.date)
    yield _ROW.date < page.dates.end
    if page.end is not None:
        yield _ROW.date <= page.end.date
        yield sa.tuple_(*_PLACE) <= page.end
    if page.after is not None:
        yield sa.tuple_(*_PLACE) > page.after
    yield _ROW.price_version != SP3_PRICE_VERSION
    if page.model is not None:
        yield _ROW.model == page.model


def read_kinds(session: TenantSession, page: Page) -> list[RowKind]:
    """Return of which kinds the rows of a page are."""
    query = sa.select(*_KIND).where(*is_on(session, page)).distinct()
    return [RowKind._make(row) for row in session.connection.execute(query).all()]


def read_rows(session: TenantSession, *conditions: sa.ColumnElement[bool]) -> list[Row]:
    """Return rows with what their price depends on and what they are rated as."""
    query = sa.select(
        *_KIND,
        _ROW.rollup_id,
        *_MEASURES,
        _ROW.estimated_cost,
        _ROW.price_version,
        _ROW.state,
    ).where(_ROW.tenant_id == session.tenant_id, *conditions)
    first = len(KIND) + 1
    last = first + len(MEASURE_COLUMNS)
    return [
        Row(
            RowKind._make(row[: first - 1]),
            row[first - 1],
            Measures._make(row[first:last]),
            *row[last:],
        )
        for row in session.connection.execute(query).all()
    ]
