"""Settings from the environment, read once, typed, with all faults reported together."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ledger.engine import DEFAULT_URL, parse_database_url
from ledger.errors import InvalidError

_PREFIX = "METERLINE_"
_MIN_HASH_KEY = 16


class Settings(BaseSettings):
    """What can be set from outside; each is `METERLINE_` and the name in capitals."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid")

    database_url: SecretStr = Field(
        default=SecretStr(DEFAULT_URL), description="Where the ledger is kept."
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

    @field_validator("metadata_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(part.strip() for part in value.split(",") if part.strip())
        return value

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
            f"\n  {_PREFIX}{str(fault['loc'][0]).upper()}:"
            f" {fault['msg'].removeprefix('Value error, ')}"
            for fault in found
        ]
        raise InvalidError("invalid_settings", f"settings are wrong:{''.join(faults)}") from None


def find_unknown_settings() -> list[str]:
    """Return the names of environment variables that look like settings and are none.

    They are no fault: a cluster may set some of its own accord, such as METERLINE_SERVICE_HOST.
    """
    known = {f"{_PREFIX}{name.upper()}" for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.startswith(_PREFIX) and name not in known)
