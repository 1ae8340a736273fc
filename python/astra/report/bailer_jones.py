"""Distances beside those of Bailer-Jones et al. (2021, AJ 161, 147): which stars, the ratios, the section.

Theirs follow from Gaia EDR3 and a prior of the Galaxy: the geometric ones from the parallax, the
photogeometric ones from colour and magnitude as well. Where the parallax says little their prior decides, so
only stars with a significant one are compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from astra.ingest.values import BAILER_JONES
from astra.models import Source
from astra.pipelines.astronn_dist.distances.distance import BAD_RUWE
from astra.report.agreement import Parallaxes
from astra.report.contents import Contents
from astra.report.figures import add_rule, add_running, embed, log_ticks, plot_cloud
from astra.report.page import RESULTS, macros, number
from astra.report.result_arrays import Rows
from astra.report.summaries import Summary, ends_of, median, padded, running_evenly, summary

#: Gaia's parallax over its error is above this.
LEAST_SIGNIFICANCE = 5

#: Their distances, by how the columns end.
KINDS = {"geo": "geometric", "photogeo": "photogeometric"}

_CELLS, _BINS = 120, 16

# The least ranges of distances [pc] and of ratios.
_DISTANCES, _RATIOS = (200.0, 3000.0), (0.5, 2.0)


@dataclass(frozen=True)
class Compared:
    """N stars with a distance of ours and one of theirs, arrays of shape (N,).

    Attributes:
        ours: The column of our distance: ``dist``, or ``best_dist``, which Gaia may be a part of.
        theirs: As in ``KINDS``.
        index: Their rows.
        distance: Theirs [pc].
        ratio: Ours over theirs.
        summary: Of the ratios.
        stated: Median of the stated errors of both together, relative; NaN for ``best_dist``, whose error is
            not independent of theirs.
    """

    ours: str
    theirs: str
    index: np.ndarray
    distance: np.ndarray
    ratio: np.ndarray
    summary: Summary
    stated: float


def significant(rows: Rows, stars: Parallaxes) -> np.ndarray:
    """Which stars have a significant parallax, and are clean, or good where that was not looked at."""
    is_fit = rows["clean"] | np.isnan(rows["not_clean"])
    return is_fit[stars.index] & (stars.gaia > LEAST_SIGNIFICANCE * stars.e_gaia)


def comparisons(rows: Rows, stars: Parallaxes) -> list[Compared]:
    """Each of our distances over each of theirs, where there are both."""
    found = (_compared(rows, stars, ours, kind) for ours in ("dist", "best_dist") for kind in KINDS)
    return [each for each in found if len(each.ratio)]


def _compared(rows: Rows, stars: Parallaxes, ours: str, kind: str) -> Compared:
    theirs = {part: rows[f"r_{part}_{kind}"][stars.index] for part in ("med", "lo", "hi")}
    own = rows[ours][stars.index]
    chosen = significant(rows, stars) & (theirs["med"] > 0) & (own > 0)
    distance, ratio = theirs["med"][chosen], own[chosen] / theirs["med"][chosen]
    relative = 0.5 * (theirs["hi"] - theirs["lo"])[chosen] / distance
    full = np.hypot(relative, (stars.e_spectroscopic / stars.spectroscopic)[chosen])
    stated = median(full) if ours == "dist" else np.nan
    return Compared(ours, KINDS[kind], stars.index[chosen], distance, ratio, summary(ratio), stated)


def bailer_jones(contents: Contents) -> str:
    """Ours over theirs, against theirs, as HTML; empty if no source has theirs."""
    rows, stars = contents.rows, contents.parallaxes
    if not any(np.isfinite(rows[name]).any() for name in BAILER_JONES):
        return ""
    found = comparisons(rows, stars)
    figures = [_figure(contents, each) for each in found if each.ours == "dist"]
    chosen = stars.index[significant(rows, stars)]
    unknown = int(np.isnan(rows["not_clean"][chosen]).sum())
    return macros(RESULTS).bailer_jones(found, figures, unknown, LEAST_SIGNIFICANCE, f"{BAD_RUWE:g}")


def _figure(contents: Contents, found: Compared) -> dict[str, Any]:
    x, y = found.distance, found.ratio
    low, high = ends_of(x, least=_DISTANCES, share=0.002)
    bottom, top = ends_of(y, least=_RATIOS, share=0.002)
    x_range, y_range = padded(*np.log10([low, high])), padded(*np.log10([bottom, top]))
    labels = (f"{found.theirs} distance [pc]", f"dist / {found.theirs}")
    points = {"pointed": contents.pointed, "index": found.index}
    canvas, left_out = plot_cloud(labels, np.log10(x), np.log10(y), x_range, y_range, _CELLS, **points)
    log_ticks(canvas.xaxis[0], low, high)
    log_ticks(canvas.yaxis[0], bottom, top, (1, 1.5, 2, 3, 5, 7))
    add_rule(canvas, "ink", y=0, line_width=1)
    trend = running_evenly(x, y, _BINS)
    numbers = {"has_trend": add_running(canvas, trend, log_y=True), "left_out": left_out}
    return {"plot": embed(f"bailer-jones-{found.theirs}", canvas), "compared": found} | numbers


def of_star(source: Source | None) -> Iterator[tuple[str, str]]:
    """What the page of a star says of theirs: names and values, none where its source has none."""
    for kind, name in KINDS.items():
        middle, low, high = (getattr(source, f"r_{part}_{kind}", np.nan) for part in ("med", "lo", "hi"))
        if middle > 0:
            ends = " to ".join(number(end, ",.0f") for end in (low, high))
            yield f"{name}, Bailer-Jones et al. [pc]", f"{number(middle, ',.0f')} ({ends})"
