"""What `meterline doctor` looks at in Grafana and in the way to it."""

from collections.abc import Iterator

from cli.findings import Finding
from cli.wiring import Wiring
from ledger.errors import MeterlineError
from ledger.session import operator_session
from ledger.tenant import UNATTRIBUTED
from ledger.tenants import list_tenants


def examine_grafana(wiring: Wiring) -> Iterator[Finding]:
    """Look at signing keys, the login of provisioning, and who is not provisioned yet."""
    embedding, provisioner = wiring.embedding, wiring.provisioner
    if embedding is None or provisioner is None:
        return
    try:
        key = embedding.keys.current()
        yield Finding(ok=True, text=f"key {key.kid} signs who looks at Grafana")
    except MeterlineError as error:
        yield Finding(ok=False, text=error.message)
    try:
        provisioner.check_login()
        yield Finding(ok=True, text=f"Grafana at {wiring.settings.grafana_url}")
    except MeterlineError as error:
        yield Finding(ok=False, text=f"METERLINE_GRAFANA_URL: {error.message}")
    with operator_session(wiring.engine) as session:
        tenants = list_tenants(session)
    wanted = [t for t in tenants if t.closed_at is None and t.tenant_id != UNATTRIBUTED]
    behind = sum(not provisioner.is_current(tenant) for tenant in wanted)
    if behind:
        yield Finding(
            ok=None,
            text=f"{behind} tenants are not provisioned as they are now; that happens with the"
            " next look at their page, or by `meterline grafana provision`",
        )
