"""The composition root: settings become an engine, a clock and services here and nowhere else."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from logging import getLogger
from typing import TYPE_CHECKING

import click
import sqlalchemy as sa
from pydantic import SecretStr

from cli.schema import require_current
from collector.attribution.job import Attribution
from collector.influx.target import Target, build_target
from collector.intake import Intake, build_intake
from collector.notices.job import Delivery
from collector.notices.sending import Send
from collector.relay.job import Relay
from collector.webhooks.reception import Reception, build_reception
from costing.anomalies.job import AnomalySearch
from costing.budgets.job import Budgeting
from costing.job import Costing
from costing.pricing.flat import FlatMap, load_flat_map
from grafana.dashboards.catalogue import TENANT_USAGE
from grafana.provisioning.target import build_target as build_grafana_target
from ledger.budget_notices import Medium
from ledger.clock import Clock, system_clock
from ledger.engine import Connecting, create_ledger_engine
from ledger.postgresql import Limits
from ledger.settings import SETTING_PREFIX, Settings, load_settings

if TYPE_CHECKING:  # they take long to load, and few commands need them
    from api.embedding.grafana import Embedding
    from grafana.provisioning.job import Provisioner

_REQUEST_IDLE_SECONDS = 60
_COMMAND_IDLE_SECONDS = 600
"""A rebuild computes between two statements; a process that stands still is given up all the same.
"""


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """Everything a command needs, built from one reading of the settings."""

    settings: Settings
    engine: sa.Engine
    clock: Clock

    @property
    def flat_map(self) -> FlatMap:
        """The flat map of prices in force."""
        return load_flat_map(
            self.settings.price_file, ai_flat_fallback=self.settings.ai_flat_fallback
        )

    @property
    def intake(self) -> Intake:
        """The intake that books into the ledger."""
        return build_intake(self.engine, self.settings)

    @property
    def reception(self) -> Reception:
        """What books that which providers tell."""
        return build_reception(self.engine, self.settings)

    @property
    def attribution(self) -> Attribution:
        """The job that moves usage to the tenants that mappings lead to."""
        return Attribution(self.engine)

    @property
    def costing(self) -> Costing:
        """The job that rolls up and prices."""
        return Costing(self.engine, self.flat_map, ships=self.target is not None)

    @property
    def media(self) -> frozenset[Medium]:
        """By what notices go out, as the settings say."""
        settings = self.settings
        mail = {Medium.MAIL} if settings.sendgrid_api_key is not None else set()
        return frozenset(mail | ({Medium.WEBHOOK} if settings.notice_webhook_url else set()))

    @property
    def budgeting(self) -> Budgeting:
        """The job that evaluates budgets."""
        return Budgeting(self.engine, media=self.media)

    @property
    def anomaly_search(self) -> AnomalySearch:
        """The job that looks for days on which more was spent than usual."""
        return AnomalySearch(self.engine)

    @property
    def delivery(self) -> Delivery | None:
        """What sends the notices of budgets, or None where none can go out."""
        settings = self.settings
        senders: dict[Medium, Send] = {}
        # Their clients take a while to load, which few commands need.
        if settings.sendgrid_api_key is not None and settings.mail_from is not None:
            from collector.notices.mail import MailSender  # noqa: PLC0415

            senders[Medium.MAIL] = MailSender(
                settings.sendgrid_api_key.get_secret_value(),
                sender=settings.mail_from,
                url=settings.sendgrid_url,
                timeout_seconds=settings.notice_timeout_seconds,
            ).send
        if settings.notice_webhook_url is not None:
            from collector.notices.webhook import WebhookSender  # noqa: PLC0415

            senders[Medium.WEBHOOK] = WebhookSender(
                settings.notice_webhook_url,
                settings.webhook_secrets,
                timeout_seconds=settings.notice_timeout_seconds,
                clock=self.clock,
            ).send
        return Delivery(self.engine, senders, clock=self.clock) if senders else None

    @property
    def target(self) -> Target | None:
        """The InfluxDB that the settings name, or None."""
        return build_target(self.settings)

    @property
    def relay(self) -> Relay | None:
        """The relay to that InfluxDB, or None."""
        target = self.target
        if target is None:
            return None
        # InfluxDB's client takes a tenth of a second to load, which few commands need.
        from collector.influx.writer import Writer  # noqa: PLC0415

        return Relay(self.engine, target, writer=Writer(target), clock=self.clock)

    @property
    def provisioner(self) -> "Provisioner | None":
        """What provisions the Grafana that the settings name, or None."""
        target = build_grafana_target(self.settings)
        if target is None:
            return None
        from grafana.dashboards.build import render  # noqa: PLC0415 - as above
        from grafana.provisioning.job import Provisioner  # noqa: PLC0415 - as above

        @cache
        def render_usage(timezone: str) -> Mapping[str, object]:
            return render(TENANT_USAGE, timezone=timezone)

        return Provisioner(self.engine, target, render=render_usage, clock=self.clock)

    @property
    def embedding(self) -> "Embedding | None":
        """What embeds the panels of that Grafana, or None."""
        target, folder = build_grafana_target(self.settings), self.settings.grafana_keys
        provisioner = self.provisioner
        if target is None or folder is None or provisioner is None:
            return None
        from api.embedding.grafana import Embedding  # noqa: PLC0415 - as above
        from api.embedding.keys import Keys  # noqa: PLC0415 - as above
        from grafana.embedded import Embedded  # noqa: PLC0415 - as above
        from grafana.provisioning.probe import Probe  # noqa: PLC0415

        probe = Probe(target, clock=self.clock)
        logger = getLogger("meterline.grafana")
        boards = Embedded(provisioner, probe, clock=self.clock, logger=logger)
        return Embedding(grafana=boards, keys=Keys(folder))


def override_settings(**values: str) -> None:
    """Set settings, by their names, for this process and for those that it starts."""
    os.environ.update({f"{SETTING_PREFIX}{name.upper()}": value for name, value in values.items()})


def connect(database_url: str | None = None, *, for_requests: bool = False) -> Wiring:
    """Read the settings and connect, whatever the state of the ledger.

    What a command opens is closed when it ends.

    Args:
        database_url: the ledger to use instead of the one that the settings name. It is not
            shipped, nor shown by Grafana: the series are those of the other one.
        for_requests: limit the time of a statement, and more narrowly that between two, since
            somebody waits for the answer.
    """
    settings = load_settings()
    if database_url is not None:
        settings = settings.model_copy(
            update={
                "database_url": SecretStr(database_url),
                "influx_url": None,
                "grafana_url": None,
            }
        )
    engine = create_ledger_engine(
        settings.database_url.get_secret_value(), _connecting(settings, for_requests=for_requests)
    )
    command = click.get_current_context(silent=True)
    if command is not None:
        command.call_on_close(engine.dispose)
    return Wiring(settings=settings, engine=engine, clock=system_clock)


def _connecting(settings: Settings, *, for_requests: bool) -> Connecting:
    idle = _REQUEST_IDLE_SECONDS if for_requests else _COMMAND_IDLE_SECONDS
    limits = Limits(
        lock=settings.database_lock_seconds * 1000,
        statement=settings.database_statement_seconds * 1000 if for_requests else 0,
        idle=idle * 1000,
    )
    return Connecting(pool_size=settings.database_pool_size, limits=limits)


def open_ledger(*, for_requests: bool = False) -> Wiring:
    """Connect to a ledger whose schema is current.

    Args:
        for_requests: see `connect`.

    Raises:
        MissingError: `schema_outdated`.
    """
    wiring = connect(for_requests=for_requests)
    require_current(wiring.engine)
    return wiring
