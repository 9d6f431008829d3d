"""Undoes the content encoding of a response beside the caller, who gets the bytes as they came."""

import sys
import zlib
from collections.abc import Callable
from typing import Any, Protocol


class Decoder(Protocol):
    """Turns encoded parts into plain ones."""

    def decompress(self, data: bytes, /) -> bytes:
        """Return what these bytes add to the plain text."""


class UnknownEncodingError(ValueError):
    """Nobody here can undo this content encoding."""


def make_decoder(encoding: str | None, http_module: str) -> Decoder | None:
    """Return a decoder for a `content-encoding`, or None where there is nothing to undo.

    Args:
        encoding: the header's value.
        http_module: name of the http library in use. For encodings other than gzip and deflate its
            own decoders are taken: whatever it offered to the server, it can undo.

    Raises:
        UnknownEncodingError: there is no decoder.
    """
    match (encoding or "identity").strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(zlib.MAX_WBITS | 32)  # tells gzip from zlib by its header
        case other:
            decoders: Any = getattr(
                sys.modules.get(f"{http_module}._decoders"), "SUPPORTED_DECODERS", {}
            )
            if other not in decoders:
                raise UnknownEncodingError(other)
            return _Borrowed(decoders[other]())


class _Borrowed:
    """A decoder of the http library: version 2 yields parts, version 1 returns them."""

    def __init__(self, decoder: Any) -> None:
        self._decode: Callable[[bytes], Any] = decoder.decode

    def decompress(self, data: bytes) -> bytes:
        plain = self._decode(data)
        return plain if isinstance(plain, bytes) else b"".join(plain)
