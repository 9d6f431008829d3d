"""`meterline doctor`: says what is wrong with this installation, and what to do about it."""

import sys
from collections.abc import Callable, Iterator

import click
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from cli import schema
from cli.findings import STALE_AFTER, Finding
from cli.grafana_health import examine_grafana
from cli.influx_health import examine_influx
from cli.wiring import Wiring, connect
from collector.attribution.claims import make_keys
from collector.attribution.keeping import is_dead, list_all
from collector.attribution.store import read_waiting
from collector.attribution.transit import read_in_transit
from collector.facts.claim import Claim, ClaimKind
from costing.pricing.snapshots import find_catalogue, installed_package, read_installed
from costing.pricing.store import read_laid
from ledger.batches import measure_backlog
from ledger.budget_notices import measure_undelivered
from ledger.engine import is_postgresql
from ledger.errors import MeterlineError
from ledger.gaps import find_gaps
from ledger.postgresql import find_losses
from ledger.session import operator_session, owner_session
from ledger.setting_values import parse_owned
from ledger.settings import find_unknown_settings
from ledger.stoppages import list_stoppages
from ledger.tenants import list_tenants

Check = Callable[[Wiring], Iterator[Finding]]


@click.command()
def doctor() -> None:
    """Check settings, prices, ledger, InfluxDB and Grafana; exit with 1 if something is wrong."""
    marks = {True: "ok   ", False: "WRONG", None: "note "}
    wrong = False
    for finding in _examine():
        wrong = wrong or finding.ok is False
        click.echo(f"{marks[finding.ok]} {finding.text}")
    if wrong:
        sys.exit(1)


def _examine() -> Iterator[Finding]:
    try:
        wiring = connect()
    except MeterlineError as error:
        yield Finding(ok=False, text=error.message)
        return
    yield Finding(ok=True, text="settings")
    yield from _guarded(_settings, wiring)
    yield from _guarded(_prices, wiring)
    yield from _guarded(_ledger, wiring)
    yield from _guarded(_attribution, wiring)
    yield from _guarded(_notices, wiring)
    yield from _guarded(_stoppages, wiring)
    yield from _guarded(examine_influx, wiring)
    yield from _guarded(examine_grafana, wiring)


def _guarded(check: Check, wiring: Wiring) -> Iterator[Finding]:
    try:
        yield from check(wiring)
    except MeterlineError as error:
        yield Finding(ok=False, text=error.message)
    except DBAPIError as error:  # a wall that is not as it was may refuse what comes next
        yield Finding(ok=False, text=str(error.orig).partition("\n")[0])


def _settings(wiring: Wiring) -> Iterator[Finding]:
    for name in find_unknown_settings():
        yield Finding(ok=None, text=f"{name} is not a setting of Meterline")
    if wiring.settings.hash_key is None:
        yield Finding(
            ok=None,
            text="METERLINE_HASH_KEY is not set: phone numbers and e-mail addresses in metadata are"
            " left out instead of hashed",
        )


def _prices(wiring: Wiring) -> Iterator[Finding]:
    yield Finding(ok=True, text=f"flat price map {wiring.flat_map.price_version}")


def _ledger(wiring: Wiring) -> Iterator[Finding]:
    schema.require_current(wiring.engine)
    drift = schema.find_drift(wiring.engine)
    yield Finding(ok=not drift, text="; ".join(["schema " + schema.head_revision(), *drift]))
    yield from _server(wiring) if is_postgresql(wiring.engine) else _file(wiring)
    with operator_session(wiring.engine) as session:
        tenants = len(list_tenants(session))
        backlog = measure_backlog(session)
    yield Finding(
        ok=True if tenants else None,
        text=f"{tenants} tenants" if tenants else "no tenant yet; run `meterline tenant add`",
    )
    yield from _catalogue(wiring)
    if backlog.oldest is None:
        yield Finding(ok=True, text="nothing waits for costing")
        return
    age = wiring.clock() - backlog.oldest
    yield Finding(
        ok=age < STALE_AFTER,
        text=f"{backlog.events} events wait for costing, the oldest for {age.total_seconds():.0f} s"
        + ("" if age < STALE_AFTER else "; is `meterline work` running?"),
    )


def _catalogue(wiring: Wiring) -> Iterator[Finding]:
    with operator_session(wiring.engine) as session:
        there = find_catalogue(read_laid(session))
    if there is None:
        text = "no price catalogue: AI is rated by prices of your own and by the flat map; run"
        yield Finding(ok=None, text=f"{text} `meterline prices update`")
        return
    version = there.catalogue.version
    yield Finding(ok=True, text=f"price catalogue {version} from {there.starts_on}")
    installed = read_installed().version
    if installed != version:
        text = f"{installed_package()} has other prices ({installed}); run"
        yield Finding(ok=None, text=f"{text} `meterline prices diff --catalogue`")


def _attribution(wiring: Wiring) -> Iterator[Finding]:
    hash_key = wiring.settings.hash_key_bytes
    with operator_session(wiring.engine) as session:
        periods = list_all(session)
        waiting = sum(found.usages for found in read_waiting(session))
        travelling = sum(part.usages for part in read_in_transit(session))
    dead = sum(is_dead(period.row, hash_key) for period in periods)
    in_force = {(p.row.kind, p.row.value) for p in periods if p.covers(wiring.clock())}
    keys = make_keys(_owners(wiring), hash_key)
    unmapped = sum((key.kind, key.value) not in in_force for key in keys)
    if unmapped:
        yield Finding(
            ok=False,
            text=f"{unmapped} owners of keys of webhooks are mapped to nobody: what they sign"
            " waits; run `meterline mapping add`",
        )
    if dead:
        yield Finding(
            ok=False,
            text=f"{dead} mappings match nothing: METERLINE_HASH_KEY is not the key that they were"
            " made with; set that, or add them again",
        )
    if waiting:
        yield Finding(
            ok=None, text=f"{waiting} usages have no tenant yet; see `meterline mapping list`"
        )
    if travelling:
        yield Finding(
            ok=None, text=f"{travelling} usages are in transit; run `meterline mapping attribute`"
        )


def _owners(wiring: Wiring) -> list[Claim]:
    """Return the accounts and subusers of which the settings have keys that are theirs alone."""
    settings = wiring.settings
    return [
        Claim(kind, owner)
        for kind, secret in (
            (ClaimKind.ACCOUNT, settings.twilio_auth_token),
            (ClaimKind.ACCOUNT, settings.twilio_shared_key),
            (ClaimKind.SUBUSER, settings.sendgrid_public_key),
        )
        for owner, _ in (parse_owned(secret.get_secret_value()) if secret else ())
        if owner is not None
    ]


def _notices(wiring: Wiring) -> Iterator[Finding]:
    with operator_session(wiring.engine) as session:
        found = measure_undelivered(session, now=wiring.clock())
    if found.failed:
        yield Finding(
            ok=None,
            text=f"{found.failed} notices of budgets were given up within a day;"
            " see docs/budgets.md",
        )
    if found.oldest is not None:
        age = wiring.clock() - found.oldest
        yield Finding(
            ok=age < STALE_AFTER,
            text=f"{found.waiting} notices of budgets wait, the oldest for"
            f" {age.total_seconds():.0f} s",
        )


def _stoppages(wiring: Wiring) -> Iterator[Finding]:
    with operator_session(wiring.engine) as session:
        found = list_stoppages(session)
    for each in found:
        # One that goes on is noted about every minute.
        goes_on = wiring.clock() - each.failed_at < STALE_AFTER
        when = f"{each.failed_at:%Y-%m-%d %H:%M:%S} UTC"
        yield Finding(
            ok=False if goes_on else None,
            text=f"{each.name} was stopped short, last at {when}: {each.last_error}",
        )


def _file(wiring: Wiring) -> Iterator[Finding]:
    with operator_session(wiring.engine) as session:
        mode = session.connection.execute(sa.text("PRAGMA journal_mode")).scalar_one()
        damage = session.connection.execute(sa.text("PRAGMA quick_check(1)")).scalar_one()
    yield Finding(ok=mode == "wal", text=f"journal mode {mode}")
    yield Finding(ok=damage == "ok", text=f"database file {damage}")


def _server(wiring: Wiring) -> Iterator[Finding]:
    with owner_session(wiring.engine) as session:
        gaps = [*find_losses(session.connection), *find_gaps(session.connection)]
    for gap in gaps:
        yield Finding(ok=False, text=gap)
    if not gaps:
        yield Finding(ok=True, text="row-level security keeps tenants apart")
        yield Finding(ok=True, text="what is committed survives a power cut")
