"""Whether errors can be believed: as they are stated, against Gaia, and from spectra of one star."""

from typing import Any

import numpy as np

from astra.pipelines.astronn_dist.distances.distance import UNRELIABLE
from astra.report.comparison import LARGEST_RUWE, Parallaxes, parts
from astra.report.contents import Contents
from astra.report.figures import add_density, add_histogram, add_line, add_running, embed, log_ticks, plot
from astra.report.page import Section, macros
from astra.report.sections.overview import TEMPLATE
from astra.report.summaries import (
    cells_for,
    density,
    histogram,
    log_steps,
    median,
    running,
    span,
    steps,
    summary,
)

# Cells of the densities along each axis, at most.
_CELLS = 120

_LOWEST, _HIGHEST = 0.01, 1.0
_PULL_EDGES = steps(-6, 6, 72)


# > As they are stated


def stated(contents: Contents) -> Section:
    """Relative error against S/N and against distance, of all spectra with a distance."""
    rows = contents.rows
    with np.errstate(divide="ignore", invalid="ignore"):
        # Without a magnitude the error is right, but the distance is not.
        relative = np.where(rows["k_mag"] != 0, rows["e_dist"] / rows["dist"], np.nan)
    if not np.isfinite(relative).any():
        return Section("errors", "Stated errors", "")
    panels = (
        _against("snr", rows["snr"], relative, "S/N per pixel", (20, 300)),
        _against("far", rows["dist"], relative, "distance [pc]", (200, 10_000)),
    )
    return Section("errors", "Stated errors", macros(TEMPLATE).errors(panels, f"{UNRELIABLE:g}"))


def _against(
    name: str, x: np.ndarray, relative: np.ndarray, label: str, least: tuple[float, float]
) -> dict[str, Any]:
    shown = (x > 0) & (relative > 0)
    x, relative = x[shown], relative[shown]
    low, high = span(x, least=least, share=0.001)
    floor = min(_LOWEST, span(relative, least=(_LOWEST, _HIGHEST), share=0.001)[0])
    side = cells_for(len(x), _CELLS)
    edges = steps(np.log10(low), np.log10(high), side)
    cells = density(np.log10(x), np.log10(relative), edges, steps(np.log10(floor), np.log10(_HIGHEST), side))
    drawn = plot(label, "e_dist / dist", (edges[0], edges[-1]), tuple(np.log10((floor, _HIGHEST))))
    log_ticks(drawn.xaxis[0], low, high, (1, 2, 5) if high / low < 200 else (1,))
    log_ticks(drawn.yaxis[0], floor, _HIGHEST)
    add_density(drawn, cells, "spectra")
    add_running(drawn, running(x, relative, log_steps(low, high, 16), log=True), log_x=True, log_y=True)
    limit = np.log10(UNRELIABLE)
    add_line(drawn, edges[[0, -1]], [limit, limit], "ink", line_dash="dotted", line_width=1.5)
    return {
        "plot": embed(f"error-{name}", drawn),
        "what": label.partition(" [")[0],
        "spectra": len(x),
        "median": median(relative),
        "unreliable": (relative >= UNRELIABLE).mean(),
    }


# > Against Gaia


def gaia(contents: Contents) -> Section:
    """Spectroscopic parallaxes minus those of Gaia, and what that says of both errors."""
    stars = contents.parallaxes
    pulls, differences = _pulls("gaia", stars.pull, "stars"), _differences(stars)
    body = macros(TEMPLATE).gaia(stars, f"{LARGEST_RUWE:g}", pulls, differences, parts(contents.rows, stars))
    return Section("gaia", "Against Gaia parallaxes", body)


def _pulls(name: str, values: np.ndarray, what: str) -> dict[str, Any]:
    """A histogram of pulls with the normal distribution of unit width, and its numbers."""
    found, said = histogram(values, _PULL_EDGES), summary(values)
    low, high = _PULL_EDGES[[0, -1]]
    x = np.linspace(low, high, 241)
    expected = said.n * (_PULL_EDGES[1] - low) * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    drawn = plot("pull", what, (low, high), (0, 1.08 * max(1.0, expected.max(), found.counts.max())))
    add_histogram(drawn, found, what)
    add_line(drawn, x, expected, "warn", line_width=2)
    return {"plot": embed(f"pulls-{name}", drawn), "said": said, "outside": found.below + found.above}


def _differences(stars: Parallaxes) -> dict[str, Any]:
    x, y = stars.spectroscopic, stars.difference
    low, high = span(x, least=(0.1, 2.0), share=0.002)
    reach = 2 * float(np.abs(span(y, least=(-0.1, 0.1), share=0.1)).max())
    side = cells_for(len(x), _CELLS)
    cells = density(np.log10(x), y, steps(np.log10(low), np.log10(high), side), steps(-reach, reach, side))
    drawn = plot(
        "spectroscopic parallax [mas]", "difference [mas]", tuple(np.log10((low, high))), (-reach, reach)
    )
    log_ticks(drawn.xaxis[0], low, high, (1, 2, 5) if high / low < 200 else (1, 3))
    add_density(drawn, cells)
    add_line(drawn, np.log10([low, high]), [0, 0], "ink", line_width=1)
    add_running(drawn, running(x, y, log_steps(low, high, 16), log=True), log_x=True)
    return {"plot": embed("differences", drawn), "said": summary(y), "outside": cells.outside}


# > Spectra of one star


def repeats(contents: Contents) -> Section:
    """Pulls of the differences in luminosity, with the whole errors and with the model part alone."""
    found = contents.repeats
    body = macros(TEMPLATE).repeats(
        found.stars,
        len(found.pull),
        summary(found.difference),
        _pulls("repeats", found.pull, "pairs"),
        _pulls("repeats-model", found.model_pull, "pairs"),
    )
    return Section("repeats", "Spectra of the same star", body)
