"""The reserved tenant: nobody registers it, changes it, signs in to it or sends usage to it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from collector.events import Rules
from collector.intake import Intake
from collector.store import book_events
from costing.job import Costing
from ledger.accounts.roles import Role
from ledger.errors import InvalidError
from ledger.event import UsageEvent
from ledger.keys import Scope
from ledger.measures import Measures
from ledger.session import tenant_session
from ledger.tenant import UNATTRIBUTED
from ledger.tenants import ensure_unattributed
from tests.access import bearer, make_key, make_sign_in
from tests.builders import NOW, sms
from tests.conftest import Run
from tests.routes import Credential, client_with

NAME = str(UNATTRIBUTED)


def book_for_nobody(engine: sa.Engine, costing: Costing, *, quantity: int = 100) -> None:
    """Book an SMS of nobody, past everything that looks at what comes in."""
    ensure_unattributed(engine, now=NOW)
    time = NOW - timedelta(days=1)
    event = UsageEvent(
        "SM0", b"\x01" * 17, time, time.date(), "sms", "outbound", "twilio", None, None,
        "standard", *(False, False), None, Measures(quantity=quantity),
    )  # fmt: skip
    with tenant_session(engine, UNATTRIBUTED, write=True) as session:
        book_events(session, [event], now=NOW)
    costing.run(clock=lambda: NOW)


@pytest.mark.parametrize("auto_register", [False, True])
def test_no_event_may_name_it(
    engine: sa.Engine,
    rules: Rules,
    auto_register: bool,  # noqa: FBT001 - a column of the table
) -> None:
    ensure_unattributed(engine, now=NOW)
    intake = Intake(engine, rules=rules, auto_register=auto_register)
    (result,) = intake.book([sms(tenant=NAME)], only_tenant=None, now=NOW)
    assert ("rejected", "invalid_tenant") == (str(result.status), result.code)


@pytest.mark.parametrize(
    "command",
    [
        ("tenant", "add", NAME),
        ("tenant", "set", NAME, "--name", "Ours"),
        ("tenant", "close", NAME),
        ("tenant", "reopen", NAME),
        ("key", "create", "--scope", "ingest", "--tenant", NAME),
        ("user", "add", "pat", "--role", "tenant_admin", "--tenant", NAME),
    ],
)
def test_no_command_makes_changes_or_opens_it(
    engine: sa.Engine, meterline: Run, command: tuple[str, ...]
) -> None:
    ensure_unattributed(engine, now=NOW)
    finished = meterline(*command)
    assert (2, True) == (finished.returncode, "a tenant id has 1 to 64" in finished.stderr)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_the_api_of_tenants_does_not_know_it(engine: sa.Engine, app: Flask, method: str) -> None:
    ensure_unattributed(engine, now=NOW)
    body = {"name": "Ours", "plan": "Pro", "timezone": "UTC"}
    answer = app.test_client().open(
        f"/api/admin/tenants/{NAME}",
        method=method,
        json=body,
        headers=bearer(make_key(engine, Scope.TENANTS)),
    )
    assert (400, "invalid_tenant") == (answer.status_code, answer.get_json()["code"])


def test_nobody_signs_in_to_it(engine: sa.Engine) -> None:
    ensure_unattributed(engine, now=NOW)
    with pytest.raises(InvalidError, match="a tenant id has"):
        make_sign_in(engine, Role.TENANT_ADMIN, NAME)


def test_its_usage_is_verified_and_exported_like_any(
    engine: sa.Engine, costing: Costing, meterline: Run
) -> None:
    book_for_nobody(engine, costing)
    verified = meterline("verify", "--tenant", NAME)
    exported = meterline("export", "--tenant", NAME, "--from", "2026-03-09", "--to", "2026-03-09")
    assert (0, 0, True) == (
        verified.returncode,
        exported.returncode,
        ",1,0.89" in exported.stdout,
    )


def grid_of(app: Flask, engine: sa.Engine, path: str) -> str:
    credential = Credential({}, make_sign_in(engine, Role.ROOT_ADMIN, None))
    return client_with(app, credential).get(path, base_url="https://localhost").text


def test_the_grid_marks_it_as_no_customer(engine: sa.Engine, costing: Costing, app: Flask) -> None:
    book_for_nobody(engine, costing)
    page = grid_of(app, engine, "/admin/usage")
    assert (True, True) == ("no customer" in page, "2 tenants, and usage without one" in page)


def test_the_grid_over_json_flags_it(engine: sa.Engine, costing: Costing, app: Flask) -> None:
    book_for_nobody(engine, costing)
    headers = bearer(make_key(engine, Scope.READ))
    rows = app.test_client().get("/api/admin/usage/tenants", headers=headers).get_json()["tenants"]
    flags = {row["tenant"]: (row["is_unattributed"], row["estimated_cost"]) for row in rows}
    assert {"acme": (False, "0"), "karachi": (False, "0"), NAME: (True, "0.89")} == flags


def test_without_usage_the_grid_does_not_show_it(engine: sa.Engine, app: Flask) -> None:
    ensure_unattributed(engine, now=NOW)
    page = grid_of(app, engine, "/admin/usage")
    assert (False, True) == ("no customer" in page, "2 tenants</h2>" in page)


def test_it_is_on_no_plan(engine: sa.Engine, costing: Costing, app: Flask) -> None:
    book_for_nobody(engine, costing)
    page = grid_of(app, engine, "/admin/usage?plan=unassigned")
    assert (False, True) == ("no customer" in page, ">1 tenant</h2>" in page)


def test_a_tenant_sees_nothing_of_it(engine: sa.Engine, costing: Costing, app: Flask) -> None:
    book_for_nobody(engine, costing)
    headers = bearer(make_key(engine, Scope.READ, tenant="acme"))
    summary = app.test_client().get("/api/billing/usage/summary", headers=headers).get_json()
    assert "0" == summary["total"]["estimated_cost"]
