"""`python -m bench [SUBJECT ...]`: measures all subjects, or those that are named."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable

from bench import booking, costing, export, relay, summary
from bench.table import Line, format_table

SUBJECTS: dict[str, Callable[[], list[Line]]] = {
    "booking": booking.measure,
    "costing": costing.measure,
    "export": export.measure,
    "relay": relay.measure,
    "summary": summary.measure,
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
