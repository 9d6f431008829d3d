"""`GET /api/billing/usage/…`: what the caller's own tenant used and what it costs."""

from collections.abc import Generator, Iterator
from datetime import timedelta
from typing import Any

from flask import Response
from flask_openapi.blueprint import APIBlueprint

from api.auth.policy import require_role
from api.auth.schemes import API_KEY, HOST_TOKEN, SIGN_IN
from api.errors import PROBLEM_RESPONSE
from api.parameters import AS_REPORTED, FROM, RANGE, TO
from api.report_answers import answer, features_answer, series_answer, summary_answer
from api.report_request import ReportRequest, open_report
from api.report_schemas import FeaturesAnswer, SeriesAnswer, SummaryAnswer
from api.streaming import Stream
from costing.export import ExportLine, read_export, write_csv_parts
from costing.reported import read_reported
from costing.reports.features import features
from costing.reports.series import series
from costing.reports.summary import summary
from ledger.accounts.roles import Role
from ledger.keys import Scope

blueprint = APIBlueprint("billing", __name__, abp_security=[API_KEY, HOST_TOKEN, SIGN_IN])

may_see_billing = require_role(Role.TENANT_ADMIN, scope=Scope.READ)

_PARAMETERS: dict[str, Any] = {"parameters": [RANGE, FROM, TO]}
_PROBLEMS: dict[str | int, Any] = {
    "400": {"description": "A parameter or a range that cannot be read", **PROBLEM_RESPONSE},
    "401": {"description": "No valid credential", **PROBLEM_RESPONSE},
    "403": {
        "description": "A credential without this role or scope, or no tenant",
        **PROBLEM_RESPONSE,
    },
    "404": {"description": "The tenant of the credential is not registered", **PROBLEM_RESPONSE},
    "503": {"description": "The ledger does not answer; ask again", **PROBLEM_RESPONSE},
}
_CSV: dict[str, Any] = {
    "description": "The columns date, channel, direction, source, feature, count, estimated_cost;"
    " an empty cost is unpriced",
    "content": {"text/csv": {"schema": {"type": "string"}}},
}


@blueprint.get(
    "/api/billing/usage/summary",
    summary="Totals, tops and channels of a range",
    responses={"200": SummaryAnswer, **_PROBLEMS},
    openapi_extensions=_PARAMETERS,
)
@may_see_billing
def get_summary() -> Response:
    """Return what the usage page shows in its cards and its channel table."""
    with open_report() as asked:
        return answer(summary_answer(asked, summary(asked.session, asked.dates)))


@blueprint.get(
    "/api/billing/usage/series",
    summary="Usage by local date and channel",
    responses={"200": SeriesAnswer, **_PROBLEMS},
    openapi_extensions=_PARAMETERS,
)
@may_see_billing
def get_series() -> Response:
    """Return what the bars of the usage page show."""
    with open_report() as asked:
        return answer(series_answer(asked.dates, series(asked.session, asked.dates)))


@blueprint.get(
    "/api/billing/usage/features",
    summary="Usage by feature, channel and source",
    responses={"200": FeaturesAnswer, **_PROBLEMS},
    openapi_extensions=_PARAMETERS,
)
@may_see_billing
def get_features() -> Response:
    """Return what the feature table of the usage page shows."""
    with open_report() as asked:
        return answer(features_answer(asked.dates, features(asked.session, asked.dates)))


@blueprint.get(
    "/api/billing/usage/export",
    summary="Usage by local date as CSV",
    responses={"200": _CSV, **_PROBLEMS},
    openapi_extensions={"parameters": [RANGE, FROM, TO, AS_REPORTED]},
)
@may_see_billing
def get_export() -> Response:
    """Return a line for each date, channel, direction, source and feature, read from the rollups.

    It is sent while it is read, from one snapshot. Priced and unpriced usage of one group are two
    lines, so that the columns sum to the figures of the summary.
    """
    export = _Export()
    stream = Stream(export.parts())
    return Response(
        stream,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{export.filename}"'},
    )


class _Export:
    """The text of an export, and the file name that is known once the first one is made."""

    filename = ""

    def parts(self) -> Generator[str]:
        with open_report(may_look_back=True) as asked:
            self.filename = _filename(asked)
            yield from write_csv_parts(_lines(asked))


def _lines(asked: ReportRequest) -> Iterator[ExportLine]:
    if asked.as_reported is None:
        return read_export(asked.session, asked.dates)
    return read_reported(
        asked.session, asked.tenant, asked.dates, known_on=asked.as_reported, now=asked.now
    )


def _filename(asked: ReportRequest) -> str:
    last = asked.dates.end - timedelta(days=1)
    name = f"usage-{asked.tenant.tenant_id}-{asked.dates.start}-{last}"
    known = "" if asked.as_reported is None else f"-as-reported-{asked.as_reported}"
    return f"{name}{known}.csv"
