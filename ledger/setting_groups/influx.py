"""The InfluxDB that series are shipped to."""

from pydantic import BaseModel, Field, SecretStr, field_validator

from ledger.setting_values import (
    check_header_value,
    leave_out_empty,
    parse_bucket,
    parse_web_address,
)


class InfluxSettings(BaseModel):
    """InfluxDB; without an address there are no series."""

    influx_url: str | None = Field(
        default=None, description="Address of InfluxDB; unset: there are no series."
    )
    influx_token: SecretStr | None = Field(
        default=None, description="Its token; on 1.8 with authentication, `user:password`."
    )
    influx_read_token: SecretStr | None = Field(
        default=None,
        description="A token that only reads, for what Grafana asks; unset: the other one.",
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

    @field_validator("influx_url", "influx_usage_bucket", mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        return leave_out_empty(value)

    @field_validator("influx_token", "influx_read_token", mode="before")
    @classmethod
    def _bare(cls, value: object) -> object:
        # Whoever pastes a token, or reads it from a file, has the end of the line with it.
        return (value.strip() or None) if isinstance(value, str) else value

    @field_validator("influx_token", "influx_read_token")
    @classmethod
    def _of_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else check_header_value(value)

    @field_validator("influx_url")
    @classmethod
    def _a_web_address(cls, value: str | None) -> str | None:
        return None if value is None else parse_web_address(value)

    @field_validator("influx_bucket", "influx_usage_bucket")
    @classmethod
    def _a_bucket(cls, value: str | None) -> str | None:
        return None if value is None else parse_bucket(value)
