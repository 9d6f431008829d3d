"""A worker whose one step fails goes on with the others, and says so once."""

import pytest
import sqlalchemy as sa

from collector.intake import Intake
from ledger.session import owner_session
from tests.builders import NOW, sms
from tests.conftest import Run
from tests.onlooker import Onlooker
from tests.processes import Launcher, wait_until

pytestmark = pytest.mark.ledger(own=True)

SPOIL = "ALTER TABLE unattributed_usage RENAME TO spoiled"
"""Attribution cannot read a line after it; nothing else of a worker asks for this table."""


@pytest.fixture
def spoil_attribution(engine: sa.Engine) -> None:
    with owner_session(engine, write=True) as session:
        session.connection.exec_driver_sql(SPOIL)


@pytest.mark.usefixtures("spoil_attribution")
def test_usage_is_costed_while_attribution_fails(
    launcher: Launcher, intake: Intake, ledger: Onlooker
) -> None:
    def is_costed() -> bool:
        return ledger.row("SELECT count(*) FROM usage_batches") == (0,)

    intake.book([sms("before")], only_tenant=None, now=NOW)
    worker = launcher.start("work")
    wait_until(is_costed, "the worker costs")
    intake.book([sms("after")], only_tenant=None, now=NOW)
    wait_until(is_costed, "it does so after a turn that attribution was stopped short in")
    told = worker.log.read_text().count("unattributed_usage")
    assert (False, True) == (worker.has_ended(), told > 0)


@pytest.mark.usefixtures("spoil_attribution")
@pytest.mark.ledger("postgresql", own=True)  # SQLite's error is that of a file that cannot be read
def test_the_doctor_tells_what_is_stopped_short(
    launcher: Launcher, meterline: Run, ledger: Onlooker
) -> None:
    launcher.start("work")
    wait_until(lambda: ledger.count("worker_health") == 1, "the worker notes it")
    done = meterline("doctor")
    (line,) = (line for line in done.stdout.splitlines() if "stopped short" in line)
    assert (1, True) == (done.returncode, line.startswith("WRONG attribution was stopped short"))
    assert line.endswith('relation "unattributed_usage" does not exist')
