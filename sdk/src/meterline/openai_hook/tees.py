"""The stream that stands before the http library's own: the caller reads on as ever, a tap watches.

The library checks that a stream is one of its own kind, so the class is made with its base. All
that is asked of a stream besides its bytes is answered by the one behind.
"""

from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from typing import Any

from meterline.openai_hook.taps import Tap


class _Tee:
    def __init__(self, stream: Any, tap: Tap) -> None:
        self._stream = stream
        self._tap = tap

    def __getattr__(self, name: str) -> Any:
        if name in {"_stream", "_tap"}:  # not built to the end
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __del__(self) -> None:
        # A caller that lost a stream without closing it has used it all the same.
        tap = self.__dict__.get("_tap")
        if tap is not None:
            tap.close()


class _SyncTee(_Tee):
    def __iter__(self) -> Iterator[bytes]:
        tap = self._tap
        parts = iter(self._stream)
        try:
            for part in parts:
                visible = tap.feed(part)
                if visible:
                    yield visible
        except GeneratorExit:
            raise  # the caller stopped reading: whoever closes the stream says whether for good
        except BaseException:
            tap.fail()
            raise
        finally:
            stop = getattr(parts, "close", None)
            if stop is not None:
                stop()
        rest = tap.finish()
        if rest:
            yield rest

    def close(self) -> None:
        self._tap.close()
        self._stream.close()


class _AsyncTee(_Tee):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        tap = self._tap
        parts = aiter(self._stream)
        try:
            async for part in parts:
                visible = tap.feed(part)
                if visible:
                    yield visible
        except GeneratorExit:
            raise  # the caller stopped reading: whoever closes the stream says whether for good
        except BaseException:
            tap.fail()
            raise
        finally:
            stop = getattr(parts, "aclose", None)
            if stop is not None:
                await stop()
        rest = tap.finish()
        if rest:
            yield rest

    async def aclose(self) -> None:
        self._tap.close()
        await self._stream.aclose()


@lru_cache(maxsize=8)
def make_tee_class(base: type, *, asynchronous: bool) -> type[Any]:
    """Return the class of tees for a library's stream class.

    Args:
        base: `SyncByteStream` or `AsyncByteStream` of the client's own http library.
        asynchronous: which of the two it is.
    """
    tee = _AsyncTee if asynchronous else _SyncTee
    return type("MeteredStream", (tee, base), {"__doc__": "A stream that a tap watches."})
