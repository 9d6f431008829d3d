"""What Grafana may ask of InfluxDB through us."""

from pydantic import BaseModel, Field


class GatewaySettings(BaseModel):
    """How much of a process, and for how long."""

    gateway_queries: int = Field(
        default=4,
        ge=1,
        le=5,
        description=(
            "Queries that each process has under way at InfluxDB; a tenant has half of them at"
            " most. Twice as many wait, so five would take all but one of the threads there are."
        ),
    )
    gateway_timeout_seconds: float = Field(
        default=15.0, ge=0.1, le=300, description="How long a query may wait and run in all."
    )
