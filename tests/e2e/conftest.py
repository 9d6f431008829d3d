"""Fixtures: the real server over a small ledger, and Debian's chromium that looks at it.

Whatever the browser's console calls an error fails the test, and so does a page that breaks its
Content-Security-Policy.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, sync_playwright

from collector.intake import build_intake
from costing.job import Costing
from costing.pricing.flat import load_flat_map
from ledger.accounts.links import create_link
from ledger.accounts.roles import Role
from ledger.accounts.users import add_user
from ledger.clock import system_clock
from ledger.engine import create_ledger_engine
from ledger.session import operator_session
from ledger.settings import Settings
from ledger.tenant import TenantId
from ledger.tenants import add_tenant
from tests.builders import ai, sms
from tests.processes import Launcher, Server

CHROMIUM = Path("/usr/bin/chromium")
PASSWORD = "a password of a test"

TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running server and its ledger."""

    url: str
    engine: sa.Engine

    def link(self, role: Role, tenant: str | None = None) -> str:
        """Return the address that signs a browser in, once."""
        with operator_session(self.engine, write=True) as session:
            code = create_link(
                session,
                subject="usr_17",
                role=role,
                tenant_id=None if tenant is None else TenantId(tenant),
                now=system_clock(),
            )
        return f"{self.url}/signin?code={code}"


@pytest.fixture(scope="session")
def site(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server over five tenants: acme uses all kinds, silent uses nothing."""
    folder = tmp_path_factory.mktemp("site")
    database = f"sqlite:///{shutil.copy(template, folder / 'ledger.db')}"
    engine = create_ledger_engine(database)
    fill(engine, system_clock())
    launcher = Launcher(folder / "processes", database, METERLINE_SECURE_COOKIES="false")
    try:
        server = Server(launcher, "--no-work", "--workers", "1")
        yield Site(url=f"http://127.0.0.1:{server.port}", engine=engine)
    finally:
        launcher.close()
        engine.dispose()


def fill(engine: sa.Engine, now: datetime) -> None:
    """Make five tenants and book and cost what they used."""
    names = {"acme": "Pro", "silent": "Starter", "clever": "Pro", "dull": "Elite", "mute": "Elite"}
    with operator_session(engine, write=True) as session:
        for name, plan in names.items():
            add_tenant(session, TenantId(name), name=name.title(), plan=plan, now=now)
        add_user(
            session,
            login="pat",
            role=Role.TENANT_ADMIN,
            tenant_id=TenantId("acme"),
            password=PASSWORD,
            now=now,
        )
    intake = build_intake(engine, Settings())
    results = intake.book(_events(now), only_tenant=None, now=now)
    assert {"stored"} == {str(result.status) for result in results}
    Costing(engine, load_flat_map()).run(clock=lambda: now)


def _events(now: datetime) -> list[dict[str, Any]]:
    def days_ago(days: int) -> str:
        return (now - timedelta(days=days)).isoformat()

    mail = {"channel": "email", "source": "sendgrid", "feature": "portal_email"}
    daily = [
        make(f"{day}-{kind}", time=days_ago(day), **fields)
        for day in range(0, 80, 3)
        for kind, make, fields in (
            ("sms", sms, {"quantity": 40 + day}),
            ("voice", sms, {"channel": "voice", "feature": "ivr", "quantity": 3}),
            ("mail", sms, {**mail, "quantity": 70}),
            ("ai", ai, {}),
        )
    ]
    return [
        *daily,
        sms("in", time=days_ago(2), direction="inbound", **mail),
        ai("clever", tenant="clever", time=days_ago(1)),
        sms("dull", tenant="dull", time=days_ago(1), quantity=500),
    ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium, without a screen.

    Of one module alone: its driver keeps an event loop running in this thread, in which no other
    test could run one of its own.
    """
    if not CHROMIUM.exists():
        missing = f"there is no {CHROMIUM}: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        # The sandbox of chromium needs rights that containers do not give.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[OpenPage]:
    """Open a page of the site in a new browser profile, signed in by a link unless role is None."""
    faults: list[str] = []
    contexts = []

    def open_page(
        path: str,
        role: Role | None = Role.TENANT_ADMIN,
        tenant: str | None = "acme",
        *,
        width: int = 1280,
        dark: bool = False,
    ) -> Page:
        context = browser.new_context(
            base_url=site.url,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        context.add_init_script(TELL_VIOLATIONS)
        page = context.new_page()
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        if role is not None:
            page.goto(site.link(role, tenant if role.is_tenant_role else None))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [] == faults
