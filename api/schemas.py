"""What goes over the wire, as the OpenAPI description shows it."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ledger.event import Status

Scalar = str | int | float | bool | None


class Event(BaseModel):
    """A usage event. It is validated by intake, one by one; this describes it."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(
        max_length=255, description="The provider's own id, or one made once before queueing"
    )
    tenant: str | None = Field(
        default=None, description="Needed with a host key; must be the key's own otherwise"
    )
    time: datetime = Field(description="ISO 8601 with an offset; when it happened")
    channel: str = Field(description="`sms`, `mms`, `voice`, `email` or `ai`")
    direction: str = Field(description="`inbound` or `outbound`")
    source: str | None = Field(
        default=None, description="`twilio`, `sendgrid`, `openai`, …: a slug"
    )
    feature: str | None = Field(default=None, description="What it was used for: a slug")
    quantity: int | float | None = Field(
        default=None,
        description="Segments, messages, started minutes, recipients; for AI the total of tokens",
    )
    metadata: dict[str, Scalar] | None = Field(
        default=None,
        description="Allow-listed small scalars. AI: `model`, `input_tokens`, `output_tokens`, …",
    )


class CloudEvent(BaseModel):
    """A CloudEvent 1.0 whose `data` holds the other fields of a usage event."""

    specversion: str = Field(pattern=r"^1\.0$")
    id: str
    source: str = Field(description="Identity is `source`, a slash, and `id`")
    type: str
    subject: str | None = Field(default=None, description="The tenant, unless `data` names it")
    time: datetime
    data: dict[str, object]


class EventResult(BaseModel):
    """What became of one event, in the order sent."""

    index: int
    id: str | None = None
    status: Status
    code: str | None = Field(default=None, description="Why it was rejected or conflicts")
    key: str | None = Field(default=None, description="The offending field")
    value: str | None = Field(default=None, description="The offending value, shortened")
    message: str | None = None
    dropped: list[str] | None = Field(default=None, description="Metadata that was not kept")


class EventsAnswer(BaseModel):
    """One result per event, and how many there are of each kind."""

    stored: int
    duplicate: int
    conflict: int
    rejected: int
    results: list[EventResult]


class Health(BaseModel):
    """Whether this process is up."""

    status: str


class SessionLink(BaseModel):
    """A link that signs one browser in, once."""

    url: str = Field(description="On this server: `/signin?code=…`")
    expires_at: datetime = Field(description="60 seconds after it was made")


class TenantPath(BaseModel):
    """Which tenant. The id is checked by the ledger's own rule; this describes it."""

    tenant_id: str = Field(description="The host's own id: 1 to 64 of A-Z a-z 0-9 _ . -")


class TenantBody(BaseModel):
    """What a tenant is to be."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=128, description="Name that people read")
    plan: str = Field(min_length=1, max_length=128, description="Plan from now on")
    timezone: str = Field(description="IANA zone of its days from now on, like Europe/Berlin")


class TenantAnswer(BaseModel):
    """A tenant with its plan and time zone of now."""

    tenant_id: str
    name: str
    plan: str
    timezone: str
    closed_at: datetime | None = Field(
        description="Usage from then on is rejected; null: it is open"
    )
