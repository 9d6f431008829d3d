"""SIGKILL of whoever sends notices: each goes out, under one id, and each mail is counted once."""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.budgets.budget import parse_budget
from costing.budgets.store import replace_budgets
from ledger.clock import system_clock
from ledger.models import budget_notices, usage_metrics
from ledger.session import operator_session, tenant_session
from tests.builders import sms
from tests.costed import ACME
from tests.processes import Launcher, wait_until
from tests.service.budgets.conftest import PAT, ids, notices
from tests.service.budgets.outlets import outlets
from tests.soaking import long_only
from tests.standins import sendgrid_api
from tests.standins.server import Answer, Asked, StandIn


@pytest.fixture
def launcher(
    tmp_path: Path, ledger_url: str, receiver: StandIn, sendgrid: StandIn
) -> Iterator[Launcher]:
    """Starts commands that tell the stand-ins."""
    settings = outlets(receiver, sendgrid)
    with closing(Launcher(tmp_path / "workers", ledger_url, **settings)) as launcher:
        yield launcher


@pytest.fixture
def reach(engine: sa.Engine, intake: Intake) -> Callable[[int], None]:
    """Book usage that, once it is costed, reaches one threshold of so many budgets."""

    def reach_all(count: int) -> None:
        now = system_clock()
        features = [f"feature-{number}" for number in range(count)]
        plain = {"period": "monthly", "amount": "0.0089", "thresholds": [100], "recipients": [PAT]}
        budgets = [parse_budget({**plain, "feature": name}) for name in features]
        with tenant_session(engine, ACME, write=True) as session:
            replace_budgets(session, budgets, expected=0, by="a test", now=now)
        events = [sms(name, feature=name, time=now.isoformat()) for name in features]
        results = intake.book(events, only_tenant=None, now=now)
        assert {"stored"} == {str(result.status) for result in results}

    return reach_all


def let_claims_end(engine: sa.Engine) -> None:
    """Let the minute pass that a sender has, for whoever has claimed something."""
    early = system_clock() - timedelta(minutes=2)
    with operator_session(engine, write=True) as session:
        waits = budget_notices.c.sent_at.is_(None)
        session.connection.execute(sa.update(budget_notices).where(waits).values(due_at=early))


def all_sent(engine: sa.Engine, count: int) -> bool:
    rows = notices(engine)
    return len(rows) == count and all(row["sent_at"] is not None for row in rows)


def mails(sendgrid: StandIn) -> list[str]:
    return [asked.json["custom_args"]["meterline_notice"] for asked in sendgrid.asked]


def booked(engine: sa.Engine) -> list[str]:
    """Return the ids of the usage that our mails are."""
    columns = usage_metrics.c
    query = sa.select(columns.event_id).where(columns.source == "internal")
    with operator_session(engine) as session:
        return sorted(session.connection.execute(query).scalars())


def test_a_worker_killed_after_a_mail_was_taken_sends_it_again_and_counts_it_once(
    launcher: Launcher,
    engine: sa.Engine,
    sendgrid: StandIn,
    reach: Callable[[int], None],
) -> None:
    reach(1)
    first = launcher.start("work")

    def take_and_kill(asked: Asked) -> Answer:
        sendgrid.answer = sendgrid_api.accept
        first.kill()
        return sendgrid_api.accept(asked)

    sendgrid.answer = take_and_kill
    wait_until(first.has_ended, "the first worker is killed")
    let_claims_end(engine)
    launcher.start("work")
    wait_until(lambda: all_sent(engine, 2), "both notices are sent")
    (mail_id,) = set(mails(sendgrid))
    assert (2, [f"meterline:notice:{mail_id.removeprefix('acme/')}"]) == (
        len(sendgrid.asked),
        booked(engine),
    )


@pytest.mark.soak
@long_only
def test_whatever_is_killed_each_notice_goes_out_and_each_mail_is_counted_once(
    launcher: Launcher,
    engine: sa.Engine,
    receiver: StandIn,
    sendgrid: StandIn,
    reach: Callable[[int], None],
) -> None:
    rng = random.Random(int(os.environ.get("METERLINE_SEED", "1")))
    reach(40)
    for _ in range(20):
        worker = launcher.start("work")
        time.sleep(rng.uniform(0.5, 3.5))
        worker.kill()
        let_claims_end(engine)
    launcher.start("work")
    wait_until(lambda: all_sent(engine, 80), "all notices are sent", seconds=60)
    assert (40, 40, 40) == (
        len(set(mails(sendgrid))),
        len(set(ids(receiver.asked))),
        len(booked(engine)),
    )
