"""The `meterline` command: one group a subject, one exit code a meaning."""

import sys

import click

from cli import (
    accounts,
    budgets,
    data,
    database,
    doctor,
    exporter,
    grafana,
    influx,
    journal,
    mappings,
    rebuilding,
    repricing,
    retention,
    serve,
    users,
    verifying,
    working,
)
from cli.demo.command import demo
from cli.messages import describe
from cli.prices.group import prices
from ledger.errors import Kind, MeterlineError

FOUND_WRONG = 1
USAGE = 2


class MeterlineGroup(click.Group):
    """Tells errors in one sentence: exit code 2 for what was typed, 1 for what was found."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command and turn errors into messages."""
        try:
            return super().invoke(ctx)
        except MeterlineError as error:
            click.echo(f"error: {describe(error.message, error.value)}", err=True)
            sys.exit(USAGE if error.kind is Kind.INVALID else FOUND_WRONG)


@click.group(cls=MeterlineGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="meterline-server", prog_name="meterline")
def main() -> None:
    """Meter what each tenant uses of Twilio, SendGrid and OpenAI, and what it costs.

    Settings come from the environment (METERLINE_*). Exit codes: 0 ok, 1 found wrong, 2 usage.
    """


main.add_command(database.db)
main.add_command(accounts.tenant)
main.add_command(accounts.key)
main.add_command(mappings.mapping)
main.add_command(users.user)
main.add_command(budgets.budget)
main.add_command(data.import_file)
main.add_command(data.export)
main.add_command(working.work)
main.add_command(prices)
main.add_command(rebuilding.rebuild)
main.add_command(repricing.reprice)
main.add_command(journal.journal)
main.add_command(verifying.verify_ledger)
main.add_command(influx.influx)
main.add_command(grafana.grafana)
main.add_command(retention.retention)
main.add_command(serve.serve)
main.add_command(exporter.exporter)
main.add_command(doctor.doctor)
main.add_command(demo)

if __name__ == "__main__":
    main()
