"""The running parts that the routes work with, put together by the command line."""

from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa
from flask import Flask

from collector.intake import Intake
from ledger.clock import Clock
from ledger.settings import Settings

_NAME = "meterline"


@dataclass(frozen=True, kw_only=True)
class Services:
    """What a request may use."""

    engine: sa.Engine
    intake: Intake
    settings: Settings
    clock: Clock

    def attach(self, app: Flask) -> None:
        """Make the services known to an application."""
        app.extensions[_NAME] = self

    @staticmethod
    def of(app: Flask) -> "Services":
        """Return the services of an application."""
        return cast("Services", app.extensions[_NAME])
