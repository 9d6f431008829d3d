"""`meterline grafana`: makes Grafana have what tenants and operators need, and takes it away."""

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from cli.options import known_tenant, known_tenants
from cli.wiring import Wiring, connect, open_ledger
from grafana.provisioning.store import list_provisioned
from ledger.errors import InvalidError, MeterlineError
from ledger.session import operator_session
from ledger.tenant import UNATTRIBUTED, Tenant, TenantId
from ledger.tenants import find_tenants

if TYPE_CHECKING:  # its client takes long to load, and most commands need none
    from grafana.provisioning.job import Provisioner

FOUND_WRONG = 1


@click.group()
def grafana() -> None:
    """Provision Grafana: an organisation, a viewer, a data source and boards for each tenant."""


@grafana.command()
@click.option("--tenant", "tenant_id", help="Of one tenant alone. Default: of all, and operators.")
def provision(tenant_id: str | None) -> None:
    """Make Grafana have what is needed; done again, it writes nothing."""
    wiring = open_ledger()
    job = _provisioner(wiring)
    wrong = 0
    if tenant_id is None:
        wrong += _run("operators", job.provision_operators)
    sys.exit(FOUND_WRONG if wrong + _for_each(wiring, tenant_id, job.provision) else 0)


@grafana.command()
@click.option("--tenant", "tenant_id", help="Of one tenant alone. Default: of all.")
def rotate(tenant_id: str | None) -> None:
    """Give data sources new secrets; the old ones are worth nothing from then on."""
    wiring = open_ledger()
    sys.exit(FOUND_WRONG if _for_each(wiring, tenant_id, _provisioner(wiring).rotate) else 0)


@grafana.command()
@click.argument("tenant_id", required=False)
@click.option("--closed", is_flag=True, help="Of every tenant that was closed.")
def remove(tenant_id: str | None, *, closed: bool) -> None:
    """Take away what Grafana has of a tenant. The ledger keeps all."""
    if (tenant_id is None) != closed:
        raise click.UsageError("name a tenant, or say --closed")
    wiring = open_ledger()
    job = _provisioner(wiring)
    named = known_tenant(wiring, tenant_id)
    tenants = _list_closed(wiring) if named is None else [named]
    wrong = sum(_run(one, lambda one=one: job.remove(one)) for one in tenants)  # type: ignore[misc] # the default binds the loop's value
    if not tenants:
        click.echo("Grafana has nothing of a tenant that was closed")
    sys.exit(FOUND_WRONG if wrong else 0)


@grafana.group()
def keys() -> None:
    """Keep the keys that sign who looks at Grafana."""


@keys.command("rotate")
@click.option("--first", is_flag=True, help="Make the first keys; where there are some, no others.")
def rotate_signing(*, first: bool) -> None:
    """Let the next key sign, and make one after it; restart Grafana before the next time."""
    # Cryptography takes long to load, and other commands need none.
    from api.embedding.keys import PUBLIC_FILE, rotate_keys  # noqa: PLC0415

    folder = connect().settings.grafana_keys
    if folder is None:
        raise InvalidError("grafana_not_configured", "set METERLINE_GRAFANA_KEYS first")
    ring = rotate_keys(folder, only_first=first)
    click.echo(f"key {ring.current.kid} signs")
    if ring.previous is not None:
        click.echo(f"key {ring.previous.kid} is believed until the next rotation")
    click.echo(f"key {ring.next.kid} will sign after the next rotation")
    if not first:
        click.echo(f"restart Grafana, so that it reads {folder / PUBLIC_FILE}")


def _provisioner(wiring: Wiring) -> "Provisioner":
    job = wiring.provisioner
    if job is None:
        raise InvalidError("grafana_not_configured", "set METERLINE_GRAFANA_URL first")
    return job


def _for_each(wiring: Wiring, tenant_id: str | None, change: Callable[[Tenant], list[str]]) -> int:
    """Change each open tenant, or the one that is named; return how many could not be."""
    wrong = 0
    for tenant in known_tenants(wiring, tenant_id):
        if tenant.tenant_id == UNATTRIBUTED:
            continue  # nobody signs in for it
        if tenant.closed_at is not None:
            click.echo(f"{tenant.tenant_id}: is closed; left alone")
            continue
        wrong += _run(tenant.tenant_id, lambda tenant=tenant: change(tenant))  # type: ignore[misc] # as above
    return wrong


def _run(name: str, change: Callable[[], Iterable[str]]) -> int:
    """Do one thing and say what came of it; return 1 where it could not be done."""
    try:
        changes = list(change())
    except MeterlineError as error:
        click.echo(f"{name}: {error.message}", err=True)
        return 1
    click.echo(f"{name}: {', '.join(changes) or 'as it should be'}")
    return 0


def _list_closed(wiring: Wiring) -> list[TenantId]:
    with operator_session(wiring.engine) as session:
        there = list_provisioned(session)
        known = find_tenants(session, set(there))
    return [one for one in there if one not in known or known[one].closed_at is not None]
