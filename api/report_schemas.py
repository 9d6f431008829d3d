"""What the reports look like on the wire. Money is plain decimal USD as text; null is unknown."""

from datetime import date, datetime

from pydantic import BaseModel, Field

_HAS_UNPRICED = "Whether any usage has no price; its count may be 0 where corrections cancel"
_COST = "USD, plain decimal; null where there is usage and none of it has a price"


class UsageFigures(BaseModel):
    """Sums of usage. What has no price is counted apart and is never zero."""

    count: int = Field(description="Usages; corrections carry a sign")
    estimated_cost: str | None = Field(description=_COST)
    has_unpriced: bool = Field(description=_HAS_UNPRICED)
    unpriced_count: int = Field(description="Those of the usages that have no price")
    flat_rated_count: int = Field(description="Those of the AI usages rated by the flat price map")


class ChannelUsage(UsageFigures):
    """One channel and its part of what is known to be spent."""

    channel: str
    title: str = Field(description="The name that people read")
    percent: str | None = Field(
        description="With one decimal; those of all channels sum to 100.0. null: not known"
    )


class TopSpend(BaseModel):
    """The channel or feature that most was spent on."""

    name: str
    estimated_cost: str


class TenantDescription(BaseModel):
    """Whose usage it is: the tenant of the credential."""

    id: str
    name: str
    plan: str
    timezone: str


class TenantDates(BaseModel):
    """A range of the tenant's local dates, both included."""

    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="to")


class SummaryAnswer(TenantDates):
    """The cards and the channel table of the usage page."""

    tenant: TenantDescription
    currency: str = "USD"
    total: UsageFigures
    top_channel: TopSpend | None = Field(description="null where nothing was spent")
    top_feature: TopSpend | None = Field(description="null where nothing was spent on a feature")
    channels: list[ChannelUsage]
    has_flat_rated_ai: bool = Field(
        description="AI was rated by the flat price map, not by the price of its model"
    )
    costed_at: datetime | None = Field(description="When the figures were last updated")
    pending_events: int = Field(description="Booked events that are not in the figures yet")


class SeriesPointAnswer(UsageFigures):
    """One channel on one local date."""

    date: date
    channel: str


class SeriesAnswer(TenantDates):
    """A point for every date and channel, used or not."""

    currency: str = "USD"
    points: list[SeriesPointAnswer]


class FeatureUsage(UsageFigures):
    """One feature on one channel by way of one source; null: not said by the event."""

    feature: str | None
    channel: str
    source: str | None


class FeaturesAnswer(TenantDates):
    """Features, the dearest first."""

    currency: str = "USD"
    features: list[FeatureUsage]


class GridTenant(BaseModel):
    """One tenant over its own last local dates."""

    tenant: str
    name: str
    is_unattributed: bool = Field(description="No customer, but usage without a tenant")
    plan: str
    closed_at: datetime | None = Field(description="From when its usage is refused; null: open")
    estimated_cost: str | None = Field(description=_COST)
    has_unpriced: bool = Field(description=_HAS_UNPRICED)
    unpriced_count: int
    ai_percent: str | None = Field(description="Of what is known to be spent; null: not known")
    high_ai: bool | None = Field(
        description="Whether the exact AI share is over the threshold; null: not known"
    )
    twilio_percent: str | None
    emails_sent: int = Field(description="Recipients of outbound e-mail")
    unpriced_ai_count: int
    flat_rated_ai_count: int


class GridAnswer(BaseModel):
    """One page of the tenants that match."""

    currency: str = "USD"
    page: int
    page_size: int
    total_count: int = Field(description="Tenants on all pages")
    tenants: list[GridTenant]
