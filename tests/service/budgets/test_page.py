"""The section on budgets of `/usage`, and its forms."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from api.app import create_app
from api.auth.csrf import make_csrf
from api.services import Services
from collector.notices.job import Delivery
from collector.notices.sending import Attempt
from costing.budgets.budget import Budget
from costing.budgets.job import Budgeting
from costing.budgets.store import read_budgets
from ledger.accounts.roles import Role
from ledger.budget_notices import Medium
from ledger.session import tenant_session
from tests.access import make_sign_in
from tests.builders import NOW, sms
from tests.conftest import Book
from tests.costed import ACME
from tests.routes import Credential, client_with
from tests.service.budgets.conftest import PAT, SetBudget, Spend

FORM = {
    "period": "monthly",
    "feature": "",
    "amount": "$250.00",
    "thresholds": "50, 90%",
    "recipients": f"{PAT}, kim@acme.example",
}
NO_MAIL = "not set up to send mail"

Send = Callable[..., TestResponse]


@pytest.fixture
def token(engine: sa.Engine) -> str:
    return make_sign_in(engine, Role.TENANT_ADMIN, "acme")


@pytest.fixture
def client(services: Services, token: str) -> FlaskClient:
    return client_with(create_app(services), Credential({}, token))


@pytest.fixture
def send(client: FlaskClient, token: str) -> Send:
    def send(path: str = "/usage/budgets", **changes: str) -> TestResponse:
        data = {"csrf": make_csrf(token), **FORM, **changes}
        return client.post(path, data=data, base_url="https://localhost")

    return send


def page(client: FlaskClient) -> str:
    return client.get("/usage", base_url="https://localhost").text


def budgets(engine: sa.Engine) -> tuple[Budget, ...]:
    with tenant_session(engine, ACME) as session:
        return read_budgets(session).budgets


def test_the_form_sets_a_budget_and_leads_back_to_it(send: Send, engine: sa.Engine) -> None:
    answer = send()
    assert (303, "/usage#budgets") == (answer.status_code, answer.location)
    (found,) = budgets(engine)
    assert ("monthly", 250 * 10**9, (50, 90), (PAT, "kim@acme.example")) == (
        found.budget_id,
        found.amount,
        found.thresholds,
        found.recipients,
    )


def test_what_cannot_be_is_told_with_what_was_typed(send: Send, engine: sa.Engine) -> None:
    answer = send(amount="a lot", recipients=PAT)
    assert (400, True, True, ()) == (
        answer.status_code,
        "An amount is a plain decimal" in answer.text,
        'value="a lot"' in answer.text and f'value="{PAT}"' in answer.text,
        budgets(engine),
    )


@pytest.mark.parametrize("text", ["", "half", "50 fifty", "99999"])
def test_percents_that_are_none_are_told(send: Send, text: str) -> None:
    answer = send(thresholds=text)
    assert (400, True) == (answer.status_code, "different whole percents" in answer.text)


def test_a_budget_is_taken_away(send: Send, set_one: SetBudget, engine: sa.Engine) -> None:
    set_one()
    assert 303 == send("/usage/budgets/remove").status_code
    assert () == budgets(engine)


def test_a_budget_that_is_gone_cannot_be_taken_away(send: Send) -> None:
    answer = send("/usage/budgets/remove")
    assert (404, True) == (answer.status_code, "There is no such budget" in answer.text)


@pytest.mark.parametrize("path", ["/usage/budgets", "/usage/budgets/remove"])
def test_a_form_that_is_not_ours_changes_nothing(
    send: Send, set_one: SetBudget, engine: sa.Engine, path: str
) -> None:
    set_one()
    before = budgets(engine)
    assert (403, before) == (send(path, csrf="0" * 64).status_code, budgets(engine))


def test_a_budget_is_shown_with_what_is_spent_of_it(
    client: FlaskClient, set_one: SetBudget, spend: Spend
) -> None:
    set_one(thresholds=[50])
    spend(62)
    text = page(client)
    assert ["$62.00 of $100.00", '<strong class="used">62%</strong>', 'd="M50.0,0v6"'] == [
        part
        for part in (
            "$62.00 of $100.00",
            '<strong class="used">62%</strong>',
            'd="M50.0,0v6"',
        )
        if part in text.replace("<span>", "").replace("</span>", "")
    ]


def told(client: FlaskClient) -> list[str]:
    return re.findall(r'<p class="note">((?:Told|\d+%).*?)</p>', page(client))


def test_what_nobody_could_be_told_of_is_not_called_told(
    client: FlaskClient, set_one: SetBudget, spend: Spend, engine: sa.Engine
) -> None:
    set_one()
    spend(50)
    Budgeting(engine).run(now=NOW)
    expected = "and nobody told: there was nowhere to send a notice, or it was not taken."
    assert [f"50% reached this month, {expected}"] == told(client)


def test_a_threshold_is_told_of_when_its_notice_was_taken(
    client: FlaskClient,
    set_one: SetBudget,
    spend: Spend,
    budgeting: Budgeting,
    engine: sa.Engine,
) -> None:
    set_one()
    spend(80)
    budgeting.run(now=NOW)
    assert ["50%, 80% reached this month: the notice is on its way."] == told(client)
    answers = iter([Attempt(), Attempt("no", is_final=True)])
    Delivery(engine, {Medium.WEBHOOK: lambda _: next(answers)}, clock=lambda: NOW).run()
    first, second = told(client)
    assert ("Told of 50% this month.", True) == (
        first,
        second.startswith("80% reached this month, and nobody told"),
    )


def test_usage_without_a_price_is_told_beside_a_budget(
    client: FlaskClient, set_one: SetBudget, spend: Spend
) -> None:
    set_one()
    spend(3, channel="email", source="sendgrid")
    assert "1 usages have no price yet and are not in it" in page(client)


def test_the_page_says_where_no_mail_goes_out(client: FlaskClient, services: Services) -> None:
    assert NO_MAIL in page(client)
    services_with_mail = replace(
        services,
        settings=services.settings.model_copy(update={"sendgrid_api_key": SecretStr("SG.key")}),
    )
    token = make_sign_in(services.engine, Role.TENANT_ADMIN, "acme")
    other = client_with(create_app(services_with_mail), Credential({}, token))
    assert NO_MAIL not in page(other)


def test_a_forecast_is_shown_where_enough_is_known(client: FlaskClient, book: Book) -> None:
    assert "By the end of the month" not in page(client)
    book(*(sms(f"SM-{day}", time=f"2026-02-{day}T12:00:00Z") for day in range(10, 25)))
    assert "By the end of the month all usage comes to about" in page(client)
