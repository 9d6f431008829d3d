"""How secrets are kept: as a digest, so that a copy of the ledger opens nothing."""

import hashlib


def digest_secret(secret: str) -> bytes:
    """Return the SHA-256 of a secret of at least 128 random bits.

    Any text has one, also text from outside that is no Unicode (lone surrogates).
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
