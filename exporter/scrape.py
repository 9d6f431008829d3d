"""One scrape: every collector, each in a transaction of its own, into fresh families."""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import sqlalchemy as sa
from prometheus_client import Metric as Family
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from exporter.catalogue import CATALOGUE
from exporter.collectors import Collect
from exporter.metric import Kind, Metric, Sample, Spread
from ledger.clock import Clock
from ledger.errors import MeterlineError
from ledger.models import tenants
from ledger.session import OperatorSession, operator_session

Tell = Callable[[str], object]


class Scrape(Collector):
    """What the ledger says at the moment of each scrape. Keeps no figures between two.

    Args:
        engine: the ledger; it may be down.
        collectors: by name.
        clock: for ages.
        tell: hears why figures are missing, once for each reason that is new.
    """

    def __init__(
        self, engine: sa.Engine, collectors: Mapping[str, Collect], *, clock: Clock, tell: Tell
    ) -> None:
        self._engine = engine
        self._collectors = collectors
        self._clock = clock
        self._tell = tell
        self._told: dict[str, str] = {}

    def describe(self) -> list[Family]:
        """Return the families without samples: to know them the registry needs no scrape."""
        return [_make_family(metric) for metric in CATALOGUE.values()]

    def collect(self) -> Iterator[Family]:
        """Return the families that have samples. Nothing that goes wrong is raised."""
        families: dict[str, Family] = {}
        for sample in self._sample():
            if sample.name not in families:
                families[sample.name] = _make_family(CATALOGUE[sample.name])
            _add(families[sample.name], sample)
        yield from families.values()

    def _sample(self) -> Iterator[Sample | Spread]:
        # Asked first and once: where nobody answers, a scrape must not wait for every collector.
        is_up = self._ask("ledger", _read_one_row) is not None
        yield Sample("meterline_ledger_up", is_up)
        for name, collect in self._collectors.items():
            begun = time.monotonic()
            found = self._ask(name, collect) if is_up else None
            took = time.monotonic() - begun
            yield from found or ()
            yield Sample("meterline_scrape_collector_success", found is not None, (name,))
            yield Sample("meterline_scrape_collector_duration_seconds", took, (name,))

    def _ask(self, name: str, collect: Collect) -> list[Sample | Spread] | None:
        """Return the samples of a collector, or None and tell why there are none."""
        try:
            with operator_session(self._engine) as session:
                samples = list(collect(session, self._clock()))
        except MeterlineError as error:
            fault = error.message
        except Exception as error:  # noqa: BLE001 - one collector's bug must not blind the others
            fault = f"{type(error).__name__}: {error}"
        else:
            self._told.pop(name, None)
            return samples
        if self._told.get(name) != fault:
            self._told[name] = fault
            self._tell(f"no metrics of {name}: {fault}")
        return None


def _read_one_row(session: OperatorSession, _now: datetime) -> Iterator[Sample | Spread]:
    session.connection.execute(sa.select(tenants.c.tenant_id).limit(1)).first()
    yield from ()


def _make_family(metric: Metric) -> Family:
    make = _FAMILIES[metric.kind]
    return make(metric.name, metric.help, labels=metric.labels, unit=metric.unit)


def _add(family: Family, sample: Sample | Spread) -> None:
    match family, sample:
        case HistogramMetricFamily(), Spread():
            family.add_metric(sample.labels, list(sample.counts.items()), sample.total)
        case CounterMetricFamily() | GaugeMetricFamily(), Sample():
            family.add_metric(sample.labels, sample.value)
        case _:
            raise TypeError(f"{sample.name} is a {family.type}; it is shown as another kind")


_FAMILIES: Mapping[Kind, Callable[..., Family]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}
