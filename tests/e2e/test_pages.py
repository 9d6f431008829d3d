import csv
import re
from decimal import Decimal

import pytest
from playwright.sync_api import Locator, Page, expect

from costing.export import EXPORT_COLUMNS
from ledger.accounts.roles import Role
from tests.e2e.conftest import PASSWORD, OpenPage, Site


def amount(cell: Locator) -> Decimal:
    """Return the exact amount of a cell: what the pointer brings up, or else what it shows."""
    shown = cell.locator("span").first
    text = shown.get_attribute("title") or shown.inner_text()
    return Decimal(re.sub(r"[^\d.]", "", text))


def column(page: Page, table: str, place: int) -> list[str]:
    return page.locator(f"{table} tbody tr > :nth-child({place})").all_inner_texts()


def names(page: Page) -> list[str]:
    return page.locator("#grid .name").all_inner_texts()


def background(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


def test_a_one_time_link_leads_to_the_page_of_the_role(open_page: OpenPage, site: Site) -> None:
    page = open_page("/signin", None)
    page.goto(site.link(Role.TENANT_ADMIN, "acme"))
    expect(page).to_have_url(f"{site.url}/usage")


def test_who_is_not_signed_in_comes_back_after_signing_in(open_page: OpenPage, site: Site) -> None:
    page = open_page("/usage?range=90d", None)
    page.get_by_label("Login").fill("pat")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{site.url}/usage?range=90d")


def test_after_signing_out_the_page_is_closed(open_page: OpenPage, site: Site) -> None:
    page = open_page("/usage")
    page.get_by_role("button", name="Sign out").click()
    page.goto("/usage")
    expect(page).to_have_url(f"{site.url}/signin?next=/usage")


def test_the_range_switch_shows_more_days(open_page: OpenPage) -> None:
    page = open_page("/usage")
    before = amount(page.locator("#total"))
    page.get_by_role("link", name="90 days").click()
    expect(page.get_by_role("link", name="90 days")).to_have_attribute("aria-current", "true")
    assert before < amount(page.locator("#total"))


@pytest.mark.parametrize("range_name", ["30d", "90d"])
def test_the_download_adds_up_to_the_page_and_to_the_summary(
    open_page: OpenPage, range_name: str
) -> None:
    page = open_page(f"/usage?range={range_name}")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download CSV").click()
    assert re.fullmatch(r"usage-acme-[\d-]{10}-[\d-]{10}\.csv", started.value.suggested_filename)
    with started.value.path().open(newline="") as file:
        head, *lines = csv.reader(file)
    count = sum(int(line[5]) for line in lines)
    cost = sum((Decimal(line[6] or 0) for line in lines), Decimal(0))
    total = page.request.get(f"/api/billing/usage/summary?range={range_name}").json()["total"]
    foot = page.locator("#channels tfoot td")
    shown = (int(foot.nth(0).inner_text().replace(",", "")), amount(foot.nth(1)))
    assert list(EXPORT_COLUMNS) == head
    assert (count, cost) == (total["count"], Decimal(total["estimated_cost"])) == shown


def test_rows_of_channels_and_of_features_add_up_to_the_total(open_page: OpenPage) -> None:
    page = open_page("/usage?range=90d")
    total = amount(page.locator("#total"))
    channels = page.locator("#channels tbody tr > :nth-child(3)").all()
    features = page.locator("#features tbody tr > :nth-child(4)").all()
    priced = [cell for cell in features if "unpriced" != cell.inner_text()]
    assert [total, total] == [sum(map(amount, channels)), sum(map(amount, priced))]


def test_a_pointer_on_the_chart_brings_up_the_figures_of_the_day(open_page: OpenPage) -> None:
    page = open_page("/usage")
    page.locator(".chart").hover()
    tip = page.locator(".chart-tip")
    expect(tip).to_be_visible()
    shown = tip.locator("p").inner_text()
    assert shown in page.locator("#days tbody th").all_text_contents()


def test_arrow_keys_go_through_the_days_of_the_chart(open_page: OpenPage) -> None:
    page = open_page("/usage")
    page.locator(".chart").focus()
    days = page.locator("#days tbody th").all_text_contents()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator(".chart-tip p")).to_have_text(days[-3])
    page.keyboard.press("Escape")
    expect(page.locator(".chart-tip")).to_be_hidden()


@pytest.mark.parametrize(("width", "name"), [(390, "narrow"), (820, "medium"), (1440, "wide")])
def test_one_rendering_of_the_chart_is_shown(open_page: OpenPage, width: int, name: str) -> None:
    page = open_page("/usage", width=width)
    visible = [svg for svg in page.locator(".chart > svg").all() if svg.is_visible()]
    assert [f"chart-{name}"] == [svg.get_attribute("class") for svg in visible]


def test_dark_and_light_differ_in_ground_and_bars(open_page: OpenPage) -> None:
    fills = "getComputedStyle(document.querySelector('.chart-wide .mark-rect path')).fill"
    light, dark = open_page("/usage"), open_page("/usage", dark=True)
    assert ("rgb(245, 246, 248)", "rgb(15, 19, 25)") == (background(light), background(dark))
    assert light.evaluate(fills) != dark.evaluate(fills)


@pytest.mark.parametrize("width", [360, 390, 820, 1920])
@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/usage", Role.TENANT_ADMIN),
        ("/usage?range=90d", Role.TENANT_ADMIN),
        ("/admin/usage", Role.OPS),
        ("/signin", None),
    ],
)
def test_a_page_never_scrolls_sideways(
    open_page: OpenPage, path: str, role: Role | None, width: int
) -> None:
    page = open_page(path, role, width=width)
    assert width == page.evaluate("document.documentElement.scrollWidth")


def test_a_tenant_without_usage_is_told_so(open_page: OpenPage) -> None:
    page = open_page("/usage", tenant="silent")
    expect(page.get_by_role("heading", name="No usage in these 30 days")).to_be_visible()
    expect(page.locator(".chart")).to_have_count(0)


def test_the_grid_begins_with_the_dearest(open_page: OpenPage) -> None:
    page = open_page("/admin/usage", Role.ROOT_ADMIN)
    assert ["Acme", "Dull", "Clever", "Mute", "Silent"] == names(page)


def test_a_click_on_a_head_sorts_and_another_turns_it_around(open_page: OpenPage) -> None:
    page = open_page("/admin/usage", Role.ROOT_ADMIN)
    page.get_by_role("link", name="Tenant", exact=True).click()
    assert ["Acme", "Clever", "Dull", "Mute", "Silent"] == names(page)
    page.locator("th[aria-sort=ascending] a").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text(re.compile("^Tenant"))
    assert ["Silent", "Mute", "Dull", "Clever", "Acme"] == names(page)


def test_the_filter_of_plans_leaves_that_plan(open_page: OpenPage) -> None:
    page = open_page("/admin/usage", Role.OPS)
    page.get_by_label("Plan").select_option("Elite")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("heading", name="2 tenants")).to_be_visible()
    assert {"Elite"} == set(column(page, "#grid", 2))


def test_the_filter_of_high_ai_goes_by_the_threshold(open_page: OpenPage) -> None:
    page = open_page("/admin/usage?range=90d", Role.OPS)
    page.get_by_label("Only high or unknown AI share").check()
    page.get_by_role("button", name="Apply").click()
    assert ["Clever"] == names(page)
    page.get_by_label("High AI is over").select_option("95%")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("ai_threshold=0.95"))
    page.get_by_role("link", name="Clear filters").click()
    assert 5 == len(names(page))
    expect(page.get_by_role("link", name="90 days")).to_have_attribute("aria-current", "true")


def test_pages_of_the_grid_lead_on_and_back(open_page: OpenPage) -> None:
    page = open_page("/admin/usage?page_size=2", Role.OPS)
    page.get_by_role("link", name="Next").click()
    assert ["Clever", "Mute"] == names(page)
    page.get_by_role("link", name="Previous").click()
    assert ["Acme", "Dull"] == names(page)


def test_whoever_comes_by_keys_sees_where_they_are(open_page: OpenPage) -> None:
    page = open_page("/usage")
    outlines = []
    for _ in range(6):
        page.keyboard.press("Tab")
        outlines.append(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
    assert ["solid"] * 6 == outlines


def test_no_line_of_facts_ends_with_a_mark(open_page: OpenPage) -> None:
    page = open_page("/usage", width=390)
    marks = page.locator(".facts span").evaluate_all(
        "spans => spans.map(span => getComputedStyle(span, '::after').content)"
    )
    assert {"none"} == set(marks)
