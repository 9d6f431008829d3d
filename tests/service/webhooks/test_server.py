"""Webhooks at the processes of `meterline serve`, which take everything from the settings."""

import urllib.parse
import urllib.request
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from tests.processes import Launcher, Server
from tests.service.attribution.claims import HASH_KEY, map_to
from tests.webhooks import CALLS, OWN, PUBLIC_URL, TOKEN, call_status, sign_form, usages


def test_the_server_takes_webhooks_by_its_settings(
    ledger_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    map_to(engine, "acme", "number", OWN)
    settings = {
        "METERLINE_PUBLIC_URL": PUBLIC_URL,
        "METERLINE_TWILIO_AUTH_TOKEN": TOKEN,
        "METERLINE_HASH_KEY": HASH_KEY,
        "METERLINE_FEATURE_RULES": f"number:{OWN}=ivr",
        "METERLINE_AUTO_REGISTER_TENANTS": "true",
    }
    with closing(Launcher(tmp_path / "processes", ledger_url, **settings)) as launcher:
        server = Server(launcher)
        _post(server, CALLS, call_status())
        _post(server, f"{CALLS}?tenant=newcomer", call_status(CallSid=f"CA{32 * '2'}"))
    assert [("acme", "ivr", 1, 2), ("newcomer", "ivr", 1, 2)] == usages(engine, "feature")


def _post(server: Server, target: str, form: dict[str, str]) -> None:
    """Post a form that Twilio signed for the public address."""
    body = urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{target}", body, sign_form(form, target)
    )
    urllib.request.urlopen(request, timeout=30).close()
