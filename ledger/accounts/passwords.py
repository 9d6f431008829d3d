"""Passwords are kept as argon2id hashes. Checking takes as long for a login that is not there."""

import unicodedata

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from ledger.errors import InvalidError

MIN_LENGTH = 12
MAX_LENGTH = 1024

# RFC 9106, section 4, its second recommended choice: 64 MiB, three passes, four lanes.
_MEMORY_KIB = 65_536
_PASSES = 3
_LANES = 4
_SALT_BYTES = 16
_HASH_BYTES = 32

# All-zero salt and hash in unpadded base64. No password is known that has it, and checking one
# against it costs what a stored hash costs.
_NOBODYS_HASH = f"$argon2id$v=19$m={_MEMORY_KIB},t={_PASSES},p={_LANES}${'A' * 22}${'A' * 43}"


def hash_password(text: str) -> str:
    """Check a new password and return what is stored instead of it.

    Raises:
        InvalidError: `weak_password`; the password is not repeated.
    """
    if not MIN_LENGTH <= len(text) <= MAX_LENGTH:
        raise InvalidError(
            "weak_password", f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters"
        )
    return _hasher().hash(_canonical(text))


def verify_password(stored: str | None, text: str) -> bool:
    """Whether `text` is the password of a stored hash; None: of nobody's, and as slowly.

    A text that is too long to be anybody's password is never hashed whole.
    """
    possible = stored is not None and len(text) <= MAX_LENGTH
    try:
        matches = _hasher().verify(stored or _NOBODYS_HASH, _canonical(text[:MAX_LENGTH]))
    except (VerificationError, InvalidHashError):
        return False
    return possible and matches


def needs_rehash(stored: str) -> bool:
    """Whether a hash was made with other parameters than a new one would be."""
    return _hasher().check_needs_rehash(stored)


def _hasher() -> PasswordHasher:
    return PasswordHasher(
        time_cost=_PASSES,
        memory_cost=_MEMORY_KIB,
        parallelism=_LANES,
        salt_len=_SALT_BYTES,
        hash_len=_HASH_BYTES,
        type=Type.ID,
    )


def _canonical(text: str) -> bytes:
    # Keyboards differ in how they send one and the same letter, such as é: as one code or as two.
    return unicodedata.normalize("NFKC", text).encode("utf-8", "surrogatepass")
