"""`meterline user`: people who sign in with a password of ours."""

import sys

import click
from tabulate import tabulate

from cli.wiring import open_ledger
from ledger.accounts.passwords import MIN_LENGTH
from ledger.accounts.roles import check_role_tenant, parse_role
from ledger.accounts.users import add_user, disable_user, list_users, parse_login
from ledger.errors import InvalidError
from ledger.session import operator_session
from ledger.tenant import parse_tenant_id


@click.group()
def user() -> None:
    """Let people sign in, and out for good."""


@user.command("add")
@click.argument("login")
@click.option(
    "--role", required=True, help="root_admin or ops; tenant_admin or tenant_member with --tenant."
)
@click.option("--tenant", "tenant_id", help="The tenant that a tenant's role is for.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def add(login: str, role: str, tenant_id: str | None, *, password_stdin: bool) -> None:
    """Register a user under LOGIN, a name and no e-mail address. Asks for the password."""
    name, wanted = parse_login(login), parse_role(role)
    of_tenant = None if tenant_id is None else parse_tenant_id(tenant_id)
    check_role_tenant(wanted, of_tenant)
    wiring = open_ledger()
    password = _read_password() if password_stdin else _ask_password()
    with operator_session(wiring.engine, write=True) as session:
        added = add_user(
            session,
            login=name,
            role=wanted,
            tenant_id=of_tenant,
            password=password,
            now=wiring.clock(),
        )
    whose = "" if added.tenant_id is None else f" of {added.tenant_id}"
    click.echo(f"user {added.login}: {added.role}{whose}")


def _ask_password() -> str:
    # Never an argument: those are in the shell's history and in the list of processes.
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the password; use --password-stdin")
    password: str = click.prompt(
        f"Password, at least {MIN_LENGTH} characters", hide_input=True, confirmation_prompt=True
    )
    return password


def _read_password() -> str:
    if sys.stdin.isatty():
        raise click.UsageError(
            "--password-stdin reads from a pipe; without it the terminal asks, and hides the answer"
        )
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise InvalidError("malformed_utf8", "the password is not UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")


@user.command("list")
def show() -> None:
    """List all users, disabled ones too."""
    with operator_session(open_ledger().engine) as session:
        found = list_users(session)
    rows = [
        (
            u.login,
            u.role,
            u.tenant_id or "(all)",
            f"{u.created_at:%Y-%m-%d}",
            "" if u.disabled_at is None else f"{u.disabled_at:%Y-%m-%d}",
        )
        for u in found
    ]
    headers = ("login", "role", "tenant", "created", "disabled")
    click.echo(tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True))


@user.command("disable")
@click.argument("login")
def disable(login: str) -> None:
    """Let a user in no more; browsers that are signed in are signed out at once."""
    wiring = open_ledger()
    with operator_session(wiring.engine, write=True) as session:
        disable_user(session, parse_login(login), now=wiring.clock())
    click.echo(f"user {login} disabled")
