"""What the page of all tenants says of days of unusual spend, as text."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.pages.money import CENTS, show_date, show_usd
from ledger.anomalies import Anomaly
from ledger.money import Nanos
from ledger.tenant import TenantId
from ledger.units import load_catalogue

MOST_SHOWN = 20
"""Most anomalies on the page: those with the greatest excess."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnomalyLine:
    """A date on which a tenant spent far more on a channel than usual."""

    tenant_id: str
    name: str
    date: str
    channel: str
    spent: str
    usual: str
    excess: str


def build_anomaly_lines(
    found: Sequence[tuple[TenantId, str, Anomaly]],
) -> tuple[AnomalyLine, ...]:
    """Return a line for each anomaly, in their order."""
    titles = {channel.name: channel.title for channel in load_catalogue().channels}
    return tuple(
        AnomalyLine(
            tenant_id=tenant_id,
            name=name,
            date=show_date(one.date),
            channel=titles.get(one.channel, one.channel),
            spent=show_usd(one.spent, CENTS),
            usual=show_usd(one.usual, CENTS),
            excess=show_usd(Nanos(one.spent - one.usual), CENTS),
        )
        for tenant_id, name, one in found
    )
