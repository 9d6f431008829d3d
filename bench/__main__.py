"""`python -m bench [SUBJECT ...]`: measures all subjects, or those that are named."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable

from bench import (
    booking,
    costing,
    export,
    exporter,
    forecast,
    gateway,
    pricing,
    providers,
    recording,
    relay,
    repricing,
    summary,
)
from bench.postgresql import batches, singles
from bench.postgresql import costing as postgresql_costing
from bench.postgresql import reports as postgresql_reports
from bench.postgresql import repricing as postgresql_repricing
from bench.table import Line, format_table

SUBJECTS: dict[str, Callable[[], list[Line]]] = {
    "booking": booking.measure,
    "costing": costing.measure,
    "export": export.measure,
    "gateway": gateway.measure,
    "exporter": exporter.measure,
    "forecast": forecast.measure,
    "pricing": pricing.measure,
    "providers": providers.measure,
    "repricing": repricing.measure,
    "recording": recording.measure,
    "relay": relay.measure,
    "summary": summary.measure,
    "postgresql-batches": batches.measure,
    "postgresql-singles": singles.measure,
    "postgresql-costing": postgresql_costing.measure,
    "postgresql-reports": postgresql_reports.measure,
    "postgresql-repricing": postgresql_repricing.measure,
}


def main() -> None:
    """Measure and print one table."""
    parser = ArgumentParser(prog="bench", description="Measures speed, as ratios within one run.")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    chosen: list[str] = parser.parse_args().subjects
    unknown = sorted(set(chosen) - SUBJECTS.keys())
    if unknown:
        parser.error(f"no such subject: {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    lines: list[Line] = []
    for name in chosen or SUBJECTS:
        print(f"measuring {name} ...", file=sys.stderr)
        lines += SUBJECTS[name]()
    print(format_table(lines))


if __name__ == "__main__":
    main()
