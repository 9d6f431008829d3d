"""Where the panels of a board are, and how large."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlencode

from api.embedding.grafana import Board, Panel

PREFIX = "/grafana"

_UNIT_PIXELS, _GAP_PIXELS = 30, 8
_FIGURE_UNITS = 5
_LAST = timedelta(milliseconds=1)

Theme = Literal["light", "dark"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """What time a board shows, as its address says it.

    Attributes:
        start: an instant in milliseconds, or relative to now as Grafana writes it.
        end: the same, and it is included.
        timezone: in whose days.
    """

    start: str
    end: str
    timezone: str

    @classmethod
    def between(cls, begin: datetime, end: datetime, timezone: str) -> "Span":
        """Return what is from an instant up to, and not including, another one."""
        # Grafana has a name of its own for this zone, and for no other.
        zone = "utc" if timezone == "UTC" else timezone
        return cls(start=_milliseconds(begin), end=_milliseconds(end - _LAST), timezone=zone)

    @classmethod
    def last_days(cls, board: Board, days: int) -> "Span":
        """Return the last dates of a board, today included."""
        found = board.last_days(days)
        return cls(start=found.start, end=found.end, timezone=board.timezone)


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A panel in a page.

    Attributes:
        light: its address for eyes that want light, `dark` for the others.
        columns: of 24.
        pixels: how high it is.
        is_small: it has a figure alone, and half the width of a telephone is enough for it.
    """

    title: str
    light: str
    dark: str
    columns: int
    pixels: int
    is_small: bool


def build_frames(
    board: Board, span: Span | None, *, month: Span | None = None
) -> tuple[Frame, ...]:
    """Return the panels of a board over a time.

    Args:
        board: whose panels.
        span: what they show; None: the time that the board begins with.
        month: what those of the month show; None: what the board says of them, which Grafana
            forgets where an address says instants.
    """
    return tuple(
        _build_frame(board, panel, month if panel.is_of_month else span) for panel in board.panels
    )


def _build_frame(board: Board, panel: Panel, span: Span | None) -> Frame:
    return Frame(
        title=panel.title,
        light=panel_url(board, panel, span, "light"),
        dark=panel_url(board, panel, span, "dark"),
        columns=panel.columns,
        pixels=panel.height * (_UNIT_PIXELS + _GAP_PIXELS) - _GAP_PIXELS,
        is_small=panel.height <= _FIGURE_UNITS,
    )


def panel_url(board: Board, panel: Panel, span: Span | None, theme: Theme) -> str:
    """Return the address of one panel.

    It names no organisation: a viewer has one, and with a token some versions of Grafana send a
    browser that names one around in a circle.
    """
    query = {"panelId": panel.id, **_span_query(span), "theme": theme}
    return f"{PREFIX}/d-solo/{board.uid}?{urlencode(query)}"


def board_url(board: Board, span: Span | None) -> str:
    """Return the address of a whole board in Grafana itself."""
    return f"{PREFIX}/d/{board.uid}?{urlencode(_span_query(span))}".rstrip("?")


def _span_query(span: Span | None) -> dict[str, str]:
    if span is None:
        return {}
    return {"from": span.start, "to": span.end, "timezone": span.timezone}


def _milliseconds(instant: datetime) -> str:
    return str(round(instant.timestamp() * 1000))
