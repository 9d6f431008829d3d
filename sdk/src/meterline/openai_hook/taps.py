"""What sees the bytes of an answer pass by. A tap never raises."""

from typing import Protocol


class Tap(Protocol):
    """Watches one answer, and hands its usage over once."""

    def feed(self, part: bytes) -> bytes:
        """See a part; return what the caller gets of it."""

    def finish(self) -> bytes:
        """See the end of the body; return what the caller still has to get."""

    def fail(self) -> None:
        """Be told that reading the body raised."""

    def close(self) -> None:
        """Be told that nobody will read on."""
