"""Figures that can be zoomed and asked for their numbers, in the colours of the page (Bokeh).

A figure is drawn in the colours of a light screen. Its tags say which variable of the style sheet each colour
follows; the script of the page applies those of the screen in use, when the figure comes into view.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from astra.report.colours import LIGHT
from astra.report.summaries import Density, Histogram, Running

if TYPE_CHECKING:
    from bokeh.models import Axis
    from bokeh.plotting import figure as Figure

FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
HEIGHT = 380

#: Ends of an axis; those of an automatic one follow what is drawn.
Span = tuple[float | None, float | None]
AUTOMATIC: Span = (None, None)


@dataclass(frozen=True)
class Embedded:
    """A figure as the templates take it.

    Attributes:
        name: Unique in the page.
        item: What the script of the page draws it from; plain JSON.
        room: How much of the page to keep free until then; CSS.
    """

    name: str
    item: dict[str, Any]
    room: str


def embed(name: str, drawn: "Figure") -> Embedded:
    """Make a figure part of a page, once all of it is drawn."""
    from bokeh.embed import json_item

    scaled = drawn.sizing_mode == "scale_width"
    room = f"aspect-ratio:{drawn.aspect_ratio:g}" if scaled else f"min-height:{drawn.height}px"
    return Embedded(name, _numbered(json_item(drawn, f"plot-{name}"), name, {}), room)


def _numbered(part: Any, name: str, seen: dict[str, str]) -> Any:
    """Names of models that depend on nothing drawn before: Bokeh counts on as long as a process lives."""
    if isinstance(part, list):
        return [_numbered(each, name, seen) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: seen.setdefault(value, f"{name}-{len(seen)}")
        if key in ("id", "root_id")
        else _numbered(value, name, seen)
        for key, value in part.items()
    }


# > An empty figure


def plot(
    x_label: str,
    y_label: str,
    x_range: Span = AUTOMATIC,
    y_range: Span = AUTOMATIC,
    *,
    height: int | None = HEIGHT,
    aspect: float | None = None,
    equal: bool = False,
) -> "Figure":
    """Axes without anything between them.

    Args:
        x_label, y_label: Quantity and unit.
        x_range, y_range: Of the axes; the first may be the larger, and ``None`` follows what is drawn.
        height: In pixels; the width is that of the page.
        aspect: Width by height, instead of the height.
        equal: One scale for both axes: they are as wide as the density that is drawn, or wider.
    """
    from bokeh.plotting import figure

    size = {"height": height, "sizing_mode": "stretch_width"}
    if aspect:
        size = {"aspect_ratio": aspect, "sizing_mode": "scale_width"}
    drawn = figure(
        x_range=_range(x_range, equal),
        y_range=_range(y_range, equal),
        match_aspect=equal,
        x_axis_label=x_label,
        y_axis_label=y_label,
        tools="box_zoom,pan,wheel_zoom,reset,save",
        active_drag=None,
        active_scroll=None,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_right=14,
        **size,
    )
    return _styled(drawn)


def _range(span: Span, equal: bool) -> Any:
    from bokeh.models import DataRange1d, Range1d

    first, last = span
    if equal:
        return DataRange1d(flipped=first > last, range_padding=0.02)
    if None in span:
        given = {name: end for name, end in (("start", first), ("end", last)) if end is not None}
        return DataRange1d(range_padding=0.05, **given)
    return Range1d(first, last)


def _styled(drawn: "Figure") -> "Figure":
    drawn.toolbar.logo = None
    for axis in drawn.axis:
        axis.axis_label_text_font = axis.major_label_text_font = FONT
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size, axis.major_label_text_font_size = "13px", "12px"
        axis.minor_tick_line_color = None
        coloured(axis, axis_line="muted", major_tick_line="muted")
        coloured(axis, axis_label_text="ink", major_label_text="ink")
    for grid in drawn.grid:
        coloured(grid, grid_line="line")
    return drawn


def coloured(model: Any, **follows: str) -> None:
    """Let colours of a model follow variables of the style sheet, e.g. ``line="accent"``."""
    for name, variable in follows.items():
        setattr(model, f"{name}_color", LIGHT[variable])
        model.tags = [*model.tags, f"{name}_color={variable}"]


def log_ticks(
    axis: "Axis", low: float = 1e-4, high: float = 1e6, factors: Sequence[float] = (1, 2, 5)
) -> None:
    """Label an axis of decimal logarithms with the numbers themselves."""
    from bokeh.models import FixedTicker

    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    values = [factor * 10.0**decade for decade in decades for factor in factors]
    shown = [value for value in values if low * 0.999 <= value <= high * 1.001]
    ticks = [float(np.log10(value)) for value in shown]
    axis.ticker = FixedTicker(ticks=ticks)
    axis.major_label_overrides = {tick: f"{value:,.10g}" for tick, value in zip(ticks, shown, strict=True)}


# > What is drawn


def add_density(
    drawn: "Figure", cells: Density, what: str = "stars", tooltips: Sequence[tuple[str, str]] = ()
) -> None:
    """Counts as colours, logarithmic; empty cells stay empty."""
    from bokeh.models import DataRange1d, HoverTool, LogColorMapper

    counts = np.where(cells.counts > 0, cells.counts, np.nan).astype(np.float32)
    highest = max(2.0, float(cells.counts.max(initial=0)))
    mapper = LogColorMapper(
        palette=LIGHT["density"].split(","), low=1, high=highest, nan_color="rgba(0,0,0,0)"
    )
    mapper.tags = ["palette=density"]
    (x_low, x_high), (y_low, y_high) = cells.x_edges[[0, -1]], cells.y_edges[[0, -1]]
    image = drawn.image(
        image=[counts], x=x_low, y=y_low, dw=x_high - x_low, dh=y_high - y_low, color_mapper=mapper
    )
    for each in (drawn.x_range, drawn.y_range):
        if isinstance(each, DataRange1d):
            each.renderers = [image]
    drawn.add_tools(HoverTool(renderers=[image], tooltips=[(what, "@image{0,0}"), *tooltips]))
    ticks = [float(factor * 10**decade) for decade in range(9) for factor in (1, 2, 5)]
    ticks = [tick for tick in ticks if tick <= highest]
    _add_bar(drawn, mapper, f"{what} per cell", ticks if len(ticks) < 8 else ticks[::3], ",.0f")


def _add_bar(drawn: "Figure", mapper: Any, title: str, ticks: Sequence[float], form: str) -> None:
    from bokeh.models import ColorBar, FixedTicker

    bar = ColorBar(
        color_mapper=mapper,
        title=title,
        height=8,
        padding=4,
        ticker=FixedTicker(ticks=ticks),
        major_label_overrides={tick: format(tick, form).replace("-", "−") for tick in ticks},
        background_fill_color=None,
        bar_line_color=None,
        major_tick_line_color=None,
        title_text_font=FONT,
        title_text_font_style="normal",
        title_text_font_size="12px",
        major_label_text_font=FONT,
        major_label_text_font_size="11px",
    )
    coloured(bar, title_text="muted", major_label_text="muted")
    drawn.add_layout(bar, "above")


def add_hexagons(
    drawn: "Figure",
    x: np.ndarray,
    y: np.ndarray,
    values: np.ndarray,
    cells: tuple[int, int],
    fewest: int,
    limit: float,
    what: str,
) -> None:
    """Medians in hexagons as colours, from -limit to limit.

    Args:
        drawn: The axes.
        x, y, values: Shape (N,).
        cells: How many hexagons there are along each axis.
        fewest: Values in a hexagon that is shown.
        limit: Of the colours; beyond it they stay the same.
        what: The quantity.
    """
    from bokeh.models import LinearColorMapper
    from bokeh.util.hex import cartesian_to_axial

    width, height = (float(np.ptp(each)) / number or 1.0 for each, number in zip((x, y), cells, strict=True))
    # Rows of hexagons are one and a half radii apart, and two rows make a cell.
    shape = {"size": height / 3, "orientation": "pointytop", "aspect_scale": height / np.sqrt(3) / width}
    places, number = np.unique(cartesian_to_axial(x, y, **shape), axis=1, return_inverse=True)
    medians = np.array([np.median(values[number == place]) for place in range(places.shape[1])])
    shown = np.bincount(number) >= fewest
    mapper = LinearColorMapper(palette=LIGHT["errors"].split(","), low=-limit, high=limit)
    mapper.tags = ["palette=errors"]
    q, r = places[:, shown]
    source = {"q": q, "r": r, "median": medians[shown]}
    drawn.hex_tile(
        "q", "r", source=source, fill_color={"field": "median", "transform": mapper}, line_color=None, **shape
    )
    _add_bar(drawn, mapper, what, [float(tick) for tick in np.linspace(-limit, limit, 7)], ".1f")


def add_line(drawn: "Figure", x: np.ndarray, y: np.ndarray, colour: str, **properties: Any) -> Any:
    """A line in a colour of the style sheet."""
    line = drawn.line(np.asarray(x), np.asarray(y), **properties)
    coloured(line.glyph, line=colour)
    return line


def add_rule(
    drawn: "Figure", colour: str, *, x: float | None = None, y: float | None = None, **properties: Any
) -> None:
    """A line across all of the axes, at an x or at a y."""
    from bokeh.models import Span

    rule = Span(location=y if x is None else x, dimension="width" if x is None else "height", **properties)
    coloured(rule, line=colour)
    drawn.add_layout(rule)


def add_running(drawn: "Figure", found: Running, *, log_x: bool = False, log_y: bool = False) -> None:
    """Median, and 16 to 84 %, over a density."""
    x = np.log10(found.middle) if log_x else found.middle
    for values, properties in (
        (found.low, {"line_dash": [4, 3], "line_width": 1.5}),
        (found.high, {"line_dash": [4, 3], "line_width": 1.5}),
        (found.median, {"line_width": 2.5}),
    ):
        shown = np.isfinite(values)
        y = np.log10(values[shown]) if log_y else values[shown]
        add_line(drawn, x[shown], y, "warn", **properties)


def add_histogram(
    drawn: "Figure", found: Histogram, what: str = "stars", unit: str = "", colour: str = "accent"
) -> None:
    """Filled bars, each of which says its range and its count when pointed at."""
    from bokeh.models import ColumnDataSource, HoverTool

    columns = {
        "left": found.edges[:-1],
        "right": found.edges[1:],
        "count": found.counts,
    }
    bars = drawn.quad(
        left="left", right="right", top="count", bottom=0, source=ColumnDataSource(columns), fill_alpha=0.35
    )
    coloured(bars.glyph, fill=colour, line=colour)
    tip = [("from", f"@left{{0.[000]}} {unit}"), ("to", f"@right{{0.[000]}} {unit}"), (what, "@count{0,0}")]
    drawn.add_tools(HoverTool(renderers=[bars], tooltips=tip))


def add_steps(drawn: "Figure", found: Histogram, colour: str, name: str) -> None:
    """An outline of a histogram with an entry in the legend, which hides and shows it."""
    x = np.repeat(found.edges, 2)
    y = np.concatenate([[0], np.repeat(found.counts, 2), [0]])
    add_line(drawn, x, y, colour, line_width=2, legend_label=name)


def finish_legend(drawn: "Figure", place: str = "top_right") -> None:
    """Colours of the legend, and what a click on it does; after all that it names."""
    for legend in drawn.legend:
        legend.click_policy = "hide"
        legend.location = place
        legend.label_text_font, legend.label_text_font_size = FONT, "12px"
        legend.background_fill_alpha, legend.border_line_color = 0.8, None
        legend.padding, legend.spacing = 4, 1
        coloured(legend, background_fill="page", label_text="ink")


def add_text(drawn: "Figure", x: float, y: float, text: str, colour: str = "ink", **properties: Any) -> None:
    """A word within the axes."""
    from bokeh.core.properties import value

    label = drawn.text(x=[x], y=[y], text=[text], text_font=value(FONT), text_font_size="12px", **properties)
    coloured(label.glyph, text=colour)
