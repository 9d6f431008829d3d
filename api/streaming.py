"""Sends a long body while it is still being made."""

from collections.abc import Generator, Iterator

_CHUNK_CHARACTERS = 32_768


class Stream:
    """Text made piece by piece, sent in chunks, closed whether or not it is read to its end.

    The first chunk is made at once, so that a fault before it is still answered as a problem.
    """

    def __init__(self, pieces: Generator[str]) -> None:
        self._pieces = pieces
        self._chunks = _join(pieces)
        self._first: bytes | None = next(self._chunks, b"")

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        return next(self._chunks) if first is None else first

    def close(self) -> None:
        """Stop making it and let go of what it holds; the server calls this in every case."""
        self._chunks.close()
        self._pieces.close()


def _join(pieces: Iterator[str]) -> Generator[bytes]:
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _CHUNK_CHARACTERS:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    if waiting:
        yield "".join(waiting).encode()
