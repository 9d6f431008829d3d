"""Lays price entries down: all of a file or nothing, and nothing twice.

What is refused is told with file and line, all at once. The book that runs stays in force.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import NamedTuple

from costing.pricing.files import Line
from costing.pricing.flat import FlatMap
from costing.pricing.late import Late, find_late
from costing.pricing.refusals import (
    Fault,
    find_edited,
    find_new,
    find_one_sided,
    find_unknown_tenants,
)
from costing.pricing.resolution import Book
from costing.pricing.store import append_entries, build_book, read_laid
from ledger.errors import ConflictError
from ledger.period import tomorrow_everywhere, tomorrow_of
from ledger.session import OperatorSession
from ledger.tenant import Tenant, TenantId
from ledger.tenants import list_tenants

_DAY = timedelta(days=1)
_MAX_ORIGIN = 128
_NOBODY = TenantId("")


class Laying(NamedTuple):
    """What laying a file down comes to.

    Attributes:
        before: the price book as it is.
        after: the price book with the new entries.
        new: the lines whose entries are not there yet.
        faults: why it is refused, in the order of lines; nothing where it is not.
    """

    before: Book
    after: Book
    new: Sequence[Line]
    faults: Sequence[Fault]

    def require_sound(self, origin: str) -> None:
        """Check that nothing is refused.

        Raises:
            ConflictError: `refused_prices`, with file, line, reason and what to do of every fault.
        """
        if self.faults:
            told = "\n".join(f"{origin}:{fault.line}: {fault.reason}" for fault in self.faults)
            raise ConflictError("refused_prices", f"nothing is laid down\n{told}")


def lay_down(  # noqa: PLR0913 - what is laid down, and under which circumstances
    session: OperatorSession,
    lines: Sequence[Line],
    *,
    flat: FlatMap,
    origin: str,
    now: datetime,
    backdated: bool = False,
) -> Laying:
    """Lay the entries of a price file down, those that are not there yet; return what was done.

    Args:
        session: that writes; those of operators come one after the other.
        lines: of the file.
        flat: the flat map in force.
        origin: the name of the file, as it was given.
        now: the current instant.
        backdated: entries may begin before rows that are rated, which somebody then reprices.

    Raises:
        ConflictError: `refused_prices`, with file, line, reason and what to do of every fault.
        MissingError: `edited_price_entry`.
    """
    found = examine(session, lines, flat=flat, origin=origin, now=now, backdated=backdated)
    found.require_sound(origin)
    name = PurePath(origin).name[-_MAX_ORIGIN:]
    append_entries(session, [line.entry for line in found.new], origin=name, now=now)
    return found


def examine(  # noqa: PLR0913 - as above
    session: OperatorSession,
    lines: Sequence[Line],
    *,
    flat: FlatMap,
    origin: str,
    now: datetime,
    backdated: bool = False,
) -> Laying:
    """Return what laying a price file down comes to; the arguments are those of `lay_down`."""
    laid = read_laid(session)
    new = find_new(laid, lines)
    before = build_book(flat, laid)
    after = Book(flat=flat, laid=[*before.laid, *(line.entry for line in new)])
    tenants = {tenant.tenant_id: tenant for tenant in list_tenants(session)}
    faults = [
        *find_edited(laid, new),
        *find_unknown_tenants(new, tenants),
        *find_one_sided(after, new),
    ]
    if not backdated:
        # Those that start later, too: usage may be dated ahead, as far as clocks may differ.
        late = find_late(session, before, new, tenants)
        faults += _tell_late(new, late, tenants, origin=origin, now=now)
    return Laying(before, after, new, sorted(faults))


def _tell_late(
    new: Sequence[Line],
    late: Mapping[int, Late],
    tenants: Mapping[TenantId, Tenant],
    *,
    origin: str,
    now: datetime,
) -> Iterator[Fault]:
    for line in new:
        found = late.get(line.number)
        if found is None:
            continue
        tenant = tenants.get(line.entry.scope.tenant_id or _NOBODY)
        first = tomorrow_everywhere(now) if tenant is None else tomorrow_of(tenant, now=now)
        first = max(first, found.last + _DAY)
        yield Fault(
            line.number,
            f"it starts on {line.entry.starts_on}, and {found.rows} rollup rows of"
            f" {len(found.tenants)} tenants are rated otherwise already: start it on {first} or"
            f" later, or change them by: meterline reprice --prices {origin}"
            f' --from {found.first} --to {found.last} --reason "…"',
        )
