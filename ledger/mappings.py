"""Mappings in SQL: whose what a provider names is. Rows are appended and never changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from ledger.errors import MissingError
from ledger.models import provider_mappings
from ledger.session import OperatorSession
from ledger.tenant import TenantId

_COLUMNS = provider_mappings.c
_IN_ONE_QUERY = 500
"""Most values that one query names, since SQLite takes no more than some thousand."""

_MOST = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderMapping:
    """One row of the history of what a provider names.

    Attributes:
        value: the name, or its keyed hash where it is personal.
        digits: the last four of a phone number.
        key_mark: which key made the hash; None: the value is no hash.
        tenant_id: whose it is from `valid_from` on; None: nobody's.
        label: what people call it.
        ends: the row that this one ends, where it is an end: any other that is in force by then
            goes on. None: no end, or one of whatever is in force.
    """

    mapping_id: int
    kind: str
    value: str
    digits: str | None
    key_mark: str | None
    tenant_id: TenantId | None
    valid_from: datetime
    label: str | None
    created_at: datetime
    ends: int | None = None


def append_mapping(  # noqa: PLR0913 - each argument is a column; keyword-only keeps calls readable
    session: OperatorSession,
    *,
    kind: str,
    value: str,
    digits: str | None,
    key_mark: str | None,
    tenant_id: TenantId | None,
    valid_from: datetime,
    label: str | None,
    ends: int | None = None,
    now: datetime,
) -> ProviderMapping:
    """Append a row. Operators write one at a time, so its number is the next one."""
    query = sa.select(sa.func.coalesce(sa.func.max(_COLUMNS.mapping_id), 0))
    appended = ProviderMapping(
        mapping_id=session.connection.execute(query).scalar_one() + 1,
        kind=kind,
        value=value,
        digits=digits,
        key_mark=key_mark,
        tenant_id=tenant_id,
        valid_from=valid_from,
        label=label,
        created_at=now,
        ends=ends,
    )
    values = {name: getattr(appended, name) for name in _COLUMNS.keys()}  # noqa: SIM118 - no dict
    session.connection.execute(sa.insert(provider_mappings).values(values))
    return appended


def list_mappings(session: OperatorSession) -> list[ProviderMapping]:
    """Return all rows, in the order in which they were written."""
    return _read(session, sa.true())


def find_mappings(session: OperatorSession, values: Iterable[str]) -> list[ProviderMapping]:
    """Return all rows of things with one of these values, of whatever kind."""
    wanted = sorted(set(values))
    parts = [wanted[n : n + _IN_ONE_QUERY] for n in range(0, len(wanted), _IN_ONE_QUERY)]
    return [row for part in parts for row in _read(session, _COLUMNS.value.in_(part))]


def get_mapping(session: OperatorSession, mapping_id: int) -> ProviderMapping:
    """Return one row.

    Raises:
        MissingError: `unknown_mapping`.
    """
    found = _read(session, _COLUMNS.mapping_id == mapping_id) if mapping_id <= _MOST else []
    if not found:
        raise unknown_mapping(mapping_id)
    return found[0]


def unknown_mapping(mapping_id: int) -> MissingError:
    """Return the error of a mapping that is not there."""
    return MissingError(
        "unknown_mapping", f"there is no mapping {mapping_id}", key="mapping", value=mapping_id
    )


def _read(session: OperatorSession, condition: sa.ColumnElement[bool]) -> list[ProviderMapping]:
    query = sa.select(provider_mappings).where(condition).order_by(_COLUMNS.mapping_id)
    return [ProviderMapping(**row) for row in session.connection.execute(query).mappings()]
