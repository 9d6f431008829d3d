"""The examples of docs/sdk.md run: what they record is in the ledger of a running collector.

Each section's code runs in a process of its own after the code that makes the meter. Providers are
the stand-ins of docs/examples. What a framework does with an example is asked below it.
"""

import os
import re
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from tests.collector import Collector

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/sdk.md").read_text()
SECTIONS = {
    heading: "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    for heading, text in re.findall(r"^##+ (.+?)$(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
START = SECTIONS.pop("In an application")
(SECTIONS["README, OpenAI"],) = re.findall(
    r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
)

LOCAL_PROVIDERS = """
import os, sys
from urllib.parse import urlsplit
if "twilio" in sys.argv[1]:
    from twilio.http.http_client import TwilioHttpClient
    send = TwilioHttpClient.request
    TwilioHttpClient.request = lambda self, method, url, *a, **k: send(
        self, method, os.environ["PROVIDERS_URL"] + urlsplit(url).path, *a, **k)
if "sendgrid" in sys.argv[1]:
    from sendgrid import SendGridAPIClient
    SendGridAPIClient.__init__.__defaults__ = (None, os.environ["PROVIDERS_URL"], None)
"""
DJANGO = """
import django
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import path

def index(request):
    meter.record(channel="sms", direction="outbound")
    return HttpResponse("sent")

urlpatterns = [path("", index)]
"""
AFTER = {
    "Flask": 'assert app.test_client().get("/").data == b"sent"',
    "Django": """
sys.modules["host"] = sys.modules["__main__"]
assert Client().get("/", headers={"X-Tenant": "acme"}).content == b"sent"
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "x", "SERVER_PORT": "80",
           "wsgi.input": __import__("io").BytesIO(), "wsgi.errors": sys.stderr,
           "wsgi.url_scheme": "http", "HTTP_X_TENANT": "karachi", "HTTP_HOST": "localhost"}
settings.MIDDLEWARE.clear()
application.__init__(get_wsgi_application(), application._scope_of)
assert b"".join(application(environ, lambda *_: None)) == b"sent"
""",
    "FastAPI": """
import asyncio
async def ask():
    sent = []
    async def receive(): return {"type": "http.request"}
    async def send(message): sent.append(message)
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"",
             "headers": [(b"x-tenant", b"acme")], "asgi": {"version": "3.0"}}
    await app(scope, receive, send)
    return sent
assert asyncio.run(ask())[0]["status"] == 200
""",
    "Celery": """
from celery.contrib.testing.worker import start_worker
import time
with start_worker(app, perform_ping_check=False, pool="threads", concurrency=2):
    for tenant in ("acme", "karachi"):
        with meter.context(tenant=tenant):
            remind.delay()
    while meter.stats().recorded < 2:
        time.sleep(0.02)
""",
}
Rows = list[tuple[str, str, str | None, int]]
SMS = ("acme", "sms", None, 1)
EXPECTED: dict[str, Rows] = {
    "OpenAI": [("acme", "ai", "support_ai", 150)],
    "README, OpenAI": [("acme", "ai", "support_ai", 150)],
    "Twilio": [("acme", "sms", "broadcast", 1)],
    "SendGrid": [("acme", "email", "booking_email", 1)],
    "Anything else": [("acme", "sms", None, 2), ("acme", "voice", "ivr", 3)],
    "Whose usage it is": [SMS],
    "Flask": [("acme", "sms", "portal", 1)],
    "Django": [SMS, ("karachi", "sms", None, 1)],
    "FastAPI": [SMS],
    "Celery": [SMS, ("karachi", "sms", None, 1)],
    "The spool": [SMS],
    "What the collector refuses": [],
}


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is overridden
        pass


@pytest.fixture(scope="module")
def providers() -> Iterator[str]:
    """The stand-ins, in a thread."""
    application = runpy.run_path(str(ROOT / "docs/examples/standins.py"))["application"]
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_section_with_an_example_is_run() -> None:
    assert set(EXPECTED) == {heading for heading, code in SECTIONS.items() if code}


@pytest.mark.parametrize("section", EXPECTED)
def test_an_example_books_what_it_says(
    collector: Collector, secret: str, tmp_path: Path, providers: str, section: str
) -> None:
    example = SECTIONS[section]
    start = "" if "Meter(" in example else START
    prepared = ""
    if section == "Django":
        prepared = DJANGO
        middleware, wsgi = example.split("from django.core.wsgi")
        example = (
            middleware
            + "import sys\nsettings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=['*'],"
            + "SECRET_KEY='x', MIDDLEWARE=['__main__.meterline_middleware'])\ndjango.setup()\n"
            + "from django.core.wsgi"
            + wsgi
        )
    code = LOCAL_PROVIDERS + prepared + start + example + AFTER.get(section, "") + "\nmeter.flush()"
    code = (
        code.replace("https://meter.example", collector.url)
        .replace("mtl_…", secret)
        .replace("/var/lib/app/meterline", str(tmp_path / "spool"))
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    environment |= {
        "PROVIDERS_URL": providers,
        "OPENAI_BASE_URL": f"{providers}/v1",
        "OPENAI_API_KEY": "none",
    }
    finished = subprocess.run(
        [sys.executable, "-c", code, section.lower()],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == finished.returncode, finished.stderr
    found = collector.rows("tenant_id", "channel", "feature", "quantity")
    assert sorted(EXPECTED[section], key=str) == sorted(found, key=str)
