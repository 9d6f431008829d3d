"""The price book in the ledger: entries and catalogues, append-only."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from costing.pricing.card import digest
from costing.pricing.catalogue import Catalogue, restore_catalogue
from costing.pricing.entries import KIND_NAMES, Entry, Scope, read_entry, write_entry
from costing.pricing.flat import FlatMap
from costing.pricing.resolution import Book, Dated
from ledger.errors import MissingError
from ledger.models import price_entries
from ledger.sequence import take_numbers
from ledger.session import OperatorSession

_CATALOGUE_KIND = "catalogue"
_ENTRY = price_entries.c


class Laid(NamedTuple):
    """An entry or a catalogue as it lies in the ledger.

    Attributes:
        origin: the name of the file, or of the package, that it came from.
    """

    entry_id: int
    added_at: datetime
    origin: str
    what: Entry | Dated


def read_laid(session: OperatorSession) -> list[Laid]:
    """Return all that was laid down, oldest first.

    Raises:
        MissingError: `edited_price_entry`.
    """
    query = sa.select(price_entries).order_by(_ENTRY.entry_id)
    return [_read(row) for row in session.connection.execute(query).mappings()]


def read_book(session: OperatorSession, flat: FlatMap) -> Book:
    """Return the price book as it is now.

    Raises:
        MissingError: `edited_price_entry`.
    """
    return build_book(flat, read_laid(session))


def build_book(flat: FlatMap, laid: Sequence[Laid]) -> Book:
    """Return the price book that these make."""
    return Book(flat=flat, laid=[each.what for each in laid])


def find_newest(session: OperatorSession) -> int:
    """Return the number of what was laid down last, 0 where there is nothing."""
    query = sa.select(sa.func.coalesce(sa.func.max(_ENTRY.entry_id), 0))
    newest: int = session.connection.execute(query).scalar_one()
    return newest


def append_entries(
    session: OperatorSession, entries: Sequence[Entry], *, origin: str, now: datetime
) -> None:
    """Lay entries down; those that are there already must be left out by the caller."""
    rows: list[dict[str, object]] = [
        {
            "kind": KIND_NAMES[type(entry)],
            "tenant_id": entry.scope.tenant_id,
            "plan": entry.scope.plan,
            "starts_on": entry.starts_on,
            "document": write_entry(entry),
        }
        for entry in entries
    ]
    _append(session, rows, origin=origin, now=now)


def append_catalogue(
    session: OperatorSession,
    catalogue: Catalogue,
    *,
    starts_on: date,
    origin: str,
    now: datetime,
) -> None:
    """Lay a catalogue down."""
    row: dict[str, object] = {
        "kind": _CATALOGUE_KIND,
        "tenant_id": None,
        "plan": None,
        "starts_on": starts_on,
        "document": catalogue.document,
    }
    _append(session, [row], origin=origin, now=now)


def _append(
    session: OperatorSession, rows: Sequence[dict[str, object]], *, origin: str, now: datetime
) -> None:
    if not rows:
        return
    numbers = take_numbers(session.connection, len(rows))
    session.connection.execute(
        sa.insert(price_entries),
        [
            {
                **row,
                "entry_id": number,
                "digest": _digest(row),
                "origin": origin,
                "added_at": now,
            }
            for number, row in zip(numbers, rows, strict=True)
        ],
    )


def _digest(row: sa.RowMapping | Mapping[str, Any]) -> str:
    """Return what tells the price that a row says from any other."""
    said = [row["kind"], row["tenant_id"], row["plan"], row["starts_on"], row["document"]]
    return digest(orjson.dumps(said).decode())


def _read(row: sa.RowMapping) -> Laid:
    what: Entry | Dated
    if row["digest"] != _digest(row):
        raise MissingError(
            "edited_price_entry",
            f"price entry {row['entry_id']} was edited in the ledger: {row['document'][:200]}",
            key="entry_id",
            value=row["entry_id"],
        )
    if row["kind"] == _CATALOGUE_KIND:
        what = Dated(row["starts_on"], restore_catalogue(row["document"]))
    else:
        scope = Scope(row["tenant_id"], row["plan"])
        what = read_entry(row["kind"], row["starts_on"], scope, row["document"])
    return Laid(row["entry_id"], row["added_at"], row["origin"], what)
