"""Pages with embedded panels in a real browser, through the nginx.conf that we ship."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from api.embedding.keys import rotate_keys
from grafana.dashboards.catalogue import PIPELINE, SYSTEM_USAGE, TENANT_USAGE
from grafana.provisioning.names import login_of
from grafana.provisioning.store import forget
from ledger.accounts.roles import Role
from ledger.clock import system_clock
from ledger.engine import create_ledger_engine
from ledger.session import operator_session
from ledger.tenant import TenantId
from tests.e2e.conftest import TELL_VIOLATIONS, Site, fill
from tests.edge import SHIPPED, read_assertion
from tests.processes import Launcher, Server, wait_until
from tests.servers.nginx import Edge
from tests.standins.grafana_api import ADMIN, PASSWORD, GrafanaStandIn

Open = Callable[..., Page]


class Embedded(NamedTuple):
    """A site at its public name, and the stand-in of Grafana behind it."""

    site: Site
    grafana: GrafanaStandIn
    keys: Path


@pytest.fixture(scope="module")
def embedded(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("embedded")
    database = f"sqlite:///{shutil.copy(template, folder / 'ledger.db')}"
    rotate_keys(folder / "keys")
    with ExitStack() as stack:
        grafana = stack.enter_context(closing(GrafanaStandIn()))
        engine = create_ledger_engine(database)
        stack.callback(engine.dispose)
        fill(engine, system_clock())
        launcher = Launcher(
            folder / "processes",
            database,
            METERLINE_INFLUX_URL="http://127.0.0.1:9",
            METERLINE_GRAFANA_URL=grafana.url,
            METERLINE_GRAFANA_USER=ADMIN,
            METERLINE_GRAFANA_PASSWORD=PASSWORD,
            METERLINE_GRAFANA_KEYS=str(folder / "keys"),
            METERLINE_GRAFANA_GATEWAY_URL="http://127.0.0.1:8000/grafana/influx",
            METERLINE_TRUSTED_PROXIES="1",
        )
        stack.callback(launcher.close)
        assert 0 == launcher.start("grafana", "provision").wait()
        server = Server(launcher, "--no-work", "--workers", "1")
        port = urlsplit(grafana.url).port or 0
        nginx = Edge(
            folder / "nginx", meterline=server.port, grafana=port, shipped=SHIPPED.read_text()
        )
        stack.callback(nginx.close)
        url = f"https://127.0.0.1:{nginx.port}"
        yield Embedded(Site(url=url, engine=engine), grafana, folder / "keys")


@pytest.fixture
def open_page(browser: Browser, embedded: Embedded) -> Iterator[Open]:
    """Open a page in a new profile, signed in; what the console calls an error fails the test."""
    faults: list[str] = []
    with ExitStack() as stack:

        def open_page(
            path: str,
            role: Role = Role.TENANT_ADMIN,
            tenant: str = "acme",
            *,
            width: int = 1280,
            dark: bool = False,
        ) -> Page:
            context = browser.new_context(
                base_url=embedded.site.url,
                ignore_https_errors=True,  # the certificate is of nobody that the browser knows
                viewport={"width": width, "height": 900},
                color_scheme="dark" if dark else "light",
            )
            stack.callback(context.close)
            context.add_init_script(TELL_VIOLATIONS)
            page = context.new_page()
            page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.goto(embedded.site.link(role, tenant if role.is_tenant_role else None))
            embedded.grafana.looked.clear()
            page.goto(path)
            return page

        yield open_page
    assert [] == faults


def show_all(page: Page) -> list[dict[str, str]]:
    """Scroll through all panels, wait until each is there, and return what their addresses say."""
    frames = page.locator("iframe.frame")
    found = []
    for place in range(frames.count()):
        frames.nth(place).scroll_into_view_if_needed()
        inside = page.frame_locator("iframe.frame").nth(place)
        expect(inside.locator("strong")).to_be_visible()
        source = frames.nth(place).get_attribute("src") or ""
        query = parse_qs(urlsplit(source).query)
        found.append({name: values[0] for name, values in query.items()})
    return found


def reload_until(page: Page, wanted: str) -> None:
    """Look at a page again and again until it has something: what is known of Grafana counts for
    some seconds."""  # fmt: skip
    for _ in range(100):
        page.reload()
        if page.locator(wanted).count():
            return
        page.wait_for_timeout(200)
    raise AssertionError(f"the page never had {wanted}")


def is_of_month(panel: dict[str, str]) -> bool:
    """Whether it is the panel that has a range of its own."""
    return panel["panelId"] in {str(each.id) for each in TENANT_USAGE.panels if each.is_of_month}


def grounds(page: Page) -> set[str]:
    """Return the grounds of the panels that are loaded."""
    script = "getComputedStyle(document.body).backgroundColor"
    return {frame.evaluate(script) for frame in page.frames if "/d-solo/" in frame.url}


def test_all_panels_of_the_tenants_board_come_through_as_its_viewer(
    open_page: Open, embedded: Embedded
) -> None:
    panels = show_all(open_page("/usage"))
    assert [str(panel.id) for panel in TENANT_USAGE.panels] == [p["panelId"] for p in panels]
    tokens = {looked.headers["x-jwt-assertion"] for looked in embedded.grafana.looked}
    subjects = {read_assertion(token, embedded.keys)["sub"] for token in tokens}
    assert {login_of(TenantId("acme"))} == subjects


@pytest.mark.parametrize(("role", "board"), [(Role.ROOT_ADMIN, SYSTEM_USAGE), (Role.OPS, PIPELINE)])
def test_operators_see_their_board_below_the_grid(
    open_page: Open, role: Role, board: object
) -> None:
    page = open_page("/admin/usage", role)
    assert len(board.panels) == len(show_all(page))  # type: ignore[attr-defined] # a column of the table
    expect(page.locator("#grid")).to_be_visible()


def test_the_range_switch_is_passed_on(open_page: Open) -> None:
    page = open_page("/usage")
    (before,) = {(panel["from"], panel["to"]) for panel in show_all(page) if not is_of_month(panel)}
    page.get_by_role("link", name="90 days").click()
    (after,) = {(panel["from"], panel["to"]) for panel in show_all(page) if not is_of_month(panel)}
    assert (60 * 86_400_000, before[1]) == (int(before[0]) - int(after[0]), after[1])


@pytest.mark.parametrize(
    ("dark", "ground"), [(False, "rgb(255, 255, 255)"), (True, "rgb(24, 27, 31)")]
)
def test_panels_are_light_or_dark_as_the_page_is(
    open_page: Open, ground: str, *, dark: bool
) -> None:
    page = open_page("/usage", dark=dark)
    show_all(page)
    assert {ground} == grounds(page)


def test_panels_follow_when_the_browser_turns_dark(open_page: Open) -> None:
    page = open_page("/admin/usage", Role.ROOT_ADMIN)
    show_all(page)
    page.emulate_media(color_scheme="dark")
    assert {"dark"} == {panel["theme"] for panel in show_all(page)}
    assert {"rgb(24, 27, 31)"} == grounds(page)


@pytest.mark.parametrize(
    ("path", "role", "width"),
    [
        ("/usage", Role.TENANT_ADMIN, 360),
        ("/usage", Role.TENANT_ADMIN, 820),
        ("/admin/usage", Role.OPS, 360),
    ],
)
def test_a_page_with_panels_never_scrolls_sideways(
    open_page: Open, path: str, role: Role, width: int
) -> None:
    page = open_page(path, role, width=width)
    assert width == page.evaluate("document.documentElement.scrollWidth")


def test_while_grafana_does_not_answer_the_page_has_its_own_chart_and_then_panels_again(
    open_page: Open, embedded: Embedded
) -> None:
    page = open_page("/usage")
    expect(page.locator("iframe.frame")).to_have_count(len(TENANT_USAGE.panels))
    released = Event()
    embedded.grafana.before = lambda _asked: released.wait(30)
    reload_until(page, ".chart")
    expect(page.locator("iframe")).to_have_count(0)
    released.set()
    reload_until(page, "iframe.frame")


def test_while_panels_hang_other_pages_are_reached(open_page: Open, embedded: Embedded) -> None:
    page = open_page("/usage")
    released = Event()
    embedded.grafana.before_look = lambda _asked: released.wait(60)
    embedded.grafana.looked.clear()
    try:
        page.reload(wait_until="commit")
        # As many as a browser has connections of HTTP/1.1 to one place.
        wait_until(lambda: len(embedded.grafana.looked) >= 6, "panels are waited for")
        page.get_by_role("link", name="90 days").click(no_wait_after=True)
        page.wait_for_url("**/usage?range=90d", wait_until="commit", timeout=15_000)
        expect(page.locator("#download")).to_be_visible()
    finally:
        released.set()
        embedded.grafana.before_look = lambda _asked: None


def test_a_tenant_that_nobody_provisioned_yet_has_panels_from_the_second_look_on(
    open_page: Open, embedded: Embedded
) -> None:
    org = embedded.grafana.org_of(login_of(TenantId("clever")))
    page = open_page("/usage", tenant="clever")
    with operator_session(embedded.site.engine, write=True) as session:
        forget(session, TenantId("clever"))
    page.reload()
    expect(page.locator(".chart")).to_be_visible()
    reload_until(page, "iframe.frame")
    assert len(TENANT_USAGE.panels) == len(show_all(page))
    assert org == embedded.grafana.org_of(login_of(TenantId("clever")))
