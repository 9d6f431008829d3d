"""Hands on the plain text of an encoded answer, where an event has to be taken out of it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

_ABOUT_THE_CODE = ("content-encoding", "content-length")


def unpack(response: Any, library: Any) -> "Unpacked":
    """Return the plain stream of a response, whose headers no longer say that it is encoded.

    The http library itself unpacks it, in a response of its own: a damaged one raises what it would
    have raised for the caller.

    Args:
        response: of the http library, not read yet; its headers are changed in place.
        library: the module `httpx` or `httpx2`.
    """
    inner = library.Response(
        response.status_code,
        headers=response.headers,
        stream=response.stream,
        request=response.request,
    )
    for name in _ABOUT_THE_CODE:
        response.headers.pop(name, None)
    return Unpacked(inner)


class Unpacked:
    """A stream of plain bytes; all else is answered by the one behind."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":  # not built to the end
            raise AttributeError(name)
        return getattr(self._inner.stream, name)

    def __iter__(self) -> Iterator[bytes]:
        parts: Iterator[bytes] = self._inner.iter_bytes()
        return parts

    def __aiter__(self) -> AsyncIterator[bytes]:
        parts: AsyncIterator[bytes] = self._inner.aiter_bytes()
        return parts

    def close(self) -> None:
        """Close the stream behind."""
        self._inner.close()

    async def aclose(self) -> None:
        """Close the stream behind."""
        await self._inner.aclose()
