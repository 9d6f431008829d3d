"""Sends a long body while it is still being made."""

from collections.abc import Generator, Iterator


class Stream:
    """Text made part by part, sent as it is made, closed whether or not it is read to its end.

    The first part is made at once, so that a fault before it is still answered as a problem.
    """

    def __init__(self, parts: Generator[str]) -> None:
        self._parts = parts
        self._first: str | None = next(parts, "")

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        return (next(self._parts) if first is None else first).encode()

    def close(self) -> None:
        """Stop making it and let go of what it holds; the server calls this in every case."""
        self._parts.close()
