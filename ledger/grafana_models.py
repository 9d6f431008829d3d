"""The table of what Grafana has for tenants. `ledger.models` has it too, with all the others."""

import sqlalchemy as sa

from ledger.columns import UtcDateTime, plain_text
from ledger.registry import metadata

# One row for each tenant that has an organisation in Grafana. No secret is here: the data source's
# is in Grafana alone, and its key is known by its id.
grafana_orgs = sa.Table(
    "grafana_orgs",
    metadata,
    sa.Column("tenant_id", plain_text(64), primary_key=True),
    sa.Column("org_id", sa.BigInteger),
    # Of all that was provisioned, as it was wanted; it is current where the same is wanted now.
    sa.Column("digest", plain_text(64)),
    sa.Column("provisioned_at", UtcDateTime),
    # Who provisions it, and until when nobody else may.
    sa.Column("lease_owner", plain_text(32)),
    sa.Column("lease_until", UtcDateTime),
)
