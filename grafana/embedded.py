"""What pages need to know of Grafana: which boards there are, for whom, and whether now."""

from datetime import datetime, timedelta
from logging import Logger
from threading import Lock, Thread

from grafana.dashboards.catalogue import PIPELINE, SYSTEM_USAGE, TENANT_USAGE
from grafana.provisioning.job import Provisioner
from grafana.provisioning.names import OPERATOR_LOGIN, login_of
from grafana.provisioning.probe import Probe
from ledger.clock import Clock
from ledger.errors import MeterlineError
from ledger.tenant import Tenant, TenantId

RESTS = timedelta(minutes=1)
"""How long a tenant whose provisioning failed is left alone."""

_AT_ONCE = 4


class Embedded:
    """Boards that can be shown, and provisions a tenant that looks for the first time.

    Nobody waits for that: who looks meanwhile is told that the board is not ready.
    """

    tenant_board = TENANT_USAGE
    system_board = SYSTEM_USAGE
    pipeline_board = PIPELINE

    def __init__(
        self, provisioner: Provisioner, probe: Probe, *, clock: Clock, logger: Logger
    ) -> None:
        self._provisioner = provisioner
        self._probe = probe
        self._clock = clock
        self._logger = logger
        self._lock = Lock()
        self._busy: set[TenantId] = set()
        self._rests_until: dict[TenantId, datetime] = {}

    def login_of(self, tenant_id: TenantId | None) -> str:
        """Return the login of a tenant's viewer in Grafana; None: that of operators."""
        return OPERATOR_LOGIN if tenant_id is None else login_of(tenant_id)

    def is_up(self) -> bool:
        """Whether Grafana answers; known within a second."""
        return self._probe.is_up()

    def is_ready(self, tenant: Tenant) -> bool:
        """Whether a tenant's board is as it is wanted now; else it is made so behind the page.

        A closed tenant has none: what it used is shown by the page itself.

        Raises:
            UnavailableError: `ledger_unavailable`.
        """
        if tenant.closed_at is not None:
            return False
        if self._provisioner.is_current(tenant):
            return True
        self._begin(tenant)
        return False

    @property
    def is_busy(self) -> bool:
        """Whether a tenant is being provisioned."""
        with self._lock:
            return bool(self._busy)

    def _begin(self, tenant: Tenant) -> None:
        with self._lock:
            rests = self._rests_until.get(tenant.tenant_id)
            is_resting = rests is not None and self._clock() < rests
            if is_resting or tenant.tenant_id in self._busy or len(self._busy) >= _AT_ONCE:
                return
            self._busy.add(tenant.tenant_id)
        Thread(target=self._provision, args=(tenant,), daemon=True).start()

    def _provision(self, tenant: Tenant) -> None:
        try:
            self._provisioner.provision(tenant)
        except MeterlineError as error:
            self._logger.warning("Grafana: tenant %s: %s", tenant.tenant_id, error.message)
            self._rest(tenant.tenant_id)
        except Exception:
            self._logger.exception("Grafana: tenant %s", tenant.tenant_id)
            self._rest(tenant.tenant_id)
        finally:
            with self._lock:
                self._busy.discard(tenant.tenant_id)

    def _rest(self, tenant_id: TenantId) -> None:
        with self._lock:
            self._rests_until[tenant_id] = self._clock() + RESTS
