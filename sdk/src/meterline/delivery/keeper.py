"""Makes and adopts segments beside the sender, which may be waiting for the network."""

from contextlib import suppress
from queue import Empty
from time import monotonic

from meterline.delivery.spool import Spool
from meterline.delivery.terms import Wake
from meterline.delivery.transport import Transport
from meterline.notices import Notice, Notices

_PASS_SECONDS = 1.0
_ADOPT_SECONDS = 3.0
_MOST_ADOPTED = 8
"""Segments in one hand; others that live may take the rest."""


class Keeper:
    """Keeps a spare segment ready and takes over what dead processes left."""

    def __init__(self, spool: Spool, transport: Transport, notices: Notices) -> None:
        self._spool = spool
        self._transport = transport
        self._notices = notices
        self.renew()

    def renew(self) -> None:
        """Start anew in a forked child."""
        self.adopted = self.damaged = 0
        self._is_stopping = False
        self._adopt_at = 0.0

    def run(self) -> None:
        """Work until stopped: every second, and at once when a segment was used up."""
        while not self._is_stopping:
            try:
                self.work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next pass is a new try
                self._notices.note(Notice.BROKEN, type(error).__name__)
            with suppress(Empty):
                self._spool.keeper.get(timeout=_PASS_SECONDS)

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._is_stopping = True
        self._spool.keeper.put(Wake.DUE)

    def work(self) -> None:
        """Make one pass."""
        self._spool.provide()
        self._transport.cut_if_overdue()
        if monotonic() >= self._adopt_at:
            adoption = self._spool.adopt(most=_MOST_ADOPTED)
            self.adopted += adoption.events
            self.damaged += adoption.damaged
            pause = 0 if adoption.may_be_more else _ADOPT_SECONDS
            self._adopt_at = monotonic() + pause  # with more to take, when the next was sent
        self._notices.publish()
