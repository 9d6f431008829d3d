"""Reads what a provider names, and makes of it what the ledger may keep. Pure functions.

A phone number is kept as a keyed hash with its last four digits, so that people can tell one from
the other; so is a subuser whose name is an e-mail address, without any digits.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import NamedTuple

from collector.facts.claim import Claim, ClaimKind
from collector.personal import hide, is_personal_identifier
from ledger.errors import InvalidError
from ledger.tenant import TenantId

_SHOWN_DIGITS = 4
_SID_OF = {ClaimKind.ACCOUNT: "AC", ClaimKind.SERVICE: "MG"}
_SID_REST = re.compile(r"[0-9a-f]{32}")
_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_SHORT_CODE = re.compile(r"\d{3,6}", re.ASCII)
_GAPS = re.compile(r"[\s().\-]")
_MOST_CHARACTERS = 128
_PURPOSE = b"meterline mapping key"


class ClaimKey(NamedTuple):
    """What is kept of a claim, and compared.

    Attributes:
        kind: see `ClaimKind`.
        value: as the provider has it, or its keyed hash where it is personal.
        digits: the last four of a phone number.
    """

    kind: ClaimKind
    value: str
    digits: str | None = None

    @property
    def is_hidden(self) -> bool:
        """Whether the value is a hash."""
        return self.value.startswith("hmac:")

    @property
    def shown(self) -> str:
        """What a person is shown."""
        if not self.is_hidden:
            return self.value
        return f"…{self.digits}" if self.digits else "(hidden)"


def parse_claim(kind: str, value: str) -> Claim:
    """Check what a person says that a provider names.

    Raises:
        InvalidError: `unknown_mapping_kind` or `invalid_mapping_value`; a phone number is not
            repeated.
    """
    if kind not in _FORMS:
        raise InvalidError(
            "unknown_mapping_kind",
            f"kind is one of {', '.join(_FORMS)}",
            key="kind",
            value=kind,
        )
    known = ClaimKind(kind)
    claim = _tidy(Claim(known, value.strip()))
    if not _is_whole(claim):
        shown = None if known is ClaimKind.NUMBER else value
        raise InvalidError("invalid_mapping_value", _FORMS[known], key="value", value=shown)
    return claim


def make_key(claim: Claim, hash_key: bytes | None) -> ClaimKey:
    """Return what is kept of a checked claim.

    Raises:
        InvalidError: `missing_hash_key`, where the value is personal and there is no key to hide
            it with.
    """
    found = _key(claim, hash_key)
    if found is None:
        raise InvalidError(
            "missing_hash_key",
            "phone numbers and e-mail addresses are kept as keyed hashes alone; set"
            " METERLINE_HASH_KEY for all processes, then map it",
            key="kind",
            value=claim.kind,
        )
    return found


def make_keys(claims: Sequence[Claim], hash_key: bytes | None) -> tuple[ClaimKey, ...]:
    """Return what can be kept of the claims of a message, in their order.

    What is no such thing (a withheld number, an empty field) claims nothing; neither does what is
    personal where there is no key.
    """
    whole = (c for c in map(_tidy, claims) if c.kind in _FORMS and _is_whole(c))
    keys = (_key(claim, hash_key) for claim in whole)
    return tuple(dict.fromkeys(key for key in keys if key is not None))


def name_tenant(tenant_id: TenantId) -> ClaimKey:
    """Return the claim of a tenant that the host named."""
    return ClaimKey(ClaimKind.TENANT, tenant_id)


def mark_key(hash_key: bytes) -> str:
    """Return what tells one hash key from another and gives neither away."""
    return hmac.new(hash_key, _PURPOSE, hashlib.sha256).hexdigest()[:16]


_FORMS: dict[str, str] = {
    ClaimKind.ACCOUNT: "an account is its SID: AC and 32 of 0-9 a-f",
    ClaimKind.SERVICE: "a messaging service is its SID: MG and 32 of 0-9 a-f",
    ClaimKind.NUMBER: "a number is in E.164 form, like +13125550100, or a short code of 3 to 6"
    " digits",
    ClaimKind.SUBUSER: "a subuser is its name: 1 to 128 printable characters without blanks",
}


def _tidy(claim: Claim) -> Claim:
    if claim.kind is ClaimKind.NUMBER:
        return claim._replace(value=_GAPS.sub("", claim.value))
    return claim


def _is_whole(claim: Claim) -> bool:
    kind, value = claim
    if kind is ClaimKind.NUMBER:
        return bool(_E164.fullmatch(value) or _SHORT_CODE.fullmatch(value))
    if kind is ClaimKind.SUBUSER:
        # What begins like a hash of ours would be taken for one.
        is_text = value.isprintable() and not any(c.isspace() for c in value)
        return is_text and 1 <= len(value) <= _MOST_CHARACTERS and not value.startswith("hmac:")
    return value[:2] == _SID_OF[kind] and _SID_REST.fullmatch(value[2:]) is not None


def _key(claim: Claim, hash_key: bytes | None) -> ClaimKey | None:
    kind, value = claim
    is_number = kind is ClaimKind.NUMBER and value.startswith("+")
    if not is_number and not is_personal_identifier(value):
        return ClaimKey(kind, value)
    if hash_key is None:
        return None
    return ClaimKey(kind, hide(hash_key, value), value[-_SHOWN_DIGITS:] if is_number else None)
