"""Budgets on `/usage`, in a browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage

FILLS = "getComputedStyle(document.querySelector('.budget-spent')).fill"


def set_budget(page: Page, feature: str, amount: str) -> None:
    form = page.locator(".budget-add")
    form.locator("summary").click()
    form.get_by_label("Feature").fill(feature)
    form.get_by_label("Amount").fill(amount)
    form.get_by_label("Mail to").fill("billing@acme.example")
    form.get_by_role("button", name="Set budget").click()


def test_a_budget_is_set_changed_and_taken_away_in_the_page(open_page: OpenPage) -> None:
    page = open_page("/usage")
    set_budget(page, "set_in_a_browser", "5")
    line = page.locator(".budgets > li", has_text="set_in_a_browser")
    expect(line.locator(".budget-head")).to_contain_text("$0.00 of $5.00")
    line.locator("summary").click()
    line.get_by_label("Amount").fill("7.50")
    line.get_by_role("button", name="Save").click()
    expect(line.locator(".budget-head")).to_contain_text("$0.00 of $7.50")
    line.locator("summary").click()
    line.get_by_role("button", name="Remove this budget").click()
    expect(line).to_have_count(0)


@pytest.mark.parametrize("width", [360, 1280])
def test_bars_are_seen_in_light_and_dark_and_fit_the_page(open_page: OpenPage, width: int) -> None:
    set_budget(open_page("/usage", width=width), "", "0.01")
    light, dark = open_page("/usage", width=width), open_page("/usage", width=width, dark=True)
    expect(light.locator(".over-budget .budget-bar")).to_be_visible()
    assert light.evaluate(FILLS) != dark.evaluate(FILLS)
    assert width == light.evaluate("document.documentElement.scrollWidth")


def test_fields_that_belong_together_share_a_row_on_a_narrow_screen(open_page: OpenPage) -> None:
    form = open_page("/usage", width=390).locator(".budget-add")
    form.locator("summary").click()
    names = ("Period", "Feature", "Amount", "Tell at")
    boxes = [form.get_by_label(name).bounding_box() for name in names]
    rows = [round(box["y"]) for box in boxes if box is not None]
    assert [rows[0], rows[0], rows[2], rows[2]] == rows
