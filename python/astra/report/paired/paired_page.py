"""The page of a comparison: what changed, for whom, where, and whether Gaia likes it better."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astra.report import figures
from astra.report.page import Section, macros, number, page
from astra.report.paired.comparing import Comparison
from astra.report.paired.differences import ColumnDifference, percentiles
from astra.report.paired.distance_changes import DistanceChanges
from astra.report.paired.wording import Table, difference, in_sentences, tables
from astra.report.population import add_graticule, mollweide
from astra.report.result_arrays import CLASSES
from astra.report.star_page import NUMBERS_REMAIN
from astra.report.summaries import ends_of, histogram, log_steps, running, steps, summary
from astra.system.atomic import output_file

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

TEMPLATE = "astra.report.paired/paired.html"

#: Up to so many spectra are drawn as points, more as a density.
MOST_POINTS = 2000

#: Columns whose differences are drawn, of another task than the distances.
MOST_DRAWN = 24

_CELLS, _BINS = 120, 14
_HEIGHT = 320  # pixels
_PANEL_HEIGHT = 240  # pixels

#: Hexagons of the map along each axis, and the fewest spectra of one that is shown, for more than so many
#: spectra; fewer than in any of these are drawn as points.
_MAPS = ((20_000, (60, 30), 5), (2000, (36, 18), 3), (300, (24, 12), 2))

#: The least range of changes that is shown [%].
_LEAST = 1.0

_PULL_EDGES = steps(-6, 6, 48)


def paired_page(found: Comparison) -> str:
    """The HTML document."""
    return page(
        f"astra: trial {found.trial} of {found.task.name}",
        macros(TEMPLATE).head(found, in_sentences(found)),
        _sections(found),
        without_script=NUMBERS_REMAIN,
    )


def write_page(found: Comparison, output: Path, *, overwrite: bool) -> None:
    """Write the page of a comparison, complete or not at all.

    Raises:
        UsageError: The file is there already.
        StorageError: The file cannot be written.
    """
    with output_file(output, overwrite=overwrite) as stream:
        stream.write(paired_page(found).encode())


def _sections(found: Comparison) -> Iterator[Section]:
    made, changes = tables(found), found.distances
    if changes is not None and changes.chosen.any():
        yield Section("distances", "Distances", _distances(found, changes))
        yield Section("against", "What the change depends on", _against(found, changes))
        yield Section("sky", "On the sky", _sky(found, changes))
    if changes is not None:
        yield Section("parts", "By class, S/N, luminosity and place", _table(made, "parts"))
        yield Section("gaia", "Against Gaia parallaxes", _gaia(changes, made))
    yield Section("flags", "Flags that change", _table(made, "flags"))
    yield Section("largest", "Largest changes", _table(made, "largest"))
    yield Section("columns", "Columns", _columns(found, made))
    yield Section("origins", "Weights, options and versions", macros(TEMPLATE).origins(found))


def _table(made: dict[str, Table], name: str) -> str:
    return macros(TEMPLATE).shown(made[name]) if name in made else ""


# > Distances


def _distances(found: Comparison, changes: DistanceChanges) -> str:
    """Histograms of the changes of all spectra, and of each class; the identical ones are left out."""
    chosen = changes.chosen & (changes.change != 0)
    values, kind = 100 * changes.change[chosen], changes.kind[chosen]
    if not len(values):
        return macros(TEMPLATE).identical(changes.all)
    edges = steps(*_range_of(values), int(np.clip(2 * np.sqrt(len(values)), 16, 80)))
    every = histogram(values, edges)
    canvas = figures.plot(
        "change of the distance [%]", "spectra", (edges[0], edges[-1]), (0, 1.08 * max(1, every.counts.max()))
    )
    figures.add_histogram(canvas, every, "spectra", "%", colour="muted")
    for code, name in enumerate(CLASSES):
        if (kind == code).any():
            counted = histogram(values[kind == code], edges)
            figures.add_steps(canvas, counted, f"class-{code + 1}", legend_label=name)
    figures.add_rule(canvas, "ink", x=0, line_dash="dotted")
    if canvas.legend:
        is_right = np.argmax(every.counts) > len(every.counts) / 2
        figures.finish_legend(canvas, "top_left" if is_right else "top_right")
    return macros(TEMPLATE).distances(
        figures.embed("changes", canvas), changes.all, len(values), every.outside
    )


def _range_of(values: np.ndarray) -> tuple[float, float]:
    """A range about zero with all but the outermost values, and a margin."""
    low, high = ends_of(values, least=(-_LEAST, _LEAST))
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def _against(found: Comparison, changes: DistanceChanges) -> str:
    chosen = changes.chosen
    quantities = {
        "snr": ("S/N per pixel", found.pairs.stars["snr"], True),
        "m-ks": ("M_Ks [mag]", changes.m_ks, False),
        "a-k": ("A_Ks [mag]", found.pairs.production["A_k_mag"], False),
        "latitude": ("|b| [deg]", np.abs(found.pairs.stars["b"]), False),
    }
    made = (
        _panel(name, label, values[chosen], 100 * changes.change[chosen], log_x=log_x)
        for name, (label, values, log_x) in quantities.items()
    )
    return macros(TEMPLATE).against([panel for panel in made if panel])


def _panel(name: str, label: str, x: np.ndarray, y: np.ndarray, *, log_x: bool) -> dict[str, Any] | None:
    """The change against a quantity, with its running median; ``None`` if nothing is known of it."""
    known = np.isfinite(x) & ((x > 0) | (not log_x))
    x, y = x[known], y[known]
    if not len(x):
        return None
    low, high = ends_of(x, least=(x.max(), x.min()), share=0.002)
    if low == high:
        low, high = (low / 2, high * 2) if log_x else (low - 1, high + 1)
    edges = log_steps(low, high, _BINS) if log_x else steps(low, high, _BINS)
    trend = running(x, y, edges, log_x=log_x)
    x, ends = (np.log10(x), np.log10([low, high])) if log_x else (x, np.array([low, high]))
    margin = 0.02 * (ends[1] - ends[0])
    ends = (float(ends[0] - margin), float(ends[1] + margin))
    canvas, outside = _cloud((label, "change [%]"), x, y, ends, _range_of(y))
    if log_x:
        figures.log_ticks(canvas.xaxis[0], low, high)
    figures.add_rule(canvas, "ink", y=0, line_dash="dotted")
    figures.add_running(canvas, trend, log_x=log_x)
    shown = np.flatnonzero(np.isfinite(trend.median))
    return {
        "plot": figures.embed(f"against-{name}", canvas),
        "what": label.partition(" [")[0],
        "spectra": len(x),
        "outside": outside,
        "medians": [
            (number(trend.x[place], ".3g"), number(trend.median[place], "+.1f")) for place in shown[[0, -1]]
        ]
        if len(shown) > 1
        else [],
    }


def _cloud(
    labels: tuple[str, str],
    x: np.ndarray,
    y: np.ndarray,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
) -> "tuple[Figure, int]":
    """Points, or a density of more than ``MOST_POINTS``; and how many lie outside."""
    if len(x) > MOST_POINTS:
        return figures.plot_density(labels, x, y, x_range, y_range, _CELLS, "spectra", height=_HEIGHT)
    canvas = figures.plot(*labels, x_range, y_range, height=_HEIGHT)
    points = canvas.scatter(x, y, size=6, fill_alpha=0.7, line_color=None)
    figures.coloured(points.glyph, fill="point")
    inside = (x >= x_range[0]) & (x <= x_range[1]) & (y >= y_range[0]) & (y <= y_range[1])
    return canvas, int((~inside).sum())


def _sky(found: Comparison, changes: DistanceChanges) -> str:
    """The median change in hexagons of a Mollweide map in Galactic coordinates."""
    longitude, latitude = found.pairs.stars["l"], found.pairs.stars["b"]
    known = changes.chosen & np.isfinite(longitude) & np.isfinite(latitude)
    if not known.any():
        return ""
    values = 100 * changes.change[known]
    places = mollweide(longitude[known], latitude[known])
    canvas = figures.plot("", "", (-2, 2), (-1, 1), aspect=1.8, equal=True)
    add_graticule(canvas)
    limit = max(_LEAST, float(np.percentile(np.abs(values), 90)))
    cells, fewest = next(((cells, few) for least, cells, few in _MAPS if len(values) > least), (None, 0))
    if cells:
        what = "median change of the distance [%]"
        figures.add_hexagons(canvas, *places, values, cells, fewest, limit, what)
    else:
        figures.add_points(canvas, *places, values, limit, "change of the distance [%]")
    return macros(TEMPLATE).sky(figures.embed("sky", canvas), len(values), fewest, number(limit, ".1f"))


# > Against Gaia


def _gaia(changes: DistanceChanges, made: dict[str, Table]) -> str:
    if not changes.agreement:
        return ""
    pulls = [pulls[np.isfinite(pulls)] for pulls in changes.pulls]
    one, other = (histogram(each, _PULL_EDGES) for each in pulls)
    low, high = _PULL_EDGES[[0, -1]]
    x = np.linspace(low, high, 241)
    expected = len(pulls[0]) * (_PULL_EDGES[1] - low) * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    top = 1.08 * max(1.0, expected.max(), one.counts.max(), other.counts.max())
    canvas = figures.plot("pull against Gaia", "spectra", (low, high), (0, top))
    figures.add_histogram(canvas, one, "spectra of production", colour="muted")
    figures.add_steps(canvas, one, "muted", legend_label="production")
    figures.add_steps(canvas, other, "accent", legend_label="trial")
    figures.add_line(
        canvas, x, expected, "warn", line_width=1.5, line_dash=[4, 3], legend_label="right errors"
    )
    figures.finish_legend(canvas, "top_left")
    plotted = figures.embed("pulls", canvas)
    summaries = [summary(each) for each in pulls]
    return macros(TEMPLATE).gaia(plotted, summaries, (one.outside, other.outside), made["gaia"])


# > Columns


def _columns(found: Comparison, made: dict[str, Table]) -> str:
    """The table of all columns; of another task than the distances, with histograms of what differs."""
    differing = [column for column in found.columns if column.identical < column.n]
    drawn = [] if found.distances is not None else differing[:MOST_DRAWN]
    panels = [_column_panel(found, column) for column in drawn]
    more = [] if found.distances is not None else [column.name for column in differing[MOST_DRAWN:]]
    return macros(TEMPLATE).columns(panels, more, made.get("columns"))


def _column_panel(found: Comparison, column: ColumnDifference) -> dict[str, Any]:
    values = np.subtract(found.pairs.trial[column.name], found.pairs.production[column.name], dtype=float)
    values = values[np.isfinite(values) & (values != 0)]
    low, high = percentiles(values, (0.5, 99.5))
    margin = 0.02 * (high - low) or abs(low) / 10
    low, high = min(low - margin, 0.0), max(high + margin, 0.0)
    counted = histogram(values, steps(low, high, int(np.clip(np.sqrt(len(values)), 10, 60))))
    label = f"difference of {column.name}" + (f" [{column.unit}]" if column.unit else "")
    canvas = figures.plot(
        label, "spectra", (low, high), (0, 1.08 * max(1, counted.counts.max())), height=_PANEL_HEIGHT
    )
    figures.add_histogram(canvas, counted, "spectra", column.unit or "", form="%.4g")
    figures.add_rule(canvas, "ink", x=0, line_dash="dotted")
    return {
        "plot": figures.embed(f"column-{column.name.lower()}", canvas),
        "name": column.name,
        "differing": column.n - column.identical,
        "of": column.n,
        "median": difference(column.median),
        "unit": f" {column.unit}" if column.unit else "",
        "outside": counted.outside,
    }
