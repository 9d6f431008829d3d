"""Looks at an SP-3 database before it is taken over: what cannot be is named, nothing moves."""

from collections.abc import Iterator

import sqlalchemy as sa

from ledger.errors import InvalidError
from ledger.tenant import parse_tenant_id

_SHOWN = 20

_TABLES = ("usage_metrics", "usage_rollups_daily")

_TIME, _DATE = (f"NOT BETWEEN '2000-01-01'{kind} AND '2999-12-31'{kind}" for kind in ("", "::date"))

_QUANTITY = "quantity NOT BETWEEN 0 AND 1000000000"
_SUMS = {
    "count": "abs(count) > 1000000000000",
    "quantity": "abs(quantity) > 1000000000000000",
    "estimated_cost": "abs(estimated_cost) > 9000000000",
}
# SQLite keeps whatever was written, so the type of each value is looked at, too.
_SQLITE_FAULTS = {
    "usage_metrics": {
        "time": f"julianday(time) IS NULL OR date(time) {_TIME}"
        " OR typeof(time) <> 'text' OR length(time) < 16",
        "quantity": f"typeof(quantity) <> 'integer' OR {_QUANTITY}",
    },
    "usage_rollups_daily": {
        "date": f"date(date) IS NOT date OR date {_TIME}",
        "count": f"typeof(count) <> 'integer' OR {_SUMS['count']}",
        "quantity": f"typeof(quantity) <> 'integer' OR {_SUMS['quantity']}",
        "estimated_cost": "typeof(estimated_cost) NOT IN ('null', 'integer', 'real')"
        f" OR {_SUMS['estimated_cost']}",
    },
}
_POSTGRESQL_FAULTS = {
    "usage_metrics": {
        "time": f"CAST(time AT TIME ZONE 'UTC' AS date) {_DATE}",
        "quantity": _QUANTITY,
    },
    "usage_rollups_daily": {"date": f"date {_DATE}", **_SUMS},
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
    for table in _TABLES:
        for tenant_id in connection.execute(
            sa.text(f"SELECT DISTINCT tenant_id FROM {table}")
        ).scalars():
            try:
                parse_tenant_id(tenant_id)
            except InvalidError as error:
                yield f"{table}: tenant_id {tenant_id!r}: {error.message}"


def _value_faults(connection: sa.Connection) -> Iterator[str]:
    is_sqlite = connection.dialect.name == "sqlite"
    row_name = "rowid" if is_sqlite else "ctid"
    for table, columns in (_SQLITE_FAULTS if is_sqlite else _POSTGRESQL_FAULTS).items():
        for column, condition in columns.items():
            # A value that the driver has no type for, such as a year without end, is a text.
            shown = column if is_sqlite else f"CAST({column} AS text)"
            query = (
                f"SELECT CAST({row_name} AS text), {shown} FROM {table}"
                f" WHERE {condition} LIMIT {_SHOWN + 1}"
            )
            for row, value in connection.execute(sa.text(query.replace("::", r"\:\:"))):
                yield f"{table}: row {row}: {column} {value!r}"
