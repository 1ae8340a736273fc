"""Figures that can be zoomed, in the colours of the page (Bokeh, the extra ``report``).

The cells of a density and the bars of a histogram show their numbers when pointed at. A figure is drawn in
the colours of a light screen; its tags name the variable of the style sheet that each colour follows. The
script of the page applies the colours of the screen in use when the figure comes into view.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from astra.report.page import colours
from astra.report.summaries import Histogram, Trend, cells_for, density, steps

if TYPE_CHECKING:
    from bokeh.models import Axis
    from bokeh.plotting import figure as Figure

FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
HEIGHT = 380  # pixels

#: Ends of an axis; an end of ``None`` follows the data.
Ends = tuple[float | None, float | None]
AUTOMATIC: Ends = (None, None)


@dataclass(frozen=True)
class Embedded:
    """A figure for the templates.

    Attributes:
        name: Unique in the page.
        item: What the script of the page draws it from; plain JSON.
        space: CSS that reserves its place in the page until it is drawn.
    """

    name: str
    item: dict[str, Any]
    space: str


def embed(name: str, canvas: "Figure") -> Embedded:
    """Convert a finished figure for the templates."""
    from bokeh.embed import json_item

    ids: dict[str, str] = {}

    def renamed(part: dict[str, Any]) -> dict[str, Any]:
        # Bokeh numbers its models through the life of a process: the same figure shall give the same page.
        found = {key: part[key] for key in ("id", "root_id") if key in part}
        return part | {key: ids.setdefault(old, f"{name}-{len(ids)}") for key, old in found.items()}

    item = json.loads(json.dumps(json_item(canvas, f"plot-{name}")), object_hook=renamed)
    scaled = canvas.sizing_mode == "scale_width"
    return Embedded(
        name, item, f"aspect-ratio:{canvas.aspect_ratio:g}" if scaled else f"min-height:{canvas.height}px"
    )


# > An empty figure


def plot(
    x_label: str,
    y_label: str,
    x_range: Ends = AUTOMATIC,
    y_range: Ends = AUTOMATIC,
    *,
    height: int | None = HEIGHT,
    aspect: float | None = None,
    equal: bool = False,
) -> "Figure":
    """Axes without data.

    Args:
        x_label, y_label: Quantity and unit.
        x_range, y_range: Of the axes; the first may be the larger.
        height: In pixels; the width is that of the page.
        aspect: Width by height, instead of the height.
        equal: One scale for both axes: they are as wide as the density that is drawn, or wider.
    """
    from bokeh.plotting import figure

    size = {"height": height, "sizing_mode": "stretch_width"}
    if aspect:
        size = {"aspect_ratio": aspect, "sizing_mode": "scale_width"}
    canvas = figure(
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
    canvas.toolbar.logo = None
    for axis in canvas.axis:
        axis.axis_label_text_font = axis.major_label_text_font = FONT
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size, axis.major_label_text_font_size = "13px", "12px"
        axis.minor_tick_line_color = None
        coloured(axis, axis_line="muted", major_tick_line="muted")
        coloured(axis, axis_label_text="ink", major_label_text="ink")
    for grid in canvas.grid:
        coloured(grid, grid_line="line")
    return canvas


def _range(ends: Ends, equal: bool) -> Any:
    from bokeh.models import DataRange1d, Range1d

    first, last = ends
    if equal:
        return DataRange1d(flipped=first > last, range_padding=0.02)
    if None in ends:
        fixed = {name: end for name, end in (("start", first), ("end", last)) if end is not None}
        return DataRange1d(range_padding=0.05, **fixed)
    return Range1d(first, last)


def coloured(model: Any, **follows: str) -> None:
    """Let colours of a model follow variables of the style sheet, e.g. ``line="accent"``."""
    for name, variable in follows.items():
        setattr(model, f"{name}_color", colours()[variable])
        model.tags = [*model.tags, f"{name}_color={variable}"]


def log_ticks(
    axis: "Axis", low: float = 1e-4, high: float = 1e6, factors: Sequence[float] = (1, 2, 5)
) -> None:
    """Label an axis of decimal logarithms with the numbers themselves."""
    from bokeh.models import FixedTicker

    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    values = [factor * 10.0**decade for decade in decades for factor in factors]
    labels = {float(np.log10(x)): f"{x:,.10g}" for x in values if low * 0.999 <= x <= high * 1.001}
    axis.update(ticker=FixedTicker(ticks=list(labels)), major_label_overrides=labels)


# > What is drawn


def plot_density(
    labels: tuple[str, str],
    x: np.ndarray,
    y: np.ndarray,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    most: int,
    what: str = "stars",
    tooltips: Sequence[tuple[str, str]] = (),
    **options: Any,
) -> "tuple[Figure, int]":
    """Axes with the counts in cells of two quantities as colours, logarithmic; empty cells stay empty.

    Args:
        labels: Of the axes.
        x, y: Shape (N,).
        x_range, y_range: Of the axes and of the cells; the first may be the larger.
        most: Cells along the y axis, at most.
        what: The things that are counted.
        tooltips: What a cell shows besides its count when pointed at.
        **options: Of ``plot``; on axes of one scale cells are square.

    Returns:
        The axes, and how many of the things lie outside.
    """
    from bokeh.models import DataRange1d, HoverTool, LogColorMapper

    canvas = plot(*labels, x_range, y_range, **options)
    (x_low, x_high), (y_low, y_high) = sorted(x_range), sorted(y_range)
    width, height = x_high - x_low, y_high - y_low
    rows = cells_for(len(x), most)
    columns = round(rows * width / height) if canvas.match_aspect else rows
    cells = density(x, y, steps(x_low, x_high, columns), steps(y_low, y_high, rows))
    counts = np.where(cells.counts > 0, cells.counts, np.nan).astype(np.float32)
    highest = max(2.0, float(cells.counts.max(initial=0)))
    mapper = LogColorMapper(**_palette("density"), low=1, high=highest, nan_color="rgba(0,0,0,0)")
    image = canvas.image(image=[counts], x=x_low, y=y_low, dw=width, dh=height, color_mapper=mapper)
    for each in (canvas.x_range, canvas.y_range):
        if isinstance(each, DataRange1d):
            each.renderers = [image]
    canvas.add_tools(HoverTool(renderers=[image], tooltips=[(what, "@image{0,0}"), *tooltips]))
    ticks = [float(factor * 10**decade) for decade in range(9) for factor in (1, 2, 5)]
    ticks = [tick for tick in ticks if tick <= highest]
    _add_bar(canvas, mapper, f"{what} per cell", ticks if len(ticks) < 8 else ticks[::3], ",.0f")
    return canvas, cells.outside


def add_hexagons(
    canvas: "Figure",
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
        canvas: The axes.
        x, y, values: Shape (N,).
        cells: How many hexagons there are along each axis.
        fewest: Hexagons with fewer values are not shown.
        limit: Of the colours; they stay the same beyond it.
        what: The quantity.
    """
    from bokeh.util.hex import cartesian_to_axial
    from scipy.ndimage import median

    width, height = (float(np.ptp(each)) / number or 1.0 for each, number in zip((x, y), cells, strict=True))
    # Rows of hexagons are one and a half radii apart, and two rows make a cell.
    shape = {"size": height / 3, "orientation": "pointytop", "aspect_scale": height / np.sqrt(3) / width}
    places, hexagon, counts = np.unique(
        cartesian_to_axial(x, y, **shape), axis=1, return_inverse=True, return_counts=True
    )
    shown = np.flatnonzero(counts >= fewest)
    q, r = places[:, shown]
    source = {"q": q, "r": r, "median": np.asarray(median(values, hexagon, shown))}
    fill = {"field": "median", "transform": _deviation_colours(canvas, limit, what)}
    canvas.hex_tile("q", "r", source=source, fill_color=fill, line_color=None, **shape)


def add_points(
    canvas: "Figure", x: np.ndarray, y: np.ndarray, values: np.ndarray, limit: float, what: str
) -> None:
    """Points whose colours are values from -limit to limit; arguments as those of ``add_hexagons``."""
    fill = {"field": "value", "transform": _deviation_colours(canvas, limit, what)}
    source = {"x": x, "y": y, "value": values}
    canvas.scatter("x", "y", source=source, size=9, fill_color=fill, line_color=None)


def _deviation_colours(canvas: "Figure", limit: float, what: str) -> Any:
    """Colours of values from -limit to limit, with a bar that explains them."""
    from bokeh.models import LinearColorMapper

    mapper = LinearColorMapper(**_palette("errors"), low=-limit, high=limit)
    _add_bar(canvas, mapper, what, np.linspace(-limit, limit, 7).tolist(), ".1f")
    return mapper


def _palette(name: str) -> dict[str, Any]:
    """Arguments of a mapper whose colours are a palette of the style sheet."""
    return {"palette": colours()[name].split(","), "tags": [f"palette={name}"]}


def _add_bar(canvas: "Figure", mapper: Any, title: str, ticks: Sequence[float], form: str) -> None:
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
    canvas.add_layout(bar, "above")


def add_line(canvas: "Figure", x: np.ndarray, y: np.ndarray, colour: str, **properties: Any) -> None:
    """A line in a colour of the style sheet."""
    coloured(canvas.line(np.asarray(x), np.asarray(y), **properties).glyph, line=colour)


def add_rule(
    canvas: "Figure", colour: str, *, x: float | None = None, y: float | None = None, **properties: Any
) -> None:
    """A line across all of the axes, at an x or at a y."""
    from bokeh.models import Span

    rule = Span(location=y if x is None else x, dimension="width" if x is None else "height", **properties)
    coloured(rule, line=colour)
    canvas.add_layout(rule)


def add_running(canvas: "Figure", found: Trend, *, log_x: bool = True, log_y: bool = False) -> None:
    """Median, and 16 to 84 %, over a density.

    Args:
        canvas: The axes.
        found: Of the quantities themselves.
        log_x, log_y: Which axes have logarithms.
    """
    outer = {"line_dash": [4, 3], "line_width": 1.5}
    for values, properties in (found.low, outer), (found.high, outer), (found.median, {"line_width": 2.5}):
        shown = np.isfinite(values)
        x, y = found.x[shown], values[shown]
        x, y = np.log10(x) if log_x else x, np.log10(y) if log_y else y
        add_line(canvas, x, y, "warn", **properties)


def add_histogram(
    canvas: "Figure",
    found: Histogram,
    what: str = "stars",
    unit: str = "",
    colour: str = "accent",
    form: str = "0.[000]",
) -> None:
    """Filled bars, each of which shows its range and its count when pointed at.

    Args:
        canvas: The axes.
        found: Their heights.
        what: The things that are counted.
        unit: Of the quantity.
        colour: Of the bars.
        form: How the ends of the range are written: a pattern of Bokeh, or one of C with ``%``.
    """
    from bokeh.models import HoverTool

    source = {"left": found.edges[:-1], "right": found.edges[1:], "count": found.counts}
    bars = canvas.quad(left="left", right="right", top="count", bottom=0, source=source, fill_alpha=0.35)
    coloured(bars.glyph, fill=colour, line=colour)
    tip = [("from", f"@left{{{form}}} {unit}"), ("to", f"@right{{{form}}} {unit}"), (what, "@count{0,0}")]
    options = {"formatters": dict.fromkeys(("@left", "@right"), "printf")} if "%" in form else {}
    canvas.add_tools(HoverTool(renderers=[bars], tooltips=tip, **options))


def add_steps(canvas: "Figure", found: Histogram, colour: str, **properties: Any) -> None:
    """The outline of a histogram; with a ``legend_label``, the legend hides and shows it."""
    y = np.pad(np.repeat(found.counts, 2), 1)
    add_line(canvas, np.repeat(found.edges, 2), y, colour, line_width=2, **properties)


def finish_legend(canvas: "Figure", place: str) -> None:
    """Set place, colours and clicks of the legend, which has all its entries."""
    for legend in canvas.legend:
        legend.click_policy, legend.location = "hide", place
        legend.label_text_font, legend.label_text_font_size = FONT, "12px"
        legend.background_fill_alpha, legend.border_line_color = 0.8, None
        legend.padding, legend.spacing = 4, 1
        coloured(legend, background_fill="page", label_text="ink")


def add_text(canvas: "Figure", x: float, y: float, text: str, colour: str = "ink", **properties: Any) -> None:
    """A word within the axes."""
    from bokeh.core.properties import value

    label = canvas.text(x=[x], y=[y], text=[text], text_font=value(FONT), text_font_size="12px", **properties)
    coloured(label.glyph, text=colour)
