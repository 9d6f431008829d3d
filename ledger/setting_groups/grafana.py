"""The Grafana whose panels are embedded, and who provisions it."""

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator

from ledger.setting_values import leave_out_empty, parse_web_address


class GrafanaSettings(BaseModel):
    """Grafana; without an address the pages draw their own charts."""

    # Comes before the settings that depend on it: a field can only look at those above it.
    grafana_url: str | None = Field(
        default=None,
        description="Address of Grafana as this server reaches it; unset: own charts alone.",
    )
    grafana_user: str = Field(
        default="admin", min_length=1, description="Login of Grafana's server admin."
    )
    grafana_password: SecretStr | None = Field(default=None, description="Its password.")
    grafana_keys: Path | None = Field(
        default=None, description="Folder of the keys that sign who looks at Grafana."
    )
    grafana_gateway_url: str | None = Field(
        default=None, description="Address of `/grafana/influx` of this server as Grafana sees it."
    )

    @field_validator(
        "grafana_url", "grafana_password", "grafana_keys", "grafana_gateway_url", mode="before"
    )
    @classmethod
    def _no_grafana(cls, value: object) -> object:
        return leave_out_empty(value)

    @field_validator("grafana_url")
    @classmethod
    def _an_address_of_grafana(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if info.data.get("influx_url", "") is None:
            raise ValueError("needs METERLINE_INFLUX_URL, since boards read the series")
        return parse_web_address(value)

    @field_validator("grafana_gateway_url")
    @classmethod
    def _an_address_of_ours(cls, value: str | None) -> str | None:
        return None if value is None else parse_web_address(value)

    @field_validator("grafana_user")
    @classmethod
    def _a_login(cls, value: str) -> str:
        if ":" in value or not value.isprintable():
            raise ValueError("is a login without a colon")
        return value

    @field_validator("grafana_password", "grafana_keys", "grafana_gateway_url")
    @classmethod
    def _with_grafana(cls, value: object, info: ValidationInfo) -> object:
        if value is None and info.data.get("grafana_url") is not None:
            raise ValueError("is needed where METERLINE_GRAFANA_URL is set")
        return value
