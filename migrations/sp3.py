"""Looks at an SP-3 database before it is taken over: what cannot be is named, nothing moves."""

from collections.abc import Iterator

import sqlalchemy as sa

from ledger.errors import InvalidError
from ledger.tenant import parse_tenant_id

_SHOWN = 20

_SQLITE_FAULTS = {
    "usage_metrics": {
        "time": "julianday(time) IS NULL OR date(time) NOT BETWEEN '2000-01-01' AND '2999-12-31'"
        " OR typeof(time) <> 'text' OR length(time) < 16",
        "quantity": "typeof(quantity) <> 'integer' OR quantity NOT BETWEEN 0 AND 1000000000",
    },
    "usage_rollups_daily": {
        "date": "date(date) IS NOT date OR date NOT BETWEEN '2000-01-01' AND '2999-12-31'",
        "count": "typeof(count) <> 'integer' OR abs(count) > 1000000000000",
        "quantity": "typeof(quantity) <> 'integer' OR abs(quantity) > 1000000000000000",
        "estimated_cost": "typeof(estimated_cost) NOT IN ('null', 'integer', 'real')"
        " OR abs(estimated_cost) > 9000000000",
    },
}


def check_sp3(connection: sa.Connection) -> None:
    """Refuse to take over rows that the ledger could not hold, naming them.

    Raises:
        InvalidError: `unusable_sp3_rows`.
    """
    faults = [*_tenant_faults(connection), *_value_faults(connection)]
    if faults:
        shown = "".join(f"\n  {fault}" for fault in faults[:_SHOWN])
        more = f"\n  and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise InvalidError(
            "unusable_sp3_rows", f"mend these rows first, nothing was changed:{shown}{more}"
        )


def _tenant_faults(connection: sa.Connection) -> Iterator[str]:
    for table in _SQLITE_FAULTS:
        for tenant_id in connection.execute(
            sa.text(f"SELECT DISTINCT tenant_id FROM {table}")
        ).scalars():
            try:
                parse_tenant_id(tenant_id)
            except InvalidError as error:
                yield f"{table}: tenant_id {tenant_id!r}: {error.message}"


def _value_faults(connection: sa.Connection) -> Iterator[str]:
    # PostgreSQL's columns have types that hold; SQLite keeps whatever was written.
    if connection.dialect.name != "sqlite":
        return
    for table, columns in _SQLITE_FAULTS.items():
        for column, condition in columns.items():
            query = f"SELECT rowid, {column} FROM {table} WHERE {condition} LIMIT {_SHOWN + 1}"
            for rowid, value in connection.execute(sa.text(query)):
                yield f"{table}: row {rowid}: {column} {value!r}"
