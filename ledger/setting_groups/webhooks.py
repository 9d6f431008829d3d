"""Webhooks of providers: their signatures, and the features of what they tell."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from ledger.setting_values import (
    leave_out_empty,
    parse_feature_rules,
    parse_owned,
    parse_web_address,
)


class WebhookSettings(BaseModel):
    """What lets webhooks in."""

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

    @field_validator(
        "public_url", "twilio_auth_token", "twilio_shared_key", "sendgrid_public_key", mode="before"
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return leave_out_empty(value)

    @field_validator("public_url")
    @classmethod
    def _a_public_address(cls, value: str | None) -> str | None:
        return None if value is None else parse_web_address(value)

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
