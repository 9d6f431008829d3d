"""The sample host application: one request of a customer is on the usage page of its tenant."""

import re
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import sqlalchemy as sa

from ledger.accounts.roles import Role
from ledger.clock import system_clock
from tests.access import COOKIE, make_sign_in
from tests.conftest import Run
from tests.onlooker import Onlooker
from tests.processes import Launcher, Running, Server, free_port, wait_until

EXAMPLES = Path(__file__).parents[3] / "docs/examples"


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionError:
        return False
    return True


def fetch(url: str, data: bytes | None = None, **headers: str) -> str | None:
    """Return the answer to a request, or None where nobody answers yet."""
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError:
        raise
    except OSError:
        return None


@pytest.mark.usefixtures("engine")
def test_what_the_sample_application_uses_is_on_the_usage_page(
    launcher: Launcher,
    ledger: Onlooker,
    meterline: Run,
    engine: sa.Engine,
    tmp_path: Path,
) -> None:
    server = Server(launcher, "--workers", "1")
    url = f"http://127.0.0.1:{server.port}"
    secret = meterline("key", "create", "--scope", "ingest").stdout.strip()
    token = make_sign_in(engine, Role.TENANT_ADMIN, now=system_clock())
    providers, host = free_port(), free_port()
    standins = Running([sys.executable, EXAMPLES / "standins.py", str(providers)], folder=tmp_path)
    flask: list[str | Path] = ["-m", "flask", "--app", EXAMPLES / "host.py", "run"]
    running = Running(
        [sys.executable, *flask, "--port", str(host)],
        folder=tmp_path,
        METERLINE_URL=url,
        METERLINE_KEY=secret,
        PROVIDERS_URL=f"http://127.0.0.1:{providers}",
    )
    try:
        wait_until(lambda: is_listening(providers), f"the stand-ins listen; {standins.log}")
        address = f"http://127.0.0.1:{host}/incoming-sms"
        wait_until(
            lambda: fetch(address, b"", **{"X-Tenant": "acme"}) is not None,
            f"the sample answers; {running.log}",
        )

        def find_rows() -> list[str]:
            page = fetch(f"{url}/usage", Cookie=f"{COOKIE}={token}") or ""
            return re.findall(r"openai|twilio|sendgrid", page)

        wait_until(lambda: {"openai", "twilio", "sendgrid"} == set(find_rows()), "all is there")
        fetch(address, b"", **{"X-Tenant": "acme"})
        wait_until(lambda: ledger.count("usage_metrics") == 6, "a second request counts, too")
        expected = {
            ("ai", "openai", "ai_sms"),
            ("sms", "twilio", "ai_sms"),
            ("email", "sendgrid", "booking_email"),
        }
        booked = "SELECT channel, source, feature FROM usage_metrics"
        assert expected == set(ledger.rows(booked))
    finally:
        running.kill()
        standins.kill()
