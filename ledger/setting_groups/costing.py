"""What usage costs, and how long its raw rows are kept."""

from pathlib import Path

from pydantic import BaseModel, Field

from ledger.period import MAX_RETENTION_DAYS, MIN_RETENTION_DAYS


class CostingSettings(BaseModel):
    """Prices and retention."""

    price_file: Path | None = Field(
        default=None, description="Price book to use instead of the one that ships with Meterline."
    )
    ai_flat_fallback: bool = Field(
        default=True, description="Rate AI models by the flat map; off leaves them unpriced."
    )
    retention_days: int | None = Field(
        default=None,
        ge=MIN_RETENTION_DAYS,
        le=MAX_RETENTION_DAYS,
        description=(
            "Local dates, today included, whose raw usage `meterline retention run` keeps; unset:"
            " it is kept for ever."
        ),
    )
