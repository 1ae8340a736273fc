"""Figures that can be zoomed, in the colours of the page (Bokeh, the extra ``report``).

The cells of a density and the bars of a histogram show their numbers when pointed at. A figure is drawn in
the colours of a light screen; its tags name the variable of the style sheet that each colour follows. The
script of the page applies the colours of the screen in use when the figure comes into view.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from astra.report.page import colours, short
from astra.report.summaries import Histogram, LeftOut, Trend, cells_for, density, steps, within

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
        min_border_top=8,
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
    """Label an axis of decimal logarithms with the numbers themselves; a narrow one with more of them."""
    from bokeh.models import FixedTicker, NoOverlap

    if high < _NARROW * low:
        factors = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    values = [factor * 10.0**decade for decade in decades for factor in factors]
    labels = {float(np.log10(x)): f"{x:,.10g}" for x in values if low * 0.999 <= x <= high * 1.001}
    axis.update(
        ticker=FixedTicker(ticks=list(labels)),
        major_label_overrides=labels,
        major_label_policy=NoOverlap(min_distance=6),
    )


# > What is drawn


# An axis of logarithms over less than this factor has more labels.
_NARROW = 8

#: So many things are drawn as points; more are counted in cells.
MOST_POINTS = 5000

#: Of a figure with points: what it calls some of them, which they are, and their colour.
Group = tuple[str, np.ndarray, str]

#: What a point shows when pointed at: columns that the script of the page adds from its table of stars.
STAR_TIPS = (
    ("", "@name"),
    ("distance", "@dist"),
    ("M_Ks", "@m_ks"),
    ("S/N", "@snr"),
    ("pull", "@pull"),
    ("", "@flags"),
)

#: The tag of a source whose column ``star`` holds places in the table of stars of the page.
OF_STARS = "stars"


class Pointed:
    """The results that the figures of a page show as points: the page says of each once what is known of it.

    Attributes:
        listed: The indices of those that are marked in densities as well.
        shown: The indices of all that are drawn.
    """

    def __init__(self, listed: Iterable[int] = ()) -> None:
        self.listed = np.array(sorted(listed), np.int64)
        self.shown: set[int] = set(self.listed.tolist())


def plot_cloud(
    labels: tuple[str, str],
    x: np.ndarray,
    y: np.ndarray,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    most: int,
    *,
    pointed: Pointed | None = None,
    index: np.ndarray | None = None,
    groups: Sequence[Group] = (),
    what: str = "stars",
    **options: Any,
) -> "tuple[Figure, LeftOut]":
    """Axes with each thing as a point, or with a density of more than ``MOST_POINTS``.

    Args:
        labels: Of the axes.
        x, y: Shape (N,).
        x_range, y_range: Of the axes; the first may be the larger.
        most: Cells of a density along the y axis, at most.
        pointed: Of the page, if points can be hovered and clicked.
        index: The rows that the points are of, shape (N,).
        groups: Colours of some of them, in the order in which they are drawn; else all have one.
        what: The things.
        **options: Of ``plot_density``.
    """
    left_out = LeftOut.of(x, y, x_range, y_range)
    inside = within(x, y, x_range, y_range)
    if len(x) > MOST_POINTS:
        canvas, _ = plot_density(labels, x, y, x_range, y_range, most, what, **options)
        if pointed is not None and index is not None:
            marked = inside & np.isin(index, pointed.listed)
            add_stars(canvas, [("", marked, "warn")], x, y, pointed, index, hollow=True)
        return canvas, left_out
    options.pop("tooltips", None)
    canvas = plot(*labels, x_range, y_range, **options)
    if canvas.match_aspect:
        _keep_in_view(canvas, x_range, y_range)
    drawn = [(name, inside & chosen, colour) for name, chosen, colour in groups]
    add_stars(canvas, drawn or [("", inside, "point")], x, y, pointed, index)
    return canvas, left_out


def _keep_in_view(canvas: "Figure", x_range: tuple[float, float], y_range: tuple[float, float]) -> None:
    """Let axes of one scale show these ranges, whatever is drawn."""
    (left, right), (bottom, top) = sorted(x_range), sorted(y_range)
    frame = canvas.quad(left=left, right=right, bottom=bottom, top=top, fill_alpha=0, line_alpha=0)
    canvas.x_range.renderers = canvas.y_range.renderers = [frame]


def add_stars(
    canvas: "Figure",
    groups: Sequence[Group],
    x: np.ndarray,
    y: np.ndarray,
    pointed: Pointed | None,
    index: np.ndarray | None,
    *,
    hollow: bool = False,
) -> None:
    """Points in groups of a colour each, with a legend above the axes that hides and shows them.

    Args:
        canvas: The axes.
        groups: Their names, which points they are of, and their colours.
        x, y: Shape (N,).
        pointed: Of the page, if points can be hovered and clicked.
        index: The rows that the points are of, shape (N,).
        hollow: Whether they are circles, as they are over a density.
    """
    from bokeh.models import Legend, Scatter

    number = sum(int(chosen.sum()) for _, chosen, _ in groups)
    size = 9 if number < 100 or hollow else 6 if number < 1000 else 4
    alpha = 0 if hollow else 0.8 if number < 1000 else 0.5
    renderers, names = [], []
    for name, chosen, colour in groups:
        if not chosen.any():
            continue
        data = {"x": x[chosen].astype(np.float32), "y": y[chosen].astype(np.float32)}
        if index is not None:
            data["star"] = index[chosen].astype(np.int32)
        # The selected one has a ring; the others stay as they are.
        points = canvas.scatter(
            "x", "y", source=data, size=size, fill_alpha=alpha, line_width=1.2 if hollow else 0
        )
        coloured(points.glyph, fill=colour, line=colour)
        ring = Scatter(x="x", y="y", size=size + 9, fill_alpha=alpha, line_width=3)
        coloured(ring, fill=colour, line="ink")
        points.update(selection_glyph=ring, nonselection_glyph=None)
        renderers.append(points)
        names.append((name, [points]))
    if pointed is not None and index is not None and renderers:
        for points in renderers:
            points.data_source.tags = [OF_STARS]
        for _, chosen, _ in groups:
            pointed.shown.update(index[chosen].tolist())
        _let_choose(canvas, renderers)
    if any(name for name, _ in names):
        canvas.add_layout(Legend(items=names), "above")
        legend_above(canvas)


def _let_choose(canvas: "Figure", renderers: list[Any]) -> None:
    from bokeh.models import HoverTool, TapTool

    canvas.add_tools(HoverTool(renderers=renderers, tooltips=list(STAR_TIPS), limit=3, visible=False))
    canvas.add_tools(TapTool(renderers=renderers, visible=False))


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


def add_stars_coloured(
    canvas: "Figure",
    x: np.ndarray,
    y: np.ndarray,
    values: np.ndarray,
    limit: float,
    what: str,
    pointed: Pointed,
    index: np.ndarray,
) -> None:
    """Points of stars, which can be hovered and clicked, whose colours are values from -limit to limit."""
    mapper = _deviation_colours(canvas, limit, what)
    add_stars(canvas, [("", np.ones(len(x), bool), "ink")], x, y, pointed, index)
    (points,) = (each for each in canvas.renderers if OF_STARS in each.data_source.tags)
    points.data_source.data["value"] = values.astype(np.float32)
    for glyph in (points.glyph, points.selection_glyph):
        glyph.update(fill_color={"field": "value", "transform": mapper}, line_color=None)
        glyph.tags = []
    coloured(points.selection_glyph, line="ink")


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


def add_running(canvas: "Figure", found: Trend, *, log_x: bool = True, log_y: bool = False) -> bool:
    """Median, and 16 to 84 %, over points or a density, if there are at least two bins of them.

    Args:
        canvas: The axes.
        found: Of the quantities themselves.
        log_x, log_y: Which axes have logarithms.

    Returns:
        Whether there are.
    """
    if np.isfinite(found.median).sum() < 2:
        return False
    outer = {"line_dash": [4, 3], "line_width": 1.5}
    for values, properties in (found.low, outer), (found.high, outer), (found.median, {"line_width": 2.5}):
        shown = np.isfinite(values)
        x, y = found.x[shown], values[shown]
        x, y = np.log10(x) if log_x else x, np.log10(y) if log_y else y
        add_line(canvas, x, y, "warn", **properties)
    return True


def add_histogram(
    canvas: "Figure",
    found: Histogram,
    what: str = "stars",
    unit: str = "",
    colour: str = "accent",
    form: str = "0.[000]",
    *,
    powers: bool = False,
) -> None:
    """Filled bars, each of which shows its range and its count when pointed at.

    Args:
        canvas: The axes.
        found: Their heights.
        what: The things that are counted.
        unit: Of the quantity.
        colour: Of the bars.
        form: How the ends of the range are written: a pattern of Bokeh, or one of C with ``%``.
        powers: The edges are decimal logarithms: the ends are written as the numbers themselves.
    """
    from bokeh.models import HoverTool

    source = {"left": found.edges[:-1], "right": found.edges[1:], "count": found.counts}
    source |= {"from": found.edges[:-1], "to": found.edges[1:]}
    if powers:
        source |= {name: [short(10**edge) for edge in source[name]] for name in ("from", "to")}
        form = ""
    form = form and f"{{{form}}}"
    bars = canvas.quad(left="left", right="right", top="count", bottom=0, source=source, fill_alpha=0.35)
    coloured(bars.glyph, fill=colour, line=colour)
    tip = [("from", f"@from{form} {unit}"), ("to", f"@to{form} {unit}"), (what, "@count{0,0}")]
    options = {"formatters": dict.fromkeys(("@from", "@to"), "printf")} if "%" in form else {}
    canvas.add_tools(HoverTool(renderers=[bars], tooltips=tip, **options))


def add_shares(
    canvas: "Figure",
    edges: np.ndarray,
    ends: Sequence[str],
    spectra: np.ndarray,
    shares: Mapping[str, np.ndarray],
) -> None:
    """Bars of shares [%], one in front of the other, with their numbers when pointed at.

    Args:
        canvas: The axes.
        edges: Of the bins on the axis, shape (bins + 1,).
        ends: The same in words.
        spectra: In each bin, shape (bins,).
        shares: By what they are of; each but the first is of some of those of the one before.
    """
    from bokeh.models import HoverTool

    source = {"left": edges[:-1], "right": edges[1:], "from": ends[:-1], "to": ends[1:], "spectra": spectra}
    source |= {name: 100 * values for name, values in shares.items()}
    bars = []
    for place, name in enumerate(shares):
        bars.append(
            canvas.quad(
                left="left",
                right="right",
                top=name,
                bottom=0,
                source=source,
                fill_alpha=0.3 + 0.4 * place,
                legend_label=f"{name} ",
            )
        )
        coloured(bars[-1].glyph, fill="accent", line="page")
    tips = [("from", "@from"), ("to", "@to"), ("spectra", "@spectra{0,0}")]
    tips += [(name, f"@{name}{{0.0}} %") for name in shares]
    canvas.add_tools(HoverTool(renderers=bars[:1], tooltips=tips))
    legend_above(canvas)


def add_steps(canvas: "Figure", found: Histogram, colour: str, **properties: Any) -> None:
    """The outline of a histogram; with a ``legend_label``, the legend hides and shows it."""
    y = np.pad(np.repeat(found.counts, 2), 1)
    add_line(canvas, np.repeat(found.edges, 2), y, colour, line_width=2, **properties)


def legend_above(canvas: "Figure") -> None:
    """Put the legend above the axes, where it covers nothing."""
    for legend in canvas.legend:
        legend.orientation, legend.ncols = "horizontal", 3
        if legend in canvas.center:
            canvas.center.remove(legend)
            canvas.add_layout(legend, "above")
    finish_legend(canvas, "top_left")


def name_rows(canvas: "Figure", names: Sequence[str]) -> None:
    """Write names along the y axis, at 0, 1, 2 and so on; on a phone there is no room for them."""
    from bokeh.models import FixedTicker

    axis = canvas.yaxis[0]
    axis.update(
        ticker=FixedTicker(ticks=list(range(len(names)))),
        major_label_overrides=dict(enumerate(names)),
        major_label_text_font_size="11px",
        major_tick_line_color=None,
        tags=[*axis.tags, "wide-only"],
    )


def add_bars(canvas: "Figure", y: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> None:
    """Bars of errors along an x axis of decimal logarithms.

    Args:
        canvas: The axes.
        y: Shape (N,).
        low, high: Their ends, shape (N,), above 0.
        colour: Of the style sheet.
    """
    bars = canvas.segment(x0=np.log10(low), x1=np.log10(high), y0=y, y1=y, line_width=2)
    coloured(bars.glyph, line=colour)


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

    options = {"text_font": value(FONT), "text_font_size": "12px", "background_fill_alpha": 0.7}
    label = canvas.text(x=[x], y=[y], text=[text], **options, **properties)
    coloured(label.glyph, text=colour, background_fill="page")
