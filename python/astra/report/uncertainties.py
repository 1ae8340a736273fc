"""Sections of the report on whether errors are right: as stated, against Gaia, and from repeated spectra.

Each function returns the HTML of its section, which is empty if there is nothing to show.
"""

from typing import Any

import numpy as np

from astra.pipelines.astronn_dist.distances.distance import BAD_RUWE, UNRELIABLE
from astra.report.agreement import Parallaxes, choices, parts
from astra.report.contents import Contents
from astra.report.figures import add_histogram, add_line, add_running, embed, log_ticks, plot, plot_density
from astra.report.page import RESULTS, macros
from astra.report.summaries import ends_of, histogram, log_steps, median, running, steps, summary

# Cells of the densities along each axis, at most, and bins of the running percentiles.
_CELLS, _BINS = 120, 16

# The least range of relative errors.
_LOWEST, _HIGHEST = 0.01, 1.0

# An axis of logarithms over more than this factor has fewer labels.
_WIDE = 200

_PULL_EDGES = steps(-6, 6, 72)


def stated(contents: Contents) -> str:
    """Relative error against S/N and against distance, of all spectra with a distance."""
    rows = contents.rows
    with np.errstate(divide="ignore", invalid="ignore"):
        # Without a magnitude the error is right, but the distance is not.
        relative = np.where(rows["k_mag"] != 0, rows["e_dist"] / rows["dist"], np.nan)
    if not np.isfinite(relative).any():
        return ""
    panels = (
        _against("snr", rows["snr"], relative, "S/N per pixel", (20, 300)),
        _against("far", rows["dist"], relative, "distance [pc]", (200, 10_000)),
    )
    return macros(RESULTS).errors(panels, f"{UNRELIABLE:g}")


def _against(
    name: str, x: np.ndarray, relative: np.ndarray, label: str, least: tuple[float, float]
) -> dict[str, Any]:
    shown = (x > 0) & (relative > 0)
    x, relative = x[shown], relative[shown]
    low, high = ends_of(x, least=least, share=0.001)
    floor = min(_LOWEST, ends_of(relative, least=(_LOWEST, _HIGHEST), share=0.001)[0])
    x_range, y_range = np.log10([low, high]).tolist(), np.log10([floor, _HIGHEST]).tolist()
    canvas, _ = plot_density(
        (label, "e_dist / dist"), np.log10(x), np.log10(relative), x_range, y_range, _CELLS, "spectra"
    )
    log_ticks(canvas.xaxis[0], low, high, (1, 2, 5) if high / low < _WIDE else (1,))
    log_ticks(canvas.yaxis[0], floor, _HIGHEST)
    add_running(canvas, running(x, relative, log_steps(low, high, _BINS)), log_y=True)
    limit = np.log10(UNRELIABLE)
    add_line(canvas, x_range, [limit, limit], "ink", line_dash="dotted", line_width=1.5)
    return {
        "plot": embed(f"error-{name}", canvas),
        "what": label.partition(" [")[0],
        "spectra": len(x),
        "median": median(relative),
        "unreliable": (relative >= UNRELIABLE).mean(),
    }


# > Against Gaia


def gaia(contents: Contents) -> str:
    """Spectroscopic parallaxes minus those of Gaia, and what that says of both errors."""
    stars = contents.parallaxes
    counted = macros(RESULTS).choices(choices(contents.rows))
    if not len(stars.index):
        return macros(RESULTS).gaia(stars) + counted
    pulls, differences = _pulls("gaia", stars.pull, "stars"), _differences(stars)
    compared = parts(contents.rows, stars)
    return macros(RESULTS).gaia(stars, f"{BAD_RUWE:g}", pulls, differences, compared) + counted


def _pulls(name: str, values: np.ndarray, what: str) -> dict[str, Any]:
    """A histogram of pulls with the normal distribution of unit width, and its numbers."""
    found, numbers = histogram(values, _PULL_EDGES), summary(values)
    low, high = _PULL_EDGES[[0, -1]]
    x = np.linspace(low, high, 241)
    expected = numbers.n * (_PULL_EDGES[1] - low) * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    canvas = plot("pull", what, (low, high), (0, 1.08 * max(1.0, expected.max(), found.counts.max())))
    add_histogram(canvas, found, what)
    add_line(canvas, x, expected, "warn", line_width=2)
    return {"plot": embed(f"pulls-{name}", canvas), "summary": numbers, "outside": found.outside}


def _differences(stars: Parallaxes) -> dict[str, Any]:
    x, y = stars.spectroscopic, stars.difference
    low, high = ends_of(x, least=(0.1, 2.0), share=0.002)
    x_range = np.log10([low, high]).tolist()
    reach = 2 * float(np.abs(ends_of(y, least=(-0.1, 0.1), share=0.1)).max())
    labels = ("spectroscopic parallax [mas]", "difference [mas]")
    canvas, outside = plot_density(labels, np.log10(x), y, x_range, (-reach, reach), _CELLS)
    log_ticks(canvas.xaxis[0], low, high, (1, 2, 5) if high / low < _WIDE else (1, 3))
    add_line(canvas, x_range, [0, 0], "ink", line_width=1)
    add_running(canvas, running(x, y, log_steps(low, high, _BINS)))
    return {"plot": embed("differences", canvas), "summary": summary(y), "outside": outside}


# > Spectra of one star


def repeats(contents: Contents) -> str:
    """Pulls of the differences in luminosity, with the full errors and with the model part alone."""
    found = contents.repeats
    if not found.stars:
        return macros(RESULTS).repeats(0)
    return macros(RESULTS).repeats(
        found.stars,
        len(found.pull),
        summary(found.difference),
        _pulls("repeats", found.pull, "pairs"),
        _pulls("repeats-model", found.model_pull, "pairs"),
    )
