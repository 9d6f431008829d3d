"""What goes over the wire about budgets, as the OpenAPI description shows it."""

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field

from api.report_schemas import TenantDates
from costing.budgets.budget import DEFAULT_THRESHOLDS
from costing.budgets.forecast import INTERVAL_PERCENT
from costing.budgets.periods import Period


class BudgetBody(BaseModel):
    """What is meant to be spent in each period."""

    model_config = ConfigDict(extra="forbid")

    period: Period = Field(description="In the tenant's own time zone")
    feature: str | None = Field(default=None, description="null: all that the tenant uses")
    amount: str = Field(description="USD, plain decimal, more than zero")
    thresholds: list[int] = Field(
        default=list(DEFAULT_THRESHOLDS), description="Percents of the amount at which to tell"
    )
    recipients: list[str] = Field(default=[], description="Addresses that mails go to")


class BudgetsBody(BaseModel):
    """All budgets of a tenant; one that is not among them is gone."""

    model_config = ConfigDict(extra="forbid")

    budgets: list[BudgetBody]


class ForecastAnswer(BaseModel):
    """An amount at the end of a month, in USD."""

    expected: str
    low: str = Field(
        description=f"With `high` the interval in which {INTERVAL_PERCENT} of 100 are meant to end"
    )
    high: str


class BudgetAnswer(TenantDates):
    """A budget, and where it stands in the period that is running."""

    period: Period
    feature: str | None
    amount: str
    thresholds: list[int]
    recipients: list[str]
    set_at: datetime | None = Field(description="Since when it is what it is")
    spent: str = Field(description="USD; usage without a price is not part of it")
    percent_used: int = Field(description="Rounded down")
    has_unpriced: bool = Field(description="There is usage without a price: more was spent")
    unpriced_count: int
    reached: list[int] = Field(description="Thresholds that spend has reached as it is now")
    told: list[int] = Field(
        description="Thresholds reached in this period at any time of which a notice was taken"
    )
    waiting: list[int] = Field(description="Such of which none was yet, and one is on its way")
    untold: list[int] = Field(
        description="Such that nobody is told of: nowhere to send a notice, or it was given up"
    )
    forecast: ForecastAnswer | None = Field(
        description="null: too little is known to go by, or it is for a day"
    )


class MonthAnswer(TenantDates):
    """The month that is running, as a whole."""

    forecast: ForecastAnswer | None


class BudgetsAnswer(BaseModel):
    """All budgets of a tenant."""

    currency: str = "USD"
    revision: int = Field(description="Raised with every change; the number in `ETag`")
    today: date
    month: MonthAnswer
    budgets: list[BudgetAnswer]
