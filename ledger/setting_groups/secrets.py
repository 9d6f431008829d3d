"""Settings that are read from files, as Docker and Kubernetes hand secrets on."""

from pathlib import Path

from pydantic import BaseModel, Field, field_validator

from ledger.setting_values import leave_out_empty


class SecretFileSettings(BaseModel):
    """The folder of such files; a variable of the same name comes before a file."""

    secrets_dir: Path | None = Field(
        default=None,
        description="Folder with a file for each setting that is kept out of the environment.",
    )

    @field_validator("secrets_dir", mode="before")
    @classmethod
    def _maybe_no_folder(cls, value: object) -> object:
        return leave_out_empty(value)

    @field_validator("secrets_dir")
    @classmethod
    def _a_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("is not a folder")
        return value
