"""Which panels of Grafana a page shows; none where it draws its own charts."""

from dataclasses import dataclass

from flask import current_app, g

from api.embedding.frames import Frame, Span, board_url, build_frames
from api.embedding.grafana import Board, Embedding
from api.report_request import ReportRequest
from api.services import Services
from ledger.accounts.roles import Role
from ledger.period import DateRange, day_start
from ledger.tenant import Tenant


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedBoard:
    """A board in a page, and the boards that Grafana itself shows in a window of its own."""

    title: str
    frames: tuple[Frame, ...]
    links: tuple[tuple[str, str], ...] = ()


def board_of_tenant(asked: ReportRequest) -> EmbeddedBoard | None:
    """Return the tenant's board over the dates of a report; None: not now, or not at all."""
    embedding = _find_embedding()
    if embedding is None or not embedding.grafana.is_ready(asked.tenant):
        return None
    today = DateRange.last_days(1, now=asked.now, zone=asked.tenant.zone_at(asked.now))
    month = DateRange(start=today.start.replace(day=1), end=today.end)
    board = embedding.grafana.tenant_board
    return _embed(board, _span_of(asked.dates, asked.tenant), month=_span_of(month, asked.tenant))


def _span_of(dates: DateRange, tenant: Tenant) -> Span:
    start, end = day_start(dates.start, tenant), day_start(dates.end, tenant)
    return Span.between(start, end, tenant.current.timezone)


def board_of_operators(role: Role | None, days: int) -> EmbeddedBoard | None:
    """Return the board that an operator begins with, over its last dates; None as above."""
    embedding = _find_embedding()
    if embedding is None:
        return None
    grafana = embedding.grafana
    system, pipeline = grafana.system_board, grafana.pipeline_board
    span = Span.last_days(system, days)
    # What waits now is of interest in hours, whatever days of usage are looked at.
    links = ((system.title, board_url(system, span)), (pipeline.title, board_url(pipeline, None)))
    return (
        _embed(pipeline, None, links=links)
        if role is Role.OPS
        else _embed(system, span, links=links)
    )


def _find_embedding() -> Embedding | None:
    """Return what embeds, if its panels would be let through now."""
    embedding = Services.of(current_app).embedding
    if embedding is None or not embedding.keys.are_there() or not embedding.grafana.is_up():
        return None
    return embedding


def _embed(
    board: Board,
    span: Span | None,
    *,
    month: Span | None = None,
    links: tuple[tuple[str, str], ...] = (),
) -> EmbeddedBoard:
    g.embeds_frames = True
    frames = build_frames(board, span, month=month)
    return EmbeddedBoard(title=board.title, frames=frames, links=links)
