"""`meterline tenant` and `meterline key`: whose usage it is, and who may send it."""

import click
from tabulate import tabulate

from cli.wiring import open_ledger
from ledger.keys import create_key, list_keys, parse_scope, revoke_key
from ledger.session import operator_session
from ledger.tenant import Tenant, parse_label, parse_tenant_id, parse_timezone
from ledger.tenants import (
    DEFAULT_TIMEZONE,
    UNASSIGNED_PLAN,
    add_tenant,
    change_tenant,
    close_tenant,
    get_tenant,
    list_tenants,
    reopen_tenant,
)


@click.group()
def tenant() -> None:
    """Register, change and close tenants."""


@tenant.command("add")
@click.argument("tenant_id")
@click.option("--name", help="Name that people read. Default: the id.")
@click.option("--plan", default=UNASSIGNED_PLAN, show_default=True)
@click.option(
    "--timezone", default=DEFAULT_TIMEZONE, show_default=True, help="IANA zone of its days."
)
def add(tenant_id: str, name: str | None, plan: str, timezone: str) -> None:
    """Register a tenant under the id that the host uses."""
    wiring = open_ledger()
    with operator_session(wiring.engine, write=True) as session:
        added = add_tenant(
            session,
            parse_tenant_id(tenant_id),
            name=parse_label(name or tenant_id, key="name"),
            plan=parse_label(plan, key="plan"),
            timezone=parse_timezone(timezone),
            now=wiring.clock(),
        )
    click.echo(_describe(added))


@tenant.command("set")
@click.argument("tenant_id")
@click.option("--name")
@click.option("--plan", help="Plan from now on.")
@click.option("--timezone", help="IANA zone of its days from now on.")
def change(tenant_id: str, name: str | None, plan: str | None, timezone: str | None) -> None:
    """Change a tenant. Days that were booked stay as they were cut."""
    if name is plan is timezone is None:
        raise click.UsageError("say what to change: --name, --plan or --timezone")
    wiring = open_ledger()
    with operator_session(wiring.engine, write=True) as session:
        changed = change_tenant(
            session,
            parse_tenant_id(tenant_id),
            name=None if name is None else parse_label(name, key="name"),
            plan=None if plan is None else parse_label(plan, key="plan"),
            timezone=None if timezone is None else parse_timezone(timezone),
            now=wiring.clock(),
        )
    click.echo(_describe(changed))


@tenant.command("close")
@click.argument("tenant_id")
def close(tenant_id: str) -> None:
    """Refuse usage of a tenant from now on. Nothing is erased; late usage is still booked."""
    wiring = open_ledger()
    with operator_session(wiring.engine, write=True) as session:
        closed = close_tenant(session, parse_tenant_id(tenant_id), now=wiring.clock())
    click.echo(_describe(closed))


@tenant.command("reopen")
@click.argument("tenant_id")
def reopen(tenant_id: str) -> None:
    """Take usage of a closed tenant again."""
    wiring = open_ledger()
    with operator_session(wiring.engine, write=True) as session:
        opened = reopen_tenant(session, parse_tenant_id(tenant_id))
    click.echo(_describe(opened))


@tenant.command("list")
def show() -> None:
    """List all tenants, closed ones too."""
    with operator_session(open_ledger().engine) as session:
        found = list_tenants(session)
    headers = ("tenant", "name", "plan", "time zone", "closed")
    rows = [
        (
            t.tenant_id,
            t.name,
            t.current.plan,
            t.current.timezone,
            "" if t.closed_at is None else f"{t.closed_at:%Y-%m-%d}",
        )
        for t in found
    ]
    click.echo(tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True))


def _describe(found: Tenant) -> str:
    period = found.current
    closed = "" if found.closed_at is None else f", closed since {found.closed_at.isoformat()}"
    return f"tenant {found.tenant_id}: {found.name}, plan {period.plan}, {period.timezone}{closed}"


@click.group()
def key() -> None:
    """Make and revoke API keys."""


@key.command("create")
@click.option(
    "--scope", "scopes", multiple=True, required=True, help="ingest, read, tenants or series."
)
@click.option("--tenant", "tenant_id", help="Bind the key to one tenant. Default: a host key.")
@click.option("--label", default="", help="What the key is for.")
def create(scopes: tuple[str, ...], tenant_id: str | None, label: str) -> None:
    """Make a key and print its secret, which is shown this once."""
    wanted = frozenset(parse_scope(scope) for scope in scopes)
    bound = None if tenant_id is None else parse_tenant_id(tenant_id)
    wiring = open_ledger()
    with operator_session(wiring.engine, write=True) as session:
        if bound is not None:
            get_tenant(session, bound)
        made, secret = create_key(
            session,
            scopes=wanted,
            label=parse_label(label, key="label") if label else "",
            tenant_id=bound,
            now=wiring.clock(),
        )
    click.echo(f"key {made.key_id}; its secret is shown only now:", err=True)
    click.echo(secret)


@key.command("list")
def show_keys() -> None:
    """List all keys, without their secrets."""
    with operator_session(open_ledger().engine) as session:
        found = list_keys(session)
    rows = [
        (
            k.key_id,
            k.tenant_id or "(host)",
            " ".join(sorted(k.scopes)),
            k.label,
            f"{k.created_at:%Y-%m-%d}",
            "" if k.revoked_at is None else f"{k.revoked_at:%Y-%m-%d}",
        )
        for k in found
    ]
    headers = ("key", "tenant", "scopes", "label", "created", "revoked")
    click.echo(tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True))


@key.command("revoke")
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Make a key useless from now on."""
    wiring = open_ledger()
    with operator_session(wiring.engine, write=True) as session:
        revoke_key(session, key_id, now=wiring.clock())
    click.echo(f"key {key_id} revoked")
