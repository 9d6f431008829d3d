"""Tokens that the host signs (RFC 7519): one algorithm, and nothing in them is taken on trust."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import jwt
from jwt.algorithms import HMACAlgorithm

from api.auth.caller import Caller
from api.auth.jwks import Jwks
from api.errors import UnauthorizedError
from ledger.accounts.roles import Role
from ledger.errors import ForbiddenError, InvalidError
from ledger.settings import Settings
from ledger.tenant import TenantId, parse_tenant_id

_LEEWAY_SECONDS = 30
_MAX_SUBJECT = 255

_REASONS: dict[type[Exception], str] = {
    jwt.InvalidAudienceError: "it is meant for another audience",
    jwt.InvalidIssuerError: "it comes from another issuer",
    jwt.InvalidSignatureError: "its signature is wrong",
    jwt.MissingRequiredClaimError: "a required claim is missing",
}


class Keys(Protocol):
    """Where the key of a token is found."""

    def find(self, kid: str | None, *, now: datetime) -> Any:
        """Return the key with this id, or None."""


@dataclass(frozen=True, slots=True)
class SecretKey:
    """The one secret that host and Meterline share."""

    secret: bytes

    def find(self, kid: str | None, *, now: datetime) -> bytes:
        """Return the secret, whatever the id."""
        del kid, now
        return self.secret


@dataclass(frozen=True, kw_only=True, slots=True)
class HostTokens:
    """Reads tokens as the settings say.

    Attributes:
        claims: names of the claims for tenant, role and subject, in this order.
        roles: our role of each role name that the host uses.
    """

    algorithm: str
    issuer: str
    audience: str
    claims: tuple[str, str, str]
    roles: Mapping[str, Role]
    keys: Keys

    def read(self, token: str, *, now: datetime) -> Caller:
        """Return whom a token names.

        Raises:
            UnauthorizedError: `invalid_credential`, the token does not hold.
            ForbiddenError: it holds, and its role or tenant is none of ours.
            UnavailableError: `jwks_unavailable`.
        """
        claims = self._verify(token, now)
        _check_times(claims, now.timestamp())
        tenant_claim, role_claim, subject_claim = self.claims
        role = self._role(claims.get(role_claim))
        tenant_id = _tenant(claims.get(tenant_claim))
        if tenant_id is not None and not role.is_tenant_role:
            raise ForbiddenError(
                "role_with_tenant", f"{role} is a role over all tenants; the token names a tenant"
            )
        return Caller(subject=_subject(claims[subject_claim]), role=role, tenant_id=tenant_id)

    def _verify(self, token: str, now: datetime) -> dict[str, Any]:
        """Return the claims of a token that was signed for us; its times are not looked at."""
        try:
            header = jwt.get_unverified_header(token)
            # Before a key is asked for: a foreign algorithm shall not even cause a look-up.
            if header.get("alg") != self.algorithm:
                raise _refused(f"it is not signed with {self.algorithm}")
            kid = header.get("kid")
            key = self.keys.find(kid if isinstance(kid, str) else None, now=now)
            if key is None:
                raise _refused("its key id is not one of the host's")
            return jwt.decode(
                token,
                key,
                algorithms=[self.algorithm],
                issuer=self.issuer,
                audience=self.audience,
                # The times are checked against our clock, which is an argument.
                options={
                    "require": ["exp", "iss", "aud", self.claims[2]],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                },
            )
        except jwt.PyJWTError as error:
            raise _refused(_REASONS.get(type(error), "it cannot be read")) from None

    def _role(self, claim: object) -> Role:
        role = self.roles.get(claim) if isinstance(claim, str) else None
        if role is None:
            raise ForbiddenError(
                "unknown_role",
                "the token's role is not one that Meterline knows; see METERLINE_JWT_ROLES",
                key=self.claims[1],
                value=claim,
            )
        return role


def build_host_tokens(settings: Settings) -> HostTokens | None:
    """Return the reader of host tokens; None where no algorithm is set: they are refused.

    Raises:
        InvalidError: `invalid_settings`, the secret is a public key, which is no secret.
    """
    algorithm, issuer, audience = (
        settings.jwt_algorithm,
        settings.jwt_issuer,
        settings.jwt_audience,
    )
    if algorithm is None or issuer is None or audience is None:
        return None
    return HostTokens(
        algorithm=algorithm,
        issuer=issuer,
        audience=audience,
        claims=(
            settings.jwt_tenant_claim,
            settings.jwt_role_claim,
            settings.jwt_subject_claim,
        ),
        roles=settings.jwt_roles,
        keys=_keys(settings, algorithm),
    )


def _keys(settings: Settings, algorithm: str) -> Keys:
    if settings.jwt_secret is None:
        return Jwks(str(settings.jwt_jwks), algorithm)
    secret = settings.jwt_secret.get_secret_value().encode()
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except jwt.InvalidKeyError:
        raise InvalidError(
            "invalid_settings", "METERLINE_JWT_SECRET is a key pair's key, not a shared secret"
        ) from None
    return SecretKey(secret)


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    """Check `exp`, `nbf` and `iat` (seconds since 1970) against `now`, with a small leeway."""
    if now >= _seconds(claims["exp"]) + _LEEWAY_SECONDS:
        raise _refused("it has expired")
    for name in ("nbf", "iat"):
        if name in claims and now < _seconds(claims[name]) - _LEEWAY_SECONDS:
            raise _refused("it is not valid yet")


def _seconds(claim: object) -> float:
    if isinstance(claim, int | float) and not isinstance(claim, bool):
        with suppress(OverflowError):  # a whole number may have more digits than a float holds
            if math.isfinite(claim):
                return claim
    raise _refused("one of its times is not a number")


def _tenant(claim: object) -> TenantId | None:
    """Return the tenant that a claim names. Hosts number their tenants, too."""
    if claim is None:
        return None
    if isinstance(claim, int) and not isinstance(claim, bool):
        claim = str(claim)
    try:
        return parse_tenant_id(claim)
    except InvalidError as error:
        raise ForbiddenError("unknown_tenant", error.message, key=error.key) from None


def _subject(claim: object) -> str:
    if isinstance(claim, int) and not isinstance(claim, bool):
        claim = str(claim)
    if isinstance(claim, str) and 1 <= len(claim) <= _MAX_SUBJECT and claim.isprintable():
        return claim
    raise _refused("its subject is not a valid id")


def _refused(reason: str) -> UnauthorizedError:
    return UnauthorizedError("invalid_credential", f"this token is not valid here: {reason}")
