"""Figures of several panels, and what many of them show: points, lines of classes, running quantiles."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from astra.modelling.training.report.data import Report, name_of, running
from astra.report.figures import (
    AUTOMATIC,
    Embedded,
    Ends,
    add_line,
    add_rule,
    coloured,
    embed,
    log_ticks,
    plot,
)
from astra.report.summaries import Trend

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

R = "r = d / d_true − 1"

_BY_CLASS = {"rgb": 1, "red_clump": 2, "subgiant": 3, "dwarf": 4, "m_dwarf": 5, "hot": 6, "young": 7}

#: Of a legend: a colour of the style sheet, how a mark of it looks, and what it means.
Entry = tuple[str, str, str]
DOT, LINE, DASHES, DOTS = "●", "━", "╍", "┅"
RESIDUALS = [("point", DOT, "not flagged"), ("flagged", DOT, "flagged"), ("ink", LINE, "median, 16–84 %")]


@dataclass(frozen=True)
class Panels:
    """One figure of the page.

    Attributes:
        alt: What it shows, in words.
        panels: Their titles, and what is drawn.
        legend: Of all panels.
        columns: How many panels stand side by side.
    """

    alt: str
    panels: list[tuple[str, Embedded]]
    legend: list[Entry]
    columns: int


def side_by_side(
    name: str, alt: str, drawn: "Sequence[tuple[str, Figure]]", legend: Sequence[Entry] = (), columns: int = 3
) -> Panels:
    """Put panels with their titles into one figure; its name is unique in the page."""
    embedded = []
    for place, (title, canvas) in enumerate(drawn):
        _fix_empty(canvas)
        embedded.append((title, embed(f"{name}-{place}", canvas)))
    return Panels(alt, embedded, list(legend), min(columns, len(embedded)))


def _fix_empty(canvas: "Figure") -> None:
    """Give axes that nothing is drawn between some range: an automatic one would have nothing to follow."""
    from bokeh.models import DataRange1d, Range1d

    for renderer in canvas.renderers:
        columns = np.stack([np.asarray(column, float) for column in renderer.data_source.data.values()])
        if np.isfinite(columns).all(axis=0).any():
            return
    for name in ("x_range", "y_range"):
        if isinstance(getattr(canvas, name), DataRange1d):
            setattr(canvas, name, Range1d(0, 1))


def colour_of(kind: str) -> str:
    """The colour of a class; that of the text for all others."""
    return f"class-{_BY_CLASS[kind]}" if kind in _BY_CLASS else "ink"


def class_legend(kinds: Iterable[str]) -> list[Entry]:
    """Entries for lines of these classes."""
    return [(colour_of(kind), LINE, name_of(kind)) for kind in kinds]


def log10(values: np.ndarray) -> np.ndarray:
    """Where positive values stand on a logarithmic axis; NaN for others."""
    values = np.asarray(values, float)
    return np.log10(np.where(values > 0, values, np.nan))


def reach(values: np.ndarray) -> tuple[float, float]:
    """The range of an axis on which all of these values are."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return AUTOMATIC
    low, high = float(finite.min()), float(finite.max())
    margin = 0.05 * (high - low) or 0.1
    return low - margin, high + margin


# > What is drawn


def add_points(canvas: "Figure", x: np.ndarray, y: np.ndarray, flagged: np.ndarray) -> None:
    """A cloud of points; flagged ones in their own colour, beneath."""
    # The more points, the less each of them counts.
    thin = 1 / np.sqrt(max(1, len(x)))
    alpha, size = float(np.clip(12 * thin, 0.15, 0.7)), float(np.clip(25 * np.sqrt(thin), 3, 5))
    for rows, colour in ((flagged, "flagged"), (~flagged, "point")):
        cloud = canvas.scatter(
            x[rows].astype(np.float32), y[rows].astype(np.float32), size=size, alpha=alpha, line_color=None
        )
        coloured(cloud.glyph, fill=colour)


def add_band(canvas: "Figure", x: np.ndarray, trend: Trend, colour: str, alpha: float) -> None:
    """The middle 68 per cent of a trend; ``x`` is where it stands on the axis."""
    coloured(canvas.varea(x, trend.low, trend.high, fill_alpha=alpha).glyph, fill=colour)


def add_dotted(canvas: "Figure", x: np.ndarray, y: np.ndarray, colour: str, size: float = 4.5) -> None:
    """A thin line with a dot at each of its points."""
    add_line(canvas, x, y, colour, line_width=1.4)
    add_dots(canvas, x, y, colour, size)


def add_dots(canvas: "Figure", x: Any, y: Any, colour: str, size: float) -> None:
    """Dots in a colour of the style sheet."""
    coloured(canvas.scatter(np.asarray(x), np.asarray(y), size=size, line_color=None).glyph, fill=colour)


def residuals(
    x_label: str,
    x: np.ndarray,
    report: Report,
    limit: float,
    *,
    x_range: Ends = AUTOMATIC,
    log: bool = False,
    height: int = 260,
) -> "Figure":
    """r as points, those beyond the limits at the edge; running median and 16-84 % of all."""
    r = report.r
    place = log10 if log else np.asarray
    canvas = plot(x_label, R, x_range, (-1.04 * limit, 1.04 * limit), height=height)
    seen = np.isfinite(place(x)) & np.isfinite(r)
    trend = running(x, r)
    add_band(canvas, place(trend.x), trend, "ink", 0.12)
    add_points(canvas, place(x)[seen], np.clip(r[seen], -limit, limit), report.flagged[seen])
    for values, width in ((trend.low, 0.9), (trend.high, 0.9), (trend.median, 1.9)):
        add_line(canvas, place(trend.x), values, "ink", line_width=width)
    add_rule(canvas, "muted", y=0)
    if log:
        log_ticks(canvas.xaxis[0])
    return canvas
