"""`meterline demo` as its users meet it: start it, open the links that it prints."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import OpenPage
from tests.processes import Launcher, free_port, wait_until

SECONDS = 90.0
"""Making a week of usage takes some four of them on an idle machine."""


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The links that a served demo of a week prints, by whom they are for."""
    folder: Path = tmp_path_factory.mktemp("demo")
    launcher = Launcher(folder / "processes", "sqlite:///is-not-used.db")
    try:
        demo = launcher.start("demo", "--days", "7", "--port", str(free_port()))
        wait_until(
            lambda: "root admin" in demo.log.read_text() or demo.has_ended(),
            "the demo prints its links",
            seconds=SECONDS,
        )
        printed = re.findall(
            r"^  (tenant|root) admin.* (http://\S+)$", demo.log.read_text(), re.MULTILINE
        )
        assert ["tenant", "root"] == [who for who, _ in printed], demo.log.read_text()
        yield dict(printed)
    finally:
        launcher.close()


def test_the_link_of_the_tenant_admin_shows_a_filled_page(
    open_page: OpenPage, links: dict[str, str]
) -> None:
    page = open_page(links["tenant"], None)
    rows = page.locator("#channels tbody tr").all_inner_texts()
    used = [row for row in rows if "$0.00" not in row]
    assert ("Coral Reef Rentals", 5) == (page.locator("h1").inner_text(), len(used))


def test_the_link_of_the_root_admin_shows_all_tenants(
    open_page: OpenPage, links: dict[str, str]
) -> None:
    page = open_page(links["root"], None)
    assert page.get_by_text("40 tenants", exact=True).is_visible()
