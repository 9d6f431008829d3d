"""Serves a demo ledger on loopback, with links that sign a browser in."""

import socket
from datetime import datetime, timedelta
from typing import Any

import click
import sqlalchemy as sa

from cli.demo.tenants import TENANTS
from cli.wiring import override_settings
from ledger.accounts.links import create_link
from ledger.accounts.roles import Role
from ledger.session import operator_session

HOST = "127.0.0.1"

_LINK_LIFETIME = timedelta(days=1)
"""Longer than the minute of a real link: whoever reads the demo's output is at the machine."""

_SHOWN = next(tenant for tenant in TENANTS if tenant.tenant_id == "coral-reef-rentals")
"""It uses all channels."""

_WIDTH = 36


def check_port(port: int) -> None:
    """Check that nobody listens on the port, before anything is made.

    Raises:
        UsageError: with what to do.
    """
    with socket.socket() as probe:
        # As the server will: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise click.UsageError(
                f"{HOST}:{port} cannot be served on ({error.strerror}); name another --port"
            ) from error


def serve_demo(engine: sa.Engine, url: str, *, port: int, now: datetime) -> None:
    """Serve until told to stop; print the links as soon as they work.

    Args:
        engine: of the demo ledger.
        url: its address, for the processes of the server.
        port: on loopback.
        now: the current instant.
    """
    # Flask and gunicorn take a third of the time that `--no-serve` needs to start.
    from cli.server import Server, server_options  # noqa: PLC0415

    links = [
        (f"tenant admin of {_SHOWN.name}", _make_link(engine, Role.TENANT_ADMIN, port, now=now)),
        ("root admin", _make_link(engine, Role.ROOT_ADMIN, port, now=now)),
    ]
    engine.dispose()  # connections must not be shared by a fork

    def tell(_arbiter: Any) -> None:
        click.echo(f"\nserving http://{HOST}:{port}, until Ctrl-C; each link signs in once:")
        for who, link in links:
            click.echo(f"  {who:<{_WIDTH}}{link}")

    # The demo is plain HTTP on loopback, where a browser keeps no cookie that is marked secure.
    # What is invented does not go into the series of what is not.
    override_settings(database_url=url, secure_cookies="false", influx_url="", grafana_url="")
    options = {**server_options(HOST, port, workers=2), "loglevel": "warning", "when_ready": tell}
    Server(options, costing=True).run()


def _make_link(engine: sa.Engine, role: Role, port: int, *, now: datetime) -> str:
    with operator_session(engine, write=True) as session:
        code = create_link(
            session,
            subject=f"demo-{role.replace('_', '-')}",
            role=role,
            tenant_id=_SHOWN.tenant_id if role.is_tenant_role else None,
            now=now,
            lifetime=_LINK_LIFETIME,
        )
    return f"http://{HOST}:{port}/signin?code={code}"
