"""The host's public keys (RFC 7517), read from its address or a file when they are needed."""

import http.client
import json
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from jwt import PyJWK, PyJWTError

from ledger.errors import UnavailableError

_FRESH = timedelta(minutes=10)
_USABLE = timedelta(hours=1)
_BETWEEN_READS = timedelta(seconds=30)
_BETWEEN_FAILURES = timedelta(seconds=5)
_TIMEOUT_SECONDS = 5.0
_MAX_BYTES = 256 * 1024


class Jwks:
    """Public keys by their id.

    Keys are read again after ten minutes, and for an unknown id at most every 30 seconds, so that
    tokens with invented ids cause no load on the host. Where the host does not answer, keys are
    used for up to an hour after they were read.
    """

    def __init__(self, source: str, algorithm: str) -> None:
        self._source = source
        self._algorithm = algorithm
        self._lock = Lock()
        self._keys: dict[str, PyJWK] = {}
        self._read_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._fault: str | None = None

    def find(self, kid: str | None, *, now: datetime) -> PyJWK | None:
        """Return the key with this id, or None where the host has no such key.

        Raises:
            UnavailableError: `jwks_unavailable`, where that cannot be known.
        """
        if kid is None:
            return None
        key = self._keys.get(kid)
        if key is not None and self._is_younger(_FRESH, now):
            return key
        with self._lock:
            if self._is_due(kid, now):
                self._refresh(now)
            key = self._keys.get(kid)
            if key is not None and self._is_younger(_USABLE, now):
                return key
            if self._fault is not None:
                raise UnavailableError(
                    "jwks_unavailable", f"the keys of the host cannot be read: {self._fault}"
                )
            return None

    def _is_younger(self, age: timedelta, now: datetime) -> bool:
        return self._read_at is not None and now - self._read_at < age

    def _is_due(self, kid: str, now: datetime) -> bool:
        if kid in self._keys and self._is_younger(_FRESH, now):
            return False  # another thread read them while this one waited
        pause = _BETWEEN_READS if self._fault is None else _BETWEEN_FAILURES
        return self._tried_at is None or now - self._tried_at >= pause

    def _refresh(self, now: datetime) -> None:
        self._tried_at = now
        try:
            self._keys = _parse(_read(self._source), self._algorithm)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._fault = type(error).__name__
        else:
            self._read_at = now
            self._fault = None


class _NoRedirects(HTTPRedirectHandler):
    """Keys come from the address that was set, not from where it points."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - the signature is the standard library's
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Follow nothing."""


def _read(source: str) -> bytes:
    if "://" not in source:
        return Path(source).read_bytes()
    request = Request(source, headers={"Accept": "application/json"})  # noqa: S310 - settings allow https and loopback
    with _opener(source).open(request, timeout=_TIMEOUT_SECONDS) as response:
        body: bytes = response.read(_MAX_BYTES + 1)
    if len(body) > _MAX_BYTES:
        raise ValueError("more bytes than keys can have")
    return body


def _opener(source: str) -> OpenerDirector:
    # What listens on loopback is never behind the proxy that the environment may name.
    direct = [ProxyHandler({})] if urlsplit(source).scheme == "http" else []
    return build_opener(_NoRedirects, *direct)


def _parse(body: bytes, algorithm: str) -> dict[str, PyJWK]:
    """Return the usable keys of a key set; keys for something else are left out.

    Raises:
        ValueError: not a key set.
    """
    document = json.loads(body)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JSON Web Key Set")  # noqa: TRY004 - the content is wrong
    found: dict[str, PyJWK] = {}
    for entry in entries:
        kid = entry.get("kid") if isinstance(entry, dict) else None
        if isinstance(kid, str) and _is_meant_for(entry, algorithm):
            key = _build(entry, algorithm)
            if key is not None:
                found[kid] = key
    return found


def _is_meant_for(entry: dict[str, Any], algorithm: str) -> bool:
    wanted = {"use": "sig", "alg": algorithm}
    return all(entry.get(name, value) == value for name, value in wanted.items())


def _build(entry: dict[str, Any], algorithm: str) -> PyJWK | None:
    """Return a key of the algorithm's own kind and of sound length, else None."""
    try:
        key = PyJWK(entry, algorithm)
    except PyJWTError:
        return None
    return None if key.Algorithm.check_key_length(key.key) else key
