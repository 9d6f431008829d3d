"""Where the ledger is kept, and how its database is used."""

from pydantic import BaseModel, Field, SecretStr, field_validator

from ledger.engine import DEFAULT_URL, parse_database_url
from ledger.errors import InvalidError


class StorageSettings(BaseModel):
    """The ledger's database."""

    database_url: SecretStr = Field(
        default=SecretStr(DEFAULT_URL), description="Where the ledger is kept."
    )
    database_pool_size: int = Field(
        default=8,
        ge=1,
        le=200,
        description=(
            "Connections to PostgreSQL that each process keeps; it opens as many more for a while."
        ),
    )
    database_lock_seconds: int = Field(
        default=10, ge=1, le=600, description="How long anybody waits for a lock of PostgreSQL."
    )
    database_statement_seconds: int = Field(
        default=30,
        ge=1,
        le=3600,
        description=(
            "How long a statement of an HTTP request may take on PostgreSQL. Commands and workers"
            " take the time that they need."
        ),
    )

    @field_validator("database_url")
    @classmethod
    def _an_address(cls, value: SecretStr) -> SecretStr:
        try:
            parse_database_url(value.get_secret_value())
        except InvalidError as error:
            raise ValueError(error.message) from None
        return value
