"""`/admin/mappings`: whose it is what a provider names, for root admins."""

from collections.abc import Sequence
from http import HTTPStatus

from flask import current_app, make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from api.attributing import attribute
from api.auth.policy import require_role
from api.auth.tenancy import operator_session
from api.errors import STATUS_OF_KIND
from api.mapping_schemas import FailedAnswer
from api.pages.blueprint import PageBlueprint
from api.pages.mapping_view import build_mappings_view
from api.parameters import read_parameters
from api.services import Services
from collector.attribution.keeping import NewMapping, add_mapping, end_mapping, list_all
from collector.attribution.store import read_waiting
from collector.attribution.transit import read_in_transit
from costing.reports.travelling import cost_of_travelling
from ledger.accounts.roles import Role
from ledger.errors import ConflictError, InvalidError, MeterlineError, MissingError
from ledger.tenant import UNATTRIBUTED
from ledger.tenants import list_tenants

blueprint = PageBlueprint("mappings_page", __name__)

may_keep_mappings = require_role(Role.ROOT_ADMIN)

PATH = "/admin/mappings"
_NOTHING_TYPED = NewMapping(kind="number", value="", tenant="")
_MOST_DIGITS = 18


@blueprint.get(PATH)
@may_keep_mappings
def show_mappings() -> Response:
    """Show what is mapped, what waits for a mapping, and the form that adds one."""
    changed = read_parameters("changed")["changed"] or ""
    number = int(changed) if changed.isdecimal() and len(changed) <= _MOST_DIGITS else None
    return _page(changed=number)


@blueprint.post(PATH)
@may_keep_mappings
def add() -> Response:
    """Map what the form names; what cannot be is told above it, with all that was typed."""
    sent = request.form
    typed = NewMapping(
        kind=sent.get("kind", ""),
        value=sent.get("value", ""),
        tenant=sent.get("tenant", "").strip(),
        valid_from=sent.get("valid_from", "").strip() or None,
        label=sent.get("label", "").strip() or None,
    )
    services = Services.of(current_app)
    try:
        with operator_session(write=True) as session:
            period, _ = add_mapping(
                session,
                typed,
                hash_key=services.settings.hash_key_bytes,
                now=services.clock(),
            )
    except (InvalidError, MissingError, ConflictError) as error:
        return _page(typed=typed, fault=error)
    failed = attribute(now=services.clock()).failed
    if failed:  # an address of its own could not tell why, and adding it again changes nothing
        return _page(changed=period.row.mapping_id, failed=failed)
    return _back(period.row.mapping_id)


@blueprint.post(f"{PATH}/<int:mapping_id>/end")
@may_keep_mappings
def end(mapping_id: int) -> Response:
    """End a mapping."""
    until = request.form.get("until", "").strip() or None
    now = Services.of(current_app).clock()
    try:
        with operator_session(write=True) as session:
            period = end_mapping(session, mapping_id, until=until, now=now)
    except (InvalidError, MissingError) as error:
        return _page(fault=error)
    return _back(period.row.mapping_id)


def _back(mapping_id: int) -> Response:
    """Show the page by an address of its own, so that loading it again changes nothing."""
    return redirect(f"{PATH}?changed={mapping_id}", HTTPStatus.SEE_OTHER)


def _page(
    *,
    typed: NewMapping = _NOTHING_TYPED,
    fault: MeterlineError | None = None,
    changed: int | None = None,
    failed: Sequence[FailedAnswer] = (),
) -> Response:
    services = Services.of(current_app)
    with operator_session() as session:
        view = build_mappings_view(
            periods=list_all(session),
            waiting=read_waiting(session),
            in_transit=[
                (part, cost_of_travelling(session, UNATTRIBUTED, part.measures))
                for part in read_in_transit(session)
            ],
            tenants={t.tenant_id: t for t in list_tenants(session) if t.tenant_id != UNATTRIBUTED},
            hash_key=services.settings.hash_key_bytes,
            typed=typed,
            changed=changed,
            now=services.clock(),
        )
    page = render_template("mappings.html", view=view, fault=fault, failed=failed)
    return make_response(page, HTTPStatus.OK if fault is None else STATUS_OF_KIND[fault.kind])
