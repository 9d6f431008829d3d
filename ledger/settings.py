"""Settings from the environment, read once, typed, with all faults reported together."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ledger.accounts.roles import Role
from ledger.engine import DEFAULT_URL, parse_database_url
from ledger.errors import InvalidError
from ledger.period import MAX_RETENTION_DAYS, MIN_RETENTION_DAYS
from ledger.setting_values import (
    check_header_value,
    is_trustworthy,
    need_algorithm,
    parse_bucket,
    parse_feature_rules,
    parse_owned,
    parse_roles,
    parse_web_address,
)

SETTING_PREFIX = "METERLINE_"
_MIN_HASH_KEY = 16
_MIN_JWT_SECRET_BYTES = 32
_SYMMETRIC = "HS256"
_OWN_ROLES: Mapping[str, Role] = {role.value: role for role in Role}


class Settings(BaseSettings):
    """What can be set from outside; each is `METERLINE_` and the name in capitals."""

    model_config = SettingsConfigDict(env_prefix=SETTING_PREFIX, frozen=True, extra="forbid")

    database_url: SecretStr = Field(
        default=SecretStr(DEFAULT_URL), description="Where the ledger is kept."
    )
    database_pool_size: int = Field(
        default=8,
        ge=1,
        le=200,
        description=(
            "Connections to PostgreSQL that each process keeps; it opens as many more for a while."
        ),
    )
    database_lock_seconds: int = Field(
        default=10, ge=1, le=600, description="How long anybody waits for a lock of PostgreSQL."
    )
    database_statement_seconds: int = Field(
        default=30,
        ge=1,
        le=3600,
        description=(
            "How long a statement of an HTTP request may take on PostgreSQL. Commands and workers"
            " take the time that they need."
        ),
    )
    hash_key: SecretStr | None = Field(
        default=None,
        description=(
            "Key of the HMAC that stands in for phone numbers and e-mail addresses in metadata, at "
            "least 16 characters. Without it such values are left out."
        ),
    )
    metadata_keys: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(), description="More metadata keys to keep, separated by commas."
    )
    auto_register_tenants: bool = Field(
        default=False, description="Register the tenant of an event when it is not known yet."
    )
    max_future_seconds: int = Field(
        default=300, ge=0, le=86_400, description="How far ahead of our clock an event may be."
    )
    max_body_bytes: int = Field(
        default=16 * 1024 * 1024, ge=1024, description="Largest accepted request body."
    )
    max_batch_events: int = Field(
        default=10_000, ge=1, le=100_000, description="Most events in one request."
    )
    price_file: Path | None = Field(
        default=None, description="Price book to use instead of the one that ships with Meterline."
    )
    ai_flat_fallback: bool = Field(
        default=True, description="Rate AI models by the flat map; off leaves them unpriced."
    )
    retention_days: int | None = Field(
        default=None,
        ge=MIN_RETENTION_DAYS,
        le=MAX_RETENTION_DAYS,
        description=(
            "Local dates, today included, whose raw usage `meterline retention run` keeps; unset:"
            " it is kept for ever."
        ),
    )
    influx_url: str | None = Field(
        default=None, description="Address of InfluxDB; unset: there are no series."
    )
    influx_token: SecretStr | None = Field(
        default=None, description="Its token; on 1.8 with authentication, `user:password`."
    )
    influx_org: str = Field(default="", description="Its organisation, on 2.x.")
    influx_bucket: str = Field(
        default="meterline", description="Its bucket; a database of that name on 1.x and 3.x."
    )
    influx_usage_bucket: str | None = Field(
        default=None, description="A bucket of their own for raw points, with its own retention."
    )
    influx_timeout_seconds: float = Field(
        default=10.0, ge=0.1, le=300, description="How long to wait for one answer of InfluxDB."
    )
    # Comes before the settings that depend on it: a field can only look at those above it.
    public_url: str | None = Field(
        default=None,
        description=(
            "Address of this server as providers call it; Twilio signs it, and proxies change it."
        ),
    )
    twilio_auth_token: SecretStr | None = Field(
        default=None,
        description="Tokens that sign Twilio's webhooks, as `TOKEN` or `ACCOUNT_SID=TOKEN,…`.",
    )
    twilio_shared_key: SecretStr | None = Field(
        default=None,
        description="Secrets of Twilio's shared keys, where it signs with those, with commas.",
    )
    sendgrid_public_key: SecretStr | None = Field(
        default=None,
        description="Keys that verify SendGrid's event webhook, as `KEY` or `SUBUSER=KEY,…`.",
    )
    feature_rules: Annotated[Mapping[str, str], NoDecode] = Field(
        default={},
        description="Features of what webhooks tell, as `KIND:VALUE=FEATURE,…`.",
    )
    # As above.
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
    secure_cookies: bool = Field(
        default=True, description="Send cookies over https alone; off is for a plain test set-up."
    )
    trusted_proxies: int = Field(
        default=0, ge=0, le=10, description="How many proxies in front add X-Forwarded-For."
    )

    @field_validator("metadata_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def hash_key_bytes(self) -> bytes | None:
        """The key that hides personal values, as it is computed with."""
        return None if self.hash_key is None else self.hash_key.get_secret_value().encode()

    @field_validator("database_url")
    @classmethod
    def _an_address(cls, value: SecretStr) -> SecretStr:
        try:
            parse_database_url(value.get_secret_value())
        except InvalidError as error:
            raise ValueError(error.message) from None
        return value

    @field_validator("hash_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _MIN_HASH_KEY:
            raise ValueError(f"needs at least {_MIN_HASH_KEY} characters")
        return value

    @field_validator(
        "influx_url",
        "influx_usage_bucket",
        "public_url",
        "twilio_auth_token",
        "twilio_shared_key",
        "sendgrid_public_key",
        mode="before",
    )
    @classmethod
    def _unset(cls, value: object) -> object:
        # A variable that is there and empty is how a file of settings leaves one out.
        return None if value == "" else value

    @field_validator("influx_token", mode="before")
    @classmethod
    def _bare(cls, value: object) -> object:
        # Whoever pastes a token, or reads it from a file, has the end of the line with it.
        return (value.strip() or None) if isinstance(value, str) else value

    @field_validator("influx_token")
    @classmethod
    def _of_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else check_header_value(value)

    @field_validator("influx_url", "public_url")
    @classmethod
    def _a_web_address(cls, value: str | None) -> str | None:
        return None if value is None else parse_web_address(value)

    @field_validator("influx_bucket", "influx_usage_bucket")
    @classmethod
    def _a_bucket(cls, value: str | None) -> str | None:
        return None if value is None else parse_bucket(value)

    @field_validator("twilio_auth_token", "twilio_shared_key", "sendgrid_public_key")
    @classmethod
    def _keys(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None:
            parse_owned(value.get_secret_value())
            if info.field_name != "sendgrid_public_key" and info.data.get("public_url", "") is None:
                raise ValueError("needs METERLINE_PUBLIC_URL, since Twilio signs the address")
        return value

    @field_validator("feature_rules", mode="before")
    @classmethod
    def _map_features(cls, value: object) -> object:
        return parse_feature_rules(value) if isinstance(value, str) else value

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


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        InvalidError: `invalid_settings`, naming every fault; values are not repeated, since a
            setting can be a secret.
    """
    try:
        return Settings()
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False, include_url=False)
        faults = [
            f"\n  {SETTING_PREFIX}{str(fault['loc'][0]).upper()}:"
            f" {fault['msg'].removeprefix('Value error, ')}"
            for fault in found
        ]
        raise InvalidError("invalid_settings", f"settings are wrong:{''.join(faults)}") from None


def find_unknown_settings() -> list[str]:
    """Return the names of environment variables that look like settings and are none.

    They are no fault: a cluster may set some of its own accord, such as METERLINE_SERVICE_HOST.
    """
    known = {f"{SETTING_PREFIX}{name.upper()}" for name in Settings.model_fields}
    return sorted(
        name for name in os.environ if name.startswith(SETTING_PREFIX) and name not in known
    )
