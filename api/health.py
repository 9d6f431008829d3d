"""`/healthz` and `/readyz`: is the process up, and can it do its work."""

import sqlalchemy as sa
from flask import current_app
from flask_openapi.blueprint import APIBlueprint

from api.auth.policy import public
from api.schemas import Health
from api.services import Services
from ledger.models import tenants
from ledger.session import operator_session

blueprint = APIBlueprint("health", __name__)


@blueprint.get("/healthz", summary="Is the process up?", responses={"200": Health})
@public
def healthz() -> dict[str, str]:
    """Answer without looking at anything else."""
    return Health(status="ok").model_dump()


@blueprint.get("/readyz", summary="Does the ledger answer?", responses={"200": Health})
@public
def readyz() -> dict[str, str]:
    """Read one row of the ledger; a problem with status 503 says that it does not answer."""
    with operator_session(Services.of(current_app).engine) as session:
        session.connection.execute(sa.select(tenants.c.tenant_id).limit(1)).first()
    return Health(status="ok").model_dump()
