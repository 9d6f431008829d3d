"""A Grafana as pages know it, that is whatever a test says it is."""

from dataclasses import dataclass
from pathlib import Path

from api.embedding.grafana import Embedding
from api.embedding.keys import Keys, rotate_keys
from grafana.dashboards.catalogue import PIPELINE, SYSTEM_USAGE, TENANT_USAGE, BoardRef
from grafana.provisioning.names import OPERATOR_LOGIN, login_of
from ledger.tenant import Tenant, TenantId


@dataclass
class Shown:
    """Whether Grafana answers, and which tenants have their board."""

    up: bool = True
    ready: bool = True
    tenant_board: BoardRef = TENANT_USAGE
    system_board: BoardRef = SYSTEM_USAGE
    pipeline_board: BoardRef = PIPELINE

    def login_of(self, tenant_id: TenantId | None) -> str:
        return OPERATOR_LOGIN if tenant_id is None else login_of(tenant_id)

    def is_up(self) -> bool:
        return self.up

    def is_ready(self, tenant: Tenant) -> bool:
        return self.ready and tenant.closed_at is None


def embedding_of(shown: Shown, folder: Path) -> Embedding:
    """Return what embeds that Grafana, with keys of its own."""
    rotate_keys(folder)
    return Embedding(grafana=shown, keys=Keys(folder))
