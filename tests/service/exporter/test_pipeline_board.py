"""The queries of the pipeline's board in the real Prometheus, which scrapes a real exporter."""

from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from grafana.dashboards.build import render
from grafana.dashboards.catalogue import PIPELINE
from tests.builders import ai, sms
from tests.conftest import Book
from tests.costed import book as book_only
from tests.processes import wait_until
from tests.servers.prometheus import Prometheus
from tests.service.exporter.conftest import Export
from tests.service.exporter.test_exporter import INFLUX, fail


@pytest.mark.ledger("sqlite")
def test_every_query_of_the_board_has_a_figure_once_there_is_one(
    engine: sa.Engine, intake: Intake, book: Book, export: Export, tmp_path: Path
) -> None:
    book(ai("a"), sms("b", channel="email", direction="inbound"))
    book_only(intake, sms("c"), sms("d"))
    fail(engine)
    asked = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in render(PIPELINE)["panels"]
        for target in panel["targets"]
    }
    with closing(Prometheus(tmp_path / "prometheus", target=export(**INFLUX).port)) as prometheus:
        # The increase of a counter needs two scrapes, so it comes last.
        wait_until(
            lambda: all(prometheus.query(expression) for expression in asked.values()),
            "every query has a figure",
        )
        found = {name: prometheus.query(expression) for name, expression in asked.items()}
    expected = {
        "Ledger A": 1, "Shipping A": 1, "Quarantined points A": 0, "Errors A": 1, "Errors B": 0,
        "Intake: events not yet costed A": 2, "Intake: events not yet costed B": 1,
        "Backlog of the relay B": 2, "Backlog of the relay C": 1, "Unpriced usage A": 1,
    }  # fmt: skip
    assert expected == {name: max(value for _, value in found[name]) for name in expected}
