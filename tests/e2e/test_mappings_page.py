"""The page of mappings in a browser: what waits is mapped, moves, and the mapping is ended."""

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from collector.attribution.routing import Report, Router
from collector.facts.claim import Claim, ClaimKind
from collector.facts.fact import Fact, Rank, Verdict
from collector.intake import build_rules
from ledger.accounts.roles import Role
from ledger.clock import system_clock
from ledger.settings import Settings
from tests.e2e.conftest import OpenPage, Site


@pytest.fixture
def waiting(site: Site) -> str:
    """Usage of yesterday that waits for an account of its own; returns the account."""
    now = system_clock()
    account = f"AC{now.timestamp():032.0f}"
    facts = [
        Fact(
            usage_id=f"CA{number}{account}",
            fact_id="completed",
            rank=Rank.FINAL,
            verdict=Verdict.BILLED,
            time=now - timedelta(days=1),
            channel="voice",
            direction="inbound",
            source="twilio",
            quantity=2,
        )
        for number in range(3)
    ]
    claims = (Claim(ClaimKind.ACCOUNT, account),)
    router = Router(site.engine, build_rules(Settings()), hash_key=None)
    router.book([Report(fact, claims) for fact in facts], now=now)
    return account


def add(page: Page, account: str, tenant: str, *, label: str = "") -> None:
    form = page.locator("#add")
    form.get_by_label("Kind").select_option(label="Twilio account")
    form.get_by_label("SID, number or name").fill(account)
    form.get_by_label("Tenant").fill(tenant)
    form.get_by_label("From").fill(f"{system_clock() - timedelta(days=7):%Y-%m-%d}")
    form.get_by_label("Label").fill(label)
    form.get_by_role("button", name="Add mapping").click()
    # Whoever looks at once may find the old page gone and the new one not there yet.
    expect(page.get_by_role("status")).to_contain_text(account)


def test_usage_that_waits_goes_to_the_tenant_that_a_form_maps_it_to(
    open_page: OpenPage, waiting: str
) -> None:
    page = open_page("/admin/mappings", Role.ROOT_ADMIN)
    row = page.locator("#waiting tr", has_text=waiting)
    expect(row.locator("td").nth(1)).to_have_text("3")
    add(page, waiting, "mute", label="Front desk")
    expect(page.get_by_role("status")).to_contain_text(f"{waiting} leads to Mute from")
    expect(page.locator("#waiting tr", has_text=waiting)).to_have_count(0)
    expect(page.locator("#mappings tr.changed")).to_contain_text("Front desk")


def test_a_mapping_is_ended_by_its_form(open_page: OpenPage, waiting: str) -> None:
    page = open_page("/admin/mappings", Role.ROOT_ADMIN)
    add(page, waiting, "mute")
    row = page.locator("#mappings tr", has_text=waiting)
    expect(row.get_by_role("button", name="End mapping")).to_be_hidden()
    row.locator("summary").click()
    row.get_by_label("From").fill(f"{system_clock() - timedelta(days=2):%Y-%m-%d}")
    row.get_by_role("button", name="End mapping").click()
    expect(page.locator("#mappings tr", has_text=waiting)).to_contain_text("over")


def test_a_form_with_nothing_in_it_is_not_sent(open_page: OpenPage) -> None:
    page = open_page("/admin/mappings", Role.ROOT_ADMIN)
    page.locator("#add").get_by_role("button", name="Add mapping").click()
    required = page.locator("#add input[name=value]:invalid")
    expect(required).to_have_count(1)
    expect(required).to_be_focused()


@pytest.mark.parametrize("width", [360, 820, 1920])
def test_the_page_of_mappings_never_scrolls_sideways(
    open_page: OpenPage, waiting: str, width: int
) -> None:
    page = open_page("/admin/mappings", Role.ROOT_ADMIN, width=width)
    add(page, waiting, "acme")
    assert width == page.evaluate("document.documentElement.scrollWidth")


def test_the_page_of_mappings_is_for_root_admins(open_page: OpenPage) -> None:
    page = open_page("/admin/usage", Role.OPS)
    status = page.request.get("/admin/mappings").status
    links = page.get_by_role("link", name="Mappings").count()
    assert (403, 0) == (status, links)
