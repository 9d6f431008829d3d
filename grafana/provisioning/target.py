"""Which Grafana is provisioned, by whom, and where its data sources lead."""

from dataclasses import dataclass, field

from ledger.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A Grafana as the settings name it.

    Attributes:
        url: with the sub-path that it serves from, without a slash at its end.
        user: login of its server admin: organisations and users are made with basic
            authentication alone, tokens belong to one organisation.
        gateway_url: where its data sources send queries to; Grafana appends `/query`.
        database: the database that queries name.
        timeout_seconds: how long one answer may take.
    """

    url: str
    user: str
    password: str = field(repr=False)
    gateway_url: str
    database: str
    timeout_seconds: float = 10.0


def build_target(settings: Settings) -> Target | None:
    """Return the Grafana that the settings name, or None."""
    url, password = settings.grafana_url, settings.grafana_password
    gateway_url = settings.grafana_gateway_url
    if url is None or password is None or gateway_url is None:
        return None
    return Target(
        url=url,
        user=settings.grafana_user,
        password=password.get_secret_value(),
        gateway_url=gateway_url,
        database=settings.influx_bucket,
    )
