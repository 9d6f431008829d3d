"""What became of the usage of this process, in numbers."""

from typing import NamedTuple


class Stats(NamedTuple):
    """Counts since this process started, or was forked off.

    At any moment `recorded` + `adopted` + `redelivered` = `stored` + `duplicates` + `dead` +
    `dropped` + `pending`; only what a `close` left behind for others is taken out of it.

    Attributes:
        recorded: usages that were taken.
        adopted: events taken over from processes that died.
        redelivered: dead letters that were put back.
        stored: events that the collector booked.
        duplicates: events that were booked before, such as those whose answer was lost.
        dead: events that the collector refused.
        dropped: events that found no room, or made room for others.
        pending: events that wait for their result.
        held: of the pending ones, those that the collector does not take yet: it does not know
            their tenant, or this host's clock was ahead of its own.
        exposed: of the pending ones, those in memory, which a kill of the process would lose.
        refused: usages that cannot be sent and were never taken.
        withheld: metadata values, sources and features that were left out.
        damaged: stretches of spool files that could not be read.
        letters_lost: of the dead ones, those that the file of dead letters had no room for.
        failures: requests that brought no results.
        last_failure: the last of these, or nothing.
        is_safe: whether what is recorded now survives a kill of the process.
    """

    recorded: int = 0
    adopted: int = 0
    redelivered: int = 0
    stored: int = 0
    duplicates: int = 0
    dead: int = 0
    dropped: int = 0
    pending: int = 0
    held: int = 0
    exposed: int = 0
    refused: int = 0
    withheld: int = 0
    damaged: int = 0
    letters_lost: int = 0
    failures: int = 0
    last_failure: str = ""
    is_safe: bool = False
