"""Tokens that the host signs."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from ledger.accounts.roles import Role
from ledger.setting_values import is_trustworthy, need_algorithm, parse_roles

_MIN_JWT_SECRET_BYTES = 32
_SYMMETRIC = "HS256"
_OWN_ROLES: Mapping[str, Role] = {role.value: role for role in Role}


class TokenSettings(BaseModel):
    """The host's tokens: the one algorithm, its keys, and what their claims mean."""

    # Comes before the settings that depend on it: a field can only look at those above it.
    jwt_algorithm: Literal["HS256", "RS256", "ES256"] | None = Field(
        default=None, description="The one algorithm of the host's tokens; unset: they are refused."
    )
    jwt_secret: SecretStr | None = Field(
        default=None, description="The secret shared with the host, at least 32 bytes (HS256)."
    )
    jwt_jwks: str | None = Field(
        default=None, description="Address or file of the host's public keys (RS256, ES256)."
    )
    jwt_issuer: str | None = Field(default=None, description="What `iss` of a token must be.")
    jwt_audience: str | None = Field(default=None, description="What `aud` of a token must hold.")
    jwt_tenant_claim: str = Field(
        default="tenant_id", min_length=1, description="The claim that names the tenant."
    )
    jwt_role_claim: str = Field(
        default="role", min_length=1, description="The claim that names the role."
    )
    jwt_subject_claim: str = Field(
        default="sub", min_length=1, description="The claim that names the person."
    )
    jwt_roles: Annotated[Mapping[str, Role], NoDecode] = Field(
        default=_OWN_ROLES, description="Our role for each of the host's, as `theirs=ours,…`."
    )

    @field_validator("jwt_secret")
    @classmethod
    def _a_shared_secret(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        need_algorithm(value is not None, info, {_SYMMETRIC})
        if value is not None and len(value.get_secret_value().encode()) < _MIN_JWT_SECRET_BYTES:
            raise ValueError(f"needs at least {_MIN_JWT_SECRET_BYTES} bytes")
        return value

    @field_validator("jwt_jwks")
    @classmethod
    def _a_place_of_keys(cls, value: str | None, info: ValidationInfo) -> str | None:
        need_algorithm(value is not None, info, {"RS256", "ES256"})
        if value is not None and not is_trustworthy(value):
            raise ValueError("must be an https address, http on loopback, or the path of a file")
        return value

    @field_validator("jwt_issuer", "jwt_audience")
    @classmethod
    def _a_name(cls, value: str | None, info: ValidationInfo) -> str | None:
        need_algorithm(bool(value), info, {_SYMMETRIC, "RS256", "ES256"})
        return value

    @field_validator("jwt_roles", mode="before")
    @classmethod
    def _map_roles(cls, value: object) -> object:
        return parse_roles(value) if isinstance(value, str) else value
