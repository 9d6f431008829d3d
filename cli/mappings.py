"""`meterline mapping`: whose what a provider names is, and usage of which nobody knows that yet."""

import sys
from collections.abc import Sequence
from datetime import datetime

import click
from tabulate import tabulate

from cli.attributing import tell_attributed
from cli.wiring import open_ledger
from collector.attribution.keeping import (
    NewMapping,
    add_mapping,
    end_mapping,
    is_dead,
    list_all,
    shown_value,
)
from collector.attribution.resolution import MappedPeriod
from collector.attribution.store import Waiting, read_waiting
from collector.attribution.transit import InTransit, read_in_transit
from costing.reports.travelling import cost_of_travelling
from ledger.money import Nanos, format_usd
from ledger.session import OperatorSession, operator_session
from ledger.tenant import UNATTRIBUTED

_HEADERS = ("number", "kind", "value", "tenant", "from", "until", "label")
_WAITING_HEADERS = ("claims", "usages", "first", "last")


@click.group()
def mapping() -> None:
    """Say whose usage it is that a provider tells of."""


@mapping.command("add")
@click.argument("kind", metavar="KIND")
@click.argument("value")
@click.argument("tenant_id")
@click.option(
    "--from",
    "valid_from",
    help="A local date of the tenant, or a time with an offset. Default: now.",
)
@click.option("--label", help="What people call it.")
def add(kind: str, value: str, tenant_id: str, valid_from: str | None, label: str | None) -> None:
    """Map what a provider names to a tenant, and attribute what waits for that.

    KIND is account (Twilio account or subaccount), service (messaging service), number (one of your
    own phone numbers) or subuser (SendGrid).
    """
    wiring = open_ledger()
    new = NewMapping(kind=kind, value=value, tenant=tenant_id, valid_from=valid_from, label=label)
    hash_key = wiring.settings.hash_key_bytes
    with operator_session(wiring.engine, write=True) as session:
        period, is_new = add_mapping(session, new, hash_key=hash_key, now=wiring.clock())
    click.echo(f"{_describe(period)}{'' if is_new else ' (it was so already)'}")
    if not tell_attributed(wiring.attribution.run(now=wiring.clock())):
        sys.exit(1)


@mapping.command("remove")
@click.argument("mapping_id", metavar="NUMBER", type=click.IntRange(1))
@click.option("--until", help="A local date of the tenant, or a time with an offset. Default: now.")
def remove(mapping_id: int, until: str | None) -> None:
    """End a mapping, by its number in the list. What it attributed stays where it is."""
    wiring = open_ledger()
    with operator_session(wiring.engine, write=True) as session:
        period = end_mapping(session, mapping_id, until=until, now=wiring.clock())
    click.echo(_describe(period))


@mapping.command("attribute")
def attribute() -> None:
    """Move usage that waits to the tenants that mappings lead to; the worker does so, too.

    Run again, it goes on where it was stopped.
    """
    wiring = open_ledger()
    done = wiring.attribution.run(now=wiring.clock())
    is_done = tell_attributed(done)
    with operator_session(wiring.engine) as session:
        in_transit = _read_in_transit(session)
    tell_in_transit(in_transit)
    if not is_done:
        sys.exit(1)


@mapping.command("list")
def show() -> None:
    """List mappings, those that are over too, and the usage that waits for one."""
    wiring = open_ledger()
    with operator_session(wiring.engine) as session:
        periods = list_all(session)
        waiting = read_waiting(session)
        in_transit = _read_in_transit(session)
    hash_key = wiring.settings.hash_key_bytes
    click.echo(_table(_HEADERS, [_row(period, hash_key) for period in periods]))
    if waiting:
        click.echo(f"\nwaiting for a mapping: {sum(w.usages for w in waiting)} usages")
        click.echo(_table(_WAITING_HEADERS, [_waiting_row(found) for found in waiting]))
    tell_in_transit(in_transit)


def tell_in_transit(found: list[tuple[InTransit, Nanos | None]]) -> None:
    """Tell what has left `_unattributed` and is in nobody's figures yet, and what it cost there."""
    for part, cost in found:
        price = "no price yet" if cost is None else f"{format_usd(cost)} USD"
        click.echo(
            f"in transit to {part.target}: {part.usages} usages"
            f" ({part.quantity} units of {part.channel}, {price});"
            " `meterline mapping attribute` brings them there"
        )


def _read_in_transit(session: OperatorSession) -> list[tuple[InTransit, Nanos | None]]:
    return [
        (part, cost_of_travelling(session, UNATTRIBUTED, part.measures))
        for part in read_in_transit(session)
    ]


def _row(period: MappedPeriod, hash_key: bytes | None) -> tuple[str, ...]:
    row = period.row
    dead = " (another hash key: matches nothing)" if is_dead(row, hash_key) else ""
    return (
        str(row.mapping_id),
        row.kind,
        shown_value(row) + dead,
        period.tenant_id,
        _show(row.valid_from),
        "" if period.until is None else _show(period.until),
        row.label or "",
    )


def _waiting_row(found: Waiting) -> tuple[str, ...]:
    claims = ", ".join(f"{claim.kind} {claim.shown}" for claim in found.claims)
    return (claims or "(none)", str(found.usages), _show(found.first), _show(found.last))


def _describe(period: MappedPeriod) -> str:
    row = period.row
    until = "" if period.until is None else f" until {_show(period.until)}"
    return (
        f"mapping {row.mapping_id}: {row.kind} {shown_value(row)} is {period.tenant_id}'s"
        f" from {_show(row.valid_from)}{until}"
    )


def _show(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds").replace("+00:00", "Z")


def _table(headers: Sequence[str], rows: list[tuple[str, ...]]) -> str:
    return tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True)
