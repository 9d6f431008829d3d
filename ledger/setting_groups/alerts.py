"""What the exporter shows of tenants, and from when on it calls spend high."""

from decimal import Decimal

from pydantic import BaseModel, Field


class AlertSettings(BaseModel):
    """The limits that decide which tenants have series of their own."""

    metrics_tenants: int = Field(
        default=20,
        ge=0,
        le=1000,
        description="How many tenants, those that spent most today, have metrics of their own.",
    )
    alert_ai_share: Decimal = Field(
        default=Decimal("0.30"),
        ge=0,
        le=1,
        decimal_places=9,
        description="Over which share of a tenant's spend today its AI spend is high.",
    )
    alert_ai_usd: Decimal = Field(
        default=Decimal(10),
        ge=0,
        le=1_000_000_000,
        decimal_places=9,
        description="Over which amount it is; it must be over both.",
    )
    alert_hour_usd: Decimal = Field(
        default=Decimal(5),
        gt=0,
        le=1_000_000_000,
        decimal_places=9,
        description="From which spend of an hour on it is compared with the tenant's usual hour.",
    )
