"""The mails and webhooks that budgets are told by."""

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator

from ledger.errors import InvalidError
from ledger.mail_address import parse_address
from ledger.setting_values import (
    check_header_value,
    leave_out_empty,
    parse_receiver,
    parse_web_address,
)

_MIN_SECRET = 16


class NoticeSettings(BaseModel):
    """Where notices of budgets go out."""

    sendgrid_url: str = Field(
        default="https://api.sendgrid.com",
        description="Address of SendGrid's API, which sends the mails.",
    )
    mail_from: str | None = Field(
        default=None, description="Address that mails come from, as verified at SendGrid."
    )
    sendgrid_api_key: SecretStr | None = Field(
        default=None, description="Key that sends mails; unset: no mail is sent."
    )
    notice_webhook_url: str | None = Field(
        default=None, description="Address that notices are posted to; unset: to none."
    )
    notice_webhook_secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="Secrets that sign these, at least 16 characters each, with commas.",
    )
    notice_timeout_seconds: float = Field(
        default=10.0, ge=0.1, le=25, description="How long to wait for one answer to a notice."
    )

    @field_validator(
        "mail_from",
        "sendgrid_api_key",
        "notice_webhook_url",
        "notice_webhook_secret",
        mode="before",
    )
    @classmethod
    def _left_out(cls, value: object) -> object:
        return leave_out_empty(value)

    @field_validator("sendgrid_url")
    @classmethod
    def _an_api(cls, value: str) -> str:
        return parse_web_address(value)

    @field_validator("mail_from")
    @classmethod
    def _an_address_of_mail(cls, value: str | None) -> str | None:
        try:
            return None if value is None else parse_address(value, key="it")
        except InvalidError as error:
            raise ValueError(error.message) from None

    @field_validator("sendgrid_api_key")
    @classmethod
    def _a_key_with_a_sender(
        cls, value: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if value is not None and info.data.get("mail_from", "") is None:
            raise ValueError("needs METERLINE_MAIL_FROM, since a mail comes from somebody")
        return None if value is None else check_header_value(value)

    @field_validator("notice_webhook_url")
    @classmethod
    def _a_receiver(cls, value: str | None) -> str | None:
        return None if value is None else parse_receiver(value)

    @field_validator("notice_webhook_secret")
    @classmethod
    def _long_secrets(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None:
            if info.data.get("notice_webhook_url") is not None:
                raise ValueError("is needed with METERLINE_NOTICE_WEBHOOK_URL")
            return None
        if any(len(one) < _MIN_SECRET for one in split_secrets(value)):
            raise ValueError(f"needs at least {_MIN_SECRET} characters in each")
        return value

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The secrets that webhooks are signed with."""
        secret = self.notice_webhook_secret
        return () if secret is None else split_secrets(secret)


def split_secrets(secret: SecretStr) -> tuple[str, ...]:
    """Return the secrets of a list with commas.

    Raises:
        ValueError: there is none.
    """
    parts = (part.strip() for part in secret.get_secret_value().split(","))
    secrets = tuple(part for part in parts if part)
    if not secrets:
        raise ValueError("names none")
    return secrets
