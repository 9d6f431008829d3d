"""The running parts that the routes work with, put together by the command line."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import sqlalchemy as sa
from flask import Flask

from api.auth.host_token import HostTokens, build_host_tokens
from api.embedding.grafana import Embedding
from api.gateway.gateway import Gateway, build_gateway
from api.webhooks.signatures import Signatures, build_signatures
from collector.intake import Intake
from collector.webhooks.reception import Reception
from collector.webhooks.tally import Tally
from ledger.clock import Clock
from ledger.counters import Counters
from ledger.settings import Settings

_NAME = "meterline"


@dataclass(frozen=True, kw_only=True)
class Services:
    """What a request may use. `embedding` None: no Grafana is configured."""

    engine: sa.Engine
    intake: Intake
    reception: Reception
    settings: Settings
    clock: Clock
    tally: Tally = field(default_factory=Tally)
    embedding: Embedding | None = None
    counters: Counters = field(default_factory=Counters)

    @cached_property
    def host_tokens(self) -> HostTokens | None:
        """The reader of tokens that the host signs; None where they are refused."""
        return build_host_tokens(self.settings)

    @cached_property
    def signatures(self) -> Signatures:
        """What the signatures of webhooks are checked with."""
        return build_signatures(self.settings)

    @cached_property
    def gateway(self) -> Gateway | None:
        """What answers Grafana's queries; None where there are no series."""
        return build_gateway(self.settings)

    def attach(self, app: Flask) -> None:
        """Make the services known to an application."""
        app.extensions[_NAME] = self

    @staticmethod
    def of(app: Flask) -> "Services":
        """Return the services of an application."""
        return cast("Services", app.extensions[_NAME])
