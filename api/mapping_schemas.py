"""What goes over the wire about mappings, as the OpenAPI description shows it."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class MappingBody(BaseModel):
    """What a provider names, and whose it is to be."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(description="`account`, `service`, `number` or `subuser`")
    value: str = Field(description="SID, phone number in E.164 form or short code, or name")
    tenant: str = Field(description="The tenant's id")
    valid_from: str | None = Field(
        default=None,
        description="A local date of the tenant, or a time with an offset; null: from now on",
    )
    label: str | None = Field(default=None, description="What people call it")


class MappingPath(BaseModel):
    """Which mapping."""

    mapping_id: int = Field(description="Its number in the list")


class MappingAnswer(BaseModel):
    """From when until when something leads to a tenant."""

    mapping_id: int
    kind: str
    value: str | None = Field(description="null where it is personal, so that only a hash is kept")
    shown: str = Field(description="The value, or the last digits of a phone number")
    tenant: str
    valid_from: datetime
    until: datetime | None = Field(description="null: for good")
    label: str | None
    matches: bool = Field(
        description="false: its hash was made with another METERLINE_HASH_KEY; map it again"
    )


class FailedAnswer(BaseModel):
    """A tenant that could not be given what is its own. The worker tries again."""

    tenant: str
    code: str = Field(description="An error code")
    reason: str = Field(description="For a person")


class AttributedAnswer(BaseModel):
    """What became of usage that waited, and of what was in transit."""

    usages: int = Field(description="How many arrived at their tenants")
    failed_count: int = Field(description="Tenants whose usage stays in transit")
    failed: list[FailedAnswer]


class AddedMappingAnswer(MappingAnswer):
    """A mapping, and what was attributed when it was added."""

    attributed: AttributedAnswer


class WaitingClaim(BaseModel):
    """One thing that waiting usage names."""

    kind: str
    shown: str


class WaitingAnswer(BaseModel):
    """Usage that waits with the same claims."""

    claims: list[WaitingClaim] = Field(description="In order of precedence")
    usages: int
    first: datetime
    last: datetime


class InTransitAnswer(BaseModel):
    """Usage that has left `_unattributed` and has not arrived: in no tenant's figures."""

    tenant: str
    channel: str
    usages: int
    quantity: int
    estimated_cost: str | None = Field(
        description="What it cost in the figures that it has left, in USD; null: it has no price,"
        " or none yet"
    )


class MappingsAnswer(BaseModel):
    """All mappings, and the usage that they do not cover."""

    mappings: list[MappingAnswer]
    waiting: list[WaitingAnswer]
    in_transit: list[InTransitAnswer]
