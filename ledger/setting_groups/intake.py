"""What intake takes, keeps and hides."""

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

_MIN_HASH_KEY = 16


class IntakeSettings(BaseModel):
    """Events at the door."""

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

    @property
    def hash_key_bytes(self) -> bytes | None:
        """The key that hides personal values, as it is computed with."""
        return None if self.hash_key is None else self.hash_key.get_secret_value().encode()
