"""Settings from the environment, read once, typed, with all faults reported together."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ledger.errors import InvalidError

_MIN_HASH_KEY = 16


class Settings(BaseSettings):
    """What can be set from outside; each is `METERLINE_` and the name in capitals."""

    model_config = SettingsConfigDict(env_prefix="METERLINE_", frozen=True, extra="forbid")

    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///meterline.db"), description="Where the ledger is kept."
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
        faults = "\n".join(
            f"  METERLINE_{str(fault['loc'][0]).upper()}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_context=False, include_url=False)
        )
        raise InvalidError("invalid_settings", f"settings are wrong:\n{faults}") from None
