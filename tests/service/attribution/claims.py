"""What providers name in these tests, and how it is mapped."""

import sqlalchemy as sa

from collector.attribution.keeping import NewMapping, add_mapping
from ledger.session import operator_session
from tests.builders import NOW

HASH_KEY = "a key that only tests know"
ACCOUNT = "AC" + 32 * "a"
SERVICE = "MG" + 32 * "0"
NUMBER = "+13125550100"


def map_to(
    engine: sa.Engine,
    tenant: str,
    kind: str = "number",
    value: str = NUMBER,
    *,
    valid_from: str | None = "2026-01-01",
    label: str | None = None,
) -> int:
    """Map something to a tenant; return the mapping's number."""
    new = NewMapping(kind=kind, value=value, tenant=tenant, valid_from=valid_from, label=label)
    with operator_session(engine, write=True) as session:
        period, _ = add_mapping(session, new, hash_key=HASH_KEY.encode(), now=NOW)
    return period.row.mapping_id
