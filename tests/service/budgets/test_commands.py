"""`meterline budget`, and what `meterline work` does with budgets."""

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from costing.budgets.store import read_budgets
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from ledger.clock import system_clock
from ledger.session import tenant_session
from tests.builders import sms
from tests.conftest import Run
from tests.costed import ACME
from tests.service.budgets.conftest import PAT, crossings, ids
from tests.service.budgets.outlets import outlets
from tests.standins.server import StandIn


@pytest.mark.ledger("sqlite")
def test_a_budget_is_set_listed_and_taken_away(meterline: Run, engine: sa.Engine) -> None:
    options = ["--feature", "ivr", "--period", "daily", "--threshold", "75", "--to", PAT]
    assert (
        "budget daily:ivr of acme: 12.5 USD\n"
        == meterline("budget", "set", "acme", "12.50", *options).stdout
    )
    head, line = meterline("budget", "list").stdout.splitlines()
    assert ["tenant", "period", "feature", "amount", "spent", "used"] == head.split()[:6]
    assert ["acme", "daily", "ivr", "12.5", "0", "0%", "75%"] == line.split()
    gone = meterline("budget", "remove", "acme", "--feature", "ivr", "--period", "daily")
    assert (0, "budget daily:ivr of acme is gone\n") == (gone.returncode, gone.stdout)
    with tenant_session(engine, ACME) as session:
        assert () == read_budgets(session).budgets


@pytest.mark.ledger("sqlite")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["set", "acme", "0"], 2),
        (["set", "nobody", "1"], 1),
        (["set", "_unattributed", "1"], 2),
        (["remove", "acme"], 1),
    ],
)
def test_what_cannot_be_is_told(
    meterline: Run, engine: sa.Engine, arguments: list[str], code: int
) -> None:
    del engine
    finished = meterline("budget", *arguments)
    assert (code, True) == (finished.returncode, finished.stderr.startswith("error: "))


@pytest.fixture
def used_today(intake: Intake) -> None:
    """A usage of today, which is what a command calls so."""
    now = system_clock()
    event = sms("SM-1", time=now.isoformat(), quantity=100)
    assert ["stored"] == [
        str(result.status) for result in intake.book([event], only_tenant=None, now=now)
    ]


@pytest.mark.ledger("sqlite")
@pytest.mark.usefixtures("used_today")
def test_a_check_says_what_is_reached_and_fails_where_all_is_spent(
    meterline: Run, engine: sa.Engine
) -> None:
    Costing(engine, load_flat_map()).run(clock=system_clock)
    meterline("budget", "set", "acme", "1")
    first = meterline("budget", "check")
    assert (0, "thresholds reached since the last time: 2") == (
        first.returncode,
        first.stdout.splitlines()[0],
    )
    meterline("budget", "set", "acme", "0.89")
    assert 1 == meterline("budget", "check").returncode
    assert [50, 80, 100] == [threshold for _, _, threshold in crossings(engine)]


@pytest.mark.usefixtures("used_today")
def test_one_pass_of_the_worker_costs_evaluates_and_tells(
    meterline: Run, receiver: StandIn, sendgrid: StandIn
) -> None:
    meterline("budget", "set", "acme", "0.89", "--threshold", "100", "--to", PAT)
    settings = outlets(receiver, sendgrid)
    finished = meterline("work", "--once", **settings)
    expected = ["tenants whose budgets were looked at: 1", "thresholds reached: 1"]
    assert (0, [*expected, "notices sent: 2"], "") == (
        finished.returncode,
        finished.stdout.splitlines()[1:],
        finished.stderr,
    )
    assert (1, ["Bearer SG.key"]) == (
        len(ids(receiver.asked)),
        [asked.headers["authorization"] for asked in sendgrid.asked],
    )
    again = meterline("work", "--once", **settings)
    # The mail was usage of its own.
    assert "batches costed: 1" in again.stdout
    assert (1, 1) == (len(receiver.asked), len(sendgrid.asked))


@pytest.mark.ledger("sqlite")
@pytest.mark.usefixtures("used_today")
def test_a_pass_whose_notices_are_not_taken_fails(meterline: Run) -> None:
    meterline("budget", "set", "acme", "0.89", "--threshold", "100")
    settings = {
        "METERLINE_NOTICE_WEBHOOK_URL": "http://127.0.0.1:9/",
        "METERLINE_NOTICE_WEBHOOK_SECRET": "a secret of the test",
    }
    finished = meterline("work", "--once", **settings)
    assert (1, True) == (finished.returncode, "is not sent: the receiver" in finished.stderr)
