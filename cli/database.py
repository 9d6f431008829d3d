"""`meterline db`: the schema of the ledger."""

import sys

import click

from cli import schema
from cli.prices.first import take_first_catalogue
from cli.wiring import connect, open_ledger
from ledger.distribution import distribute as distribute_tables
from ledger.distribution import list_statements
from ledger.engine import is_postgresql
from ledger.errors import InvalidError
from ledger.session import owner_session


@click.group()
def db() -> None:
    """Create, check and move the ledger's schema."""


@db.command()
def upgrade() -> None:
    """Bring the schema up to date; an empty database gets all of it. Keeps SP-3's rows.

    A ledger that is new gets the prices of the installed genai-prices, too.
    """
    wiring = connect()
    engine = wiring.engine
    before = schema.current_revision(engine)
    schema.upgrade(engine)
    after = schema.current_revision(engine)
    click.echo(f"schema {after}" + ("" if before != after else ", nothing to do"))
    if before is None:
        dated = take_first_catalogue(wiring)
        if dated is not None:
            click.echo(f"price catalogue {dated.catalogue.version} from {dated.starts_on}")


@db.command()
@click.argument("revision")
def downgrade(revision: str) -> None:
    """Take the schema back to REVISION, such as 0001 (SP-3). What it has no room for is lost."""
    engine = connect().engine
    schema.downgrade(engine, revision)
    click.echo(f"schema {schema.current_revision(engine) or 'empty'}")


@db.command()
@click.option("--dry-run", is_flag=True, help="Print the statements, on any database.")
def distribute(*, dry_run: bool) -> None:
    """Spread the tables over a Citus cluster, usage by tenant. Done again, it does what is left."""
    if dry_run:
        for _table, statement in list_statements():
            click.echo(f"{statement};")
        return
    wiring = open_ledger()
    if not is_postgresql(wiring.engine):
        raise InvalidError("not_postgresql", "only a ledger on PostgreSQL can be distributed")
    with owner_session(wiring.engine, write=True) as session:
        count = 0
        for statement in distribute_tables(session.connection):
            click.echo(f"{statement};")
            count += 1
    click.echo(f"tables placed: {count}")


@db.command()
def check() -> None:
    """Compare the schema with what this version of Meterline expects."""
    engine = connect().engine
    schema.require_current(engine)
    drift = schema.find_drift(engine)
    for line in drift:
        click.echo(f"differs: {line}", err=True)
    if drift:
        sys.exit(1)
    click.echo(f"schema {schema.head_revision()}, as expected")
