"""Settings from the environment, read once, typed, with all faults reported together."""

import os
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ledger.errors import InvalidError
from ledger.setting_groups.alerts import AlertSettings
from ledger.setting_groups.costing import CostingSettings
from ledger.setting_groups.gateway import GatewaySettings
from ledger.setting_groups.grafana import GrafanaSettings
from ledger.setting_groups.influx import InfluxSettings
from ledger.setting_groups.intake import IntakeSettings
from ledger.setting_groups.notices import NoticeSettings
from ledger.setting_groups.secrets import SecretFileSettings
from ledger.setting_groups.storage import StorageSettings
from ledger.setting_groups.tokens import TokenSettings
from ledger.setting_groups.web import WebSettings
from ledger.setting_groups.webhooks import WebhookSettings

SETTING_PREFIX = "METERLINE_"
_SECRETS_DIR = f"{SETTING_PREFIX}SECRETS_DIR"


class Settings(  # the last group's fields come first
    GrafanaSettings,
    AlertSettings,
    NoticeSettings,
    WebSettings,
    TokenSettings,
    WebhookSettings,
    GatewaySettings,
    InfluxSettings,
    CostingSettings,
    IntakeSettings,
    StorageSettings,
    SecretFileSettings,
    BaseSettings,
):
    """What can be set from outside; each is `METERLINE_` and the name in capitals."""

    model_config = SettingsConfigDict(env_prefix=SETTING_PREFIX, frozen=True, extra="forbid")


def load_settings() -> Settings:
    """Read the settings from the environment, and from the files of METERLINE_SECRETS_DIR.

    Raises:
        InvalidError: `invalid_settings`, naming every fault; values are not repeated, since a
            setting can be a secret.
    """
    try:
        return Settings(_secrets_dir=_find_secrets())  # type: ignore[call-arg] # not a field
    except OSError as error:
        raise InvalidError(
            "invalid_settings", f"a file of {_SECRETS_DIR} cannot be read: {error}"
        ) from None
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False, include_url=False)
        faults = [
            f"\n  {SETTING_PREFIX}{str(fault['loc'][0]).upper()}:"
            f" {fault['msg'].removeprefix('Value error, ')}"
            for fault in found
        ]
        raise InvalidError("invalid_settings", f"settings are wrong:{''.join(faults)}") from None


def _find_secrets() -> Path | None:
    """Return the folder of secrets; one that is none is told with the other faults."""
    named = os.environ.get(_SECRETS_DIR)
    return Path(named) if named and Path(named).is_dir() else None


def find_unknown_settings() -> list[str]:
    """Return the names of environment variables that look like settings and are none.

    They are no fault: a cluster may set some of its own accord, such as METERLINE_SERVICE_HOST.
    """
    known = {f"{SETTING_PREFIX}{name.upper()}" for name in Settings.model_fields}
    return sorted(
        name for name in os.environ if name.startswith(SETTING_PREFIX) and name not in known
    )
