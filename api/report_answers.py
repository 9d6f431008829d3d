"""Turns reports into what goes over the wire."""

from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson
from flask import Response
from pydantic import BaseModel

from api import report_schemas as wire
from api.report_request import ReportRequest
from costing.reports.channels import ChannelRow
from costing.reports.features import FeatureRow
from costing.reports.figures import Figures
from costing.reports.series import SeriesPoint
from costing.reports.shares import round_percent
from costing.reports.summary import Summary, TopSpend
from costing.reports.tenant_grid import GridPage, GridQuery, GridRow
from ledger.money import Nanos, format_usd
from ledger.period import DateRange


def answer(body: BaseModel) -> Response:
    """Return a JSON response."""
    data = orjson.dumps(body.model_dump(mode="json", by_alias=True))
    return Response(data, mimetype="application/json")


def summary_answer(asked: ReportRequest, report: Summary) -> wire.SummaryAnswer:
    """Describe the cards and the channel table."""
    period = asked.tenant.period_at(asked.now)
    return wire.SummaryAnswer(
        **describe_dates(asked.dates),
        tenant=wire.TenantDescription(
            id=asked.tenant.tenant_id,
            name=asked.tenant.name,
            plan=period.plan,
            timezone=period.timezone,
        ),
        total=wire.UsageFigures(**_figures(report.total)),
        top_channel=_top(report.top_channel),
        top_feature=_top(report.top_feature),
        channels=[_channel(row) for row in report.channels],
        has_flat_rated_ai=report.has_flat_rated_ai,
        costed_at=report.freshness.costed_at,
        pending_events=report.freshness.pending_events,
    )


def series_answer(dates: DateRange, points: tuple[SeriesPoint, ...]) -> wire.SeriesAnswer:
    """Describe the daily series."""
    return wire.SeriesAnswer(
        **describe_dates(dates),
        points=[
            wire.SeriesPointAnswer(
                date=point.date, channel=point.channel, **_figures(point.figures)
            )
            for point in points
        ],
    )


def features_answer(dates: DateRange, rows: tuple[FeatureRow, ...]) -> wire.FeaturesAnswer:
    """Describe the feature table."""
    return wire.FeaturesAnswer(
        **describe_dates(dates),
        features=[
            wire.FeatureUsage(
                feature=row.feature, channel=row.channel, source=row.source, **_figures(row.figures)
            )
            for row in rows
        ],
    )


def grid_answer(query: GridQuery, page: GridPage) -> wire.GridAnswer:
    """Describe one page of the grid of tenants."""
    return wire.GridAnswer(
        page=query.page,
        page_size=query.page_size,
        total_count=page.total_count,
        tenants=[_grid_tenant(row, query.ai_threshold) for row in page.rows],
    )


def _grid_tenant(row: GridRow, threshold: Fraction) -> wire.GridTenant:
    return wire.GridTenant(
        tenant=row.tenant_id,
        name=row.name,
        is_unattributed=row.is_unattributed,
        plan=row.plan,
        closed_at=row.closed_at,
        estimated_cost=_usd(row.estimated_cost),
        has_unpriced=row.has_unpriced,
        unpriced_count=row.unpriced_count,
        ai_percent=_percent(round_percent(row.ai_share)),
        high_ai=None if row.ai_share is None else row.ai_share > threshold,
        twilio_percent=_percent(round_percent(row.twilio_share)),
        emails_sent=row.emails_sent,
        unpriced_ai_count=row.unpriced_ai_count,
        flat_rated_ai_count=row.flat_rated_ai_count,
    )


def _channel(row: ChannelRow) -> wire.ChannelUsage:
    return wire.ChannelUsage(
        channel=row.channel,
        title=row.title,
        percent=_percent(row.percent),
        **_figures(row.figures),
    )


def _top(top: TopSpend | None) -> wire.TopSpend | None:
    if top is None:
        return None
    return wire.TopSpend(name=top.name, estimated_cost=format_usd(top.estimated_cost))


def _figures(figures: Figures) -> dict[str, Any]:
    return {**asdict(figures), "estimated_cost": _usd(figures.estimated_cost)}


def describe_dates(dates: DateRange) -> dict[str, Any]:
    """Return first and last date of a range, as people name them."""
    return {"first": dates.start, "last": dates.end - timedelta(days=1)}


def _usd(amount: Nanos | None) -> str | None:
    return None if amount is None else format_usd(amount)


def _percent(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
