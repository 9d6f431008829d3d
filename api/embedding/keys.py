"""The keys that sign who looks at Grafana: one that signs, one before it, one after it.

Grafana reads the public ones when it starts. The next key is among them from the rotation before
the one that makes it sign, so that keys change without a moment in which a token is not believed.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from jwt.algorithms import ECAlgorithm
from jwt.exceptions import InvalidKeyError

from ledger.errors import UnavailableError

ALGORITHM = "ES256"
PRIVATE_FILE = "signing.json"
PUBLIC_FILE = "jwks.json"

_PREVIOUS, _CURRENT, _NEXT = "previous", "current", "next"
_KID_BYTES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningKey:
    """A private key and the id that tokens name it by."""

    kid: str
    key: EllipticCurvePrivateKey = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRing:
    """The keys of one moment.

    Attributes:
        previous: signed before; its tokens may still be on their way. None before a rotation.
        current: signs.
        next: will sign from the next rotation on.
    """

    previous: SigningKey | None
    current: SigningKey
    next: SigningKey


class Keys:
    """The keys in a folder, read again when the file is another."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / PRIVATE_FILE
        self._read: tuple[tuple[int, int, int], KeyRing] | None = None

    def current(self) -> SigningKey:
        """Return the key that signs.

        Raises:
            UnavailableError: `grafana_keys_missing`, where there is none or it cannot be read.
        """
        try:
            found = self._file.stat()
            mark = (found.st_ino, found.st_mtime_ns, found.st_size)
            if self._read is None or self._read[0] != mark:
                self._read = (mark, _read_ring(self._file))
        except OSError as error:
            raise _missing(error.strerror or "it cannot be read") from None
        return self._read[1].current

    def are_there(self) -> bool:
        """Whether there is a key that signs."""
        try:
            self.current()
        except UnavailableError:
            return False
        return True


def rotate_keys(folder: Path, *, only_first: bool = False) -> KeyRing:
    """Let the next key sign and make another one after it; the first time, make both.

    Args:
        folder: where they are kept; it is made where it is missing.
        only_first: leave the keys that are there as they are.

    Raises:
        UnavailableError: `grafana_keys_missing`, where the folder cannot be written, or has a file
            that is none of ours.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            there = folder / PRIVATE_FILE
            before = _read_ring(there) if there.exists() else None
            if before is not None and only_first:
                return before
            ring = KeyRing(
                previous=None if before is None else before.current,
                current=_make() if before is None else before.next,
                next=_make(),
            )
            # The public ones first: what signs is always among them, wherever this is stopped.
            _write(folder / PUBLIC_FILE, _public(ring), mode=0o644)
            _write(there, _private(ring), mode=0o600)
    except OSError as error:
        raise _missing(error.strerror or "it cannot be written") from None
    return ring


def _missing(reason: str) -> UnavailableError:
    return UnavailableError(
        "grafana_keys_missing",
        f"METERLINE_GRAFANA_KEYS has no keys that can be used: {reason}; run"
        " `meterline grafana keys rotate`",
    )


def _make() -> SigningKey:
    return SigningKey(kid=secrets.token_hex(_KID_BYTES), key=generate_private_key(SECP256R1()))


def _members(ring: KeyRing) -> dict[str, SigningKey]:
    former = {} if ring.previous is None else {_PREVIOUS: ring.previous}
    return {**former, _CURRENT: ring.current, _NEXT: ring.next}


def _public(ring: KeyRing) -> dict[str, Any]:
    return {"keys": [_to_jwk(one.key.public_key(), one.kid) for one in _members(ring).values()]}


def _private(ring: KeyRing) -> dict[str, Any]:
    return {name: _to_jwk(one.key, one.kid) for name, one in _members(ring).items()}


def _to_jwk(key: Any, kid: str) -> dict[str, Any]:
    written = ECAlgorithm.to_jwk(key, as_dict=True)
    return {**written, "kid": kid, "use": "sig", "alg": ALGORITHM}


def _read_ring(file: Path) -> KeyRing:
    try:
        document = json.loads(file.read_bytes())
        former = document.get(_PREVIOUS)
        return KeyRing(
            previous=None if former is None else _from_jwk(former),
            current=_from_jwk(document[_CURRENT]),
            next=_from_jwk(document[_NEXT]),
        )
    except (ValueError, LookupError, AttributeError, TypeError, InvalidKeyError):
        raise _missing(f"{PRIVATE_FILE} is not a valid key file") from None
    except UnsupportedAlgorithm:
        raise _missing(f"{PRIVATE_FILE} has a key of another kind") from None


def _from_jwk(written: dict[str, Any]) -> SigningKey:
    key = ECAlgorithm(ECAlgorithm.SHA256).from_jwk(written)
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise InvalidKeyError
    return SigningKey(kid=str(written["kid"]), key=key)


def _write(file: Path, document: dict[str, Any], *, mode: int) -> None:
    """Replace a file at once: whoever reads it has the old one or the new one."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as stream:
        os.fchmod(descriptor, mode)
        json.dump(document, stream, indent=2)
        stream.write("\n")
        stream.flush()
        os.fsync(descriptor)
    draft.replace(file)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
