"""Sections of the report on whether errors are right: as stated, against Gaia, and from repeated spectra.

Each function returns the HTML of its section, which is empty if there is nothing to show.
"""

from typing import Any

import numpy as np

from astra.pipelines.astronn_dist.distances.distance import BAD_RUWE, UNRELIABLE
from astra.report.agreement import choices, fields, parts
from astra.report.contents import Contents
from astra.report.figures import (
    MOST_POINTS,
    add_hexagons,
    add_histogram,
    add_line,
    add_rule,
    add_running,
    add_stars_coloured,
    embed,
    log_ticks,
    plot,
    plot_cloud,
)
from astra.report.page import RESULTS, macros, number, short
from astra.report.population import add_graticule, mollweide
from astra.report.result_arrays import LEAST_A_K
from astra.report.summaries import (
    FEWEST,
    bins_for,
    ends_of,
    histogram,
    median,
    padded,
    running_evenly,
    steps,
    summary,
)

# Cells of the densities along each axis, at most, and bins of the running percentiles.
_CELLS, _BINS = 120, 16

# The least range of relative errors.
_LOWEST, _HIGHEST = 0.01, 1.0

# An axis of logarithms over more than this factor has fewer labels.
_WIDE = 500

# The least range of pulls, the largest, and bins of their histogram, at most.
_PULL, _LARGEST_PULL, _MOST_BINS = 4.0, 8.0, 80

#: A parallax of Gaia below so many errors makes no distance: its inverse would mislead.
LEAST_SIGNIFICANCE = 5

#: Fewer spectra or stars are said in the table of all spectra alone.
FEWEST_COMPARED = 5

# The least range of distances that are compared [pc].
_DISTANCES = (200.0, 3000.0)

# Rows of hexagons of the map of pulls, at most, and of how many stars one is the median, at least.
_HEXAGONS, _FEWEST_OF_HEXAGON = 20, 10


def stated(contents: Contents) -> str:
    """Relative error against S/N and against distance, of all spectra with a distance."""
    rows = contents.rows
    with np.errstate(divide="ignore", invalid="ignore"):
        # Without a magnitude the error is right, but the distance is not.
        relative = np.where(rows["k_mag"] != 0, rows["e_dist"] / rows["dist"], np.nan)
    if np.isfinite(relative).sum() < FEWEST_COMPARED:
        return ""
    panels = (
        _against(contents, "snr", rows["snr"], relative, "S/N per pixel", (20, 300)),
        _against(contents, "far", rows["dist"], relative, "distance [pc]", (200, 10_000)),
    )
    return macros(RESULTS).errors(panels, f"{UNRELIABLE:g}")


def _against(
    contents: Contents,
    name: str,
    x: np.ndarray,
    relative: np.ndarray,
    label: str,
    least: tuple[float, float],
) -> dict[str, Any]:
    index = np.flatnonzero(np.isfinite(relative))
    x, relative = x[index], relative[index]
    shown = (x > 0) & (relative > 0)
    low, high = ends_of(x[shown], least=least, share=0.001)
    floor, top = ends_of(relative[shown], least=(_LOWEST, _HIGHEST), share=0.001)
    x_range, y_range = padded(*np.log10([low, high])), padded(*np.log10([floor, top]))
    good = contents.rows["good"][index]
    groups = [("good", good, "point"), ("not good", ~good, "class-7")]
    log_x, log_y = (np.log10(np.where(shown, values, np.nan)) for values in (x, relative))
    options = {"pointed": contents.pointed, "index": index, "groups": groups, "what": "spectra"}
    canvas, left_out = plot_cloud((label, "e_dist / dist"), log_x, log_y, x_range, y_range, _CELLS, **options)
    log_ticks(canvas.xaxis[0], low, high, (1, 2, 5) if high / low < _WIDE else (1,))
    log_ticks(canvas.yaxis[0], floor, top)
    has_trend = add_running(canvas, running_evenly(np.where(shown, x, np.nan), relative, _BINS), log_y=True)
    add_rule(canvas, "ink", y=float(np.log10(UNRELIABLE)), line_dash="dotted", line_width=1.5)
    return {
        "plot": embed(f"error-{name}", canvas),
        "what": label.partition(" [")[0],
        "spectra": len(x),
        "median": median(relative),
        "unreliable": (relative >= UNRELIABLE).mean(),
        "left_out": left_out,
        "has_trend": has_trend,
    }


# > Against Gaia


def gaia(contents: Contents) -> str:
    """Spectroscopic parallaxes minus those of Gaia, and what that says of both errors."""
    stars = contents.parallaxes
    counted = macros(RESULTS).choices(choices(contents.rows))
    if len(stars.index) < FEWEST_COMPARED:
        return macros(RESULTS).gaia(stars, f"{BAD_RUWE:g}") + counted
    return (
        macros(RESULTS).gaia(
            stars,
            f"{BAD_RUWE:g}",
            one_to_one=_one_to_one(contents),
            differences=_differences(contents),
            pulls=_pulls("gaia", stars.pull, "stars"),
            sky=_map_of_pulls(contents),
            against=_pulls_against(contents),
            parts=parts(contents.rows, stars),
            fields=fields(contents.rows, stars),
        )
        + counted
    )


def _groups(contents: Contents) -> list[tuple[str, np.ndarray, str]]:
    clean = contents.rows["clean"][contents.parallaxes.index]
    return [("clean", clean, "point"), ("good, not clean", ~clean, "class-7")]


def _one_to_one(contents: Contents) -> dict[str, Any] | None:
    """The distance against the inverse of Gaia's parallax, where that is significant."""
    stars = contents.parallaxes
    significant = stars.gaia > LEAST_SIGNIFICANCE * stars.e_gaia
    if not significant.any():
        return None
    theirs, ours = 1000 / stars.gaia[significant], 1000 / stars.spectroscopic[significant]
    low, high = ends_of(np.concatenate([theirs, ours]), least=_DISTANCES, share=0.001)
    ends = padded(*np.log10([low, high]))
    groups = [(name, mask[significant], colour) for name, mask, colour in _groups(contents)]
    options = {"pointed": contents.pointed, "index": stars.index[significant], "groups": groups}
    labels = ("1 / parallax of Gaia [pc]", "dist [pc]")
    canvas, left_out = plot_cloud(
        labels, np.log10(theirs), np.log10(ours), ends, ends, _CELLS, aspect=1.1, **options
    )
    for axis in canvas.axis:
        log_ticks(axis, low, high, (1, 2, 5) if high / low < _WIDE else (1,))
    add_line(canvas, np.array(ends), np.array(ends), "ink", line_width=1)
    has_trend = add_running(canvas, running_evenly(theirs, ours, _BINS), log_y=True)
    return {
        "plot": embed("one-to-one", canvas),
        "ratio": summary(ours / theirs),
        "has_trend": has_trend,
        "left_out": left_out,
        "insignificant": int((~significant).sum()),
        "significance": LEAST_SIGNIFICANCE,
    }


def _pulls(name: str, values: np.ndarray, what: str) -> dict[str, Any]:
    """A histogram of pulls with the normal distribution of unit width, and its numbers; few are listed."""
    numbers = summary(values)
    if numbers.n < FEWEST:
        listed = sorted(values[np.isfinite(values)].tolist())
        return {"plot": None, "summary": numbers, "listed": [number(pull, "+.1f") for pull in listed]}
    reach = min(float(np.abs(ends_of(values, least=(-_PULL, _PULL))).max()), _LARGEST_PULL)
    edges = steps(-reach, reach, 2 * bins_for(numbers.n, _MOST_BINS // 2))
    found = histogram(values, edges)
    x = np.linspace(-reach, reach, 241)
    expected = numbers.n * (edges[1] - edges[0]) * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    canvas = plot("pull", what, (-reach, reach), (0, 1.08 * max(1.0, expected.max(), found.counts.max())))
    add_histogram(canvas, found, what, form="+0.0")
    add_line(canvas, x, expected, "warn", line_width=2)
    left_out = {"outside": found.outside, "absent": len(values) - numbers.n}
    return {"plot": embed(f"pulls-{name}", canvas), "summary": numbers} | left_out


def _differences(contents: Contents) -> dict[str, Any]:
    stars = contents.parallaxes
    x, y = stars.spectroscopic, stars.difference
    low, high = ends_of(x, least=(0.1, 2.0), share=0.002)
    x_range = padded(*np.log10([low, high]))
    reach = 2 * float(np.abs(ends_of(y, least=(-0.1, 0.1), share=0.1)).max())
    labels = ("spectroscopic parallax [mas]", "difference [mas]")
    options = {"pointed": contents.pointed, "index": stars.index, "groups": _groups(contents)}
    canvas, left_out = plot_cloud(
        labels, np.log10(x), y, x_range, (-reach, reach), _CELLS, height=440, **options
    )
    log_ticks(canvas.xaxis[0], low, high, (1, 2, 5) if high / low < _WIDE else (1, 3))
    add_rule(canvas, "ink", y=0, line_width=1)
    has_trend = add_running(canvas, running_evenly(x, y, _BINS))
    numbers = {"summary": summary(y), "left_out": left_out, "has_trend": has_trend}
    return {"plot": embed("differences", canvas)} | numbers


def _pulls_against(contents: Contents) -> list[dict[str, Any]]:
    """The pull against M_Ks, S/N and A_Ks."""
    rows, index = contents.rows, contents.parallaxes.index
    quantities = (
        ("m-ks", "M_Ks [mag]", rows["m_ks_abs"][index], (-4.0, 4.0), False),
        ("snr", "S/N per pixel", rows["snr"][index], (20.0, 300.0), True),
        ("a-k", "A_Ks [mag]", rows.extinction[index], (0.01, 0.2), True),
    )
    return [_pull_panel(contents, *quantity) for quantity in quantities]


def _pull_panel(
    contents: Contents, name: str, label: str, x: np.ndarray, least: tuple[float, float], log_x: bool
) -> dict[str, Any]:
    stars = contents.parallaxes
    x = np.where(x > 0, x, np.nan) if log_x else x
    low, high = ends_of(x, least=least, share=0.002)
    x_range = padded(*np.log10([low, high])) if log_x else padded(low, high)
    reach = min(float(np.abs(ends_of(stars.pull, least=(-_PULL, _PULL))).max()), _LARGEST_PULL)
    options = {"pointed": contents.pointed, "index": stars.index, "groups": _groups(contents), "height": 320}
    drawn = np.log10(x) if log_x else x
    canvas, left_out = plot_cloud(
        (label, "pull"), drawn, stars.pull, x_range, (-reach, reach), _CELLS, **options
    )
    if log_x:
        log_ticks(canvas.xaxis[0], low, high, (1, 2, 5) if high / low < _WIDE else (1,))
    for y, dash in (0, "solid"), (-3, "dotted"), (3, "dotted"):
        add_rule(canvas, "ink", y=y, line_dash=dash, line_width=1)
    trend = running_evenly(x, stars.pull, _BINS)
    has_trend = add_running(canvas, trend, log_x=log_x)
    worst = int(np.argmax(np.abs(trend.median))) if has_trend else None
    return {
        "plot": embed(f"pull-{name}", canvas),
        "what": label.partition(" [")[0],
        "lacking": label.partition(" [")[0] + (" above 0" if log_x else ""),
        "left_out": left_out,
        "has_trend": has_trend,
        "least_a_k": LEAST_A_K,
        "worst": None if worst is None else (trend.median[worst], short(trend.x[worst])),
    }


def _map_of_pulls(contents: Contents) -> dict[str, Any] | None:
    """Where on the sky distances are too near or too far: pulls as colours, medians of many stars."""
    stars, rows = contents.parallaxes, contents.rows
    longitude, latitude = rows["l"][stars.index], rows["b"][stars.index]
    known = np.isfinite(longitude) & np.isfinite(latitude)
    if not known.any():
        return None
    places, pull = mollweide(longitude[known], latitude[known]), stars.pull[known]
    canvas = plot("", "", (-2, 2), (-1, 1), aspect=1.8, equal=True)
    add_graticule(canvas)
    is_median = len(pull) > MOST_POINTS
    if is_median:
        rows_of_map = int(min(np.sqrt(len(pull) / 60), _HEXAGONS))
        cells = (2 * rows_of_map, rows_of_map)
        add_hexagons(canvas, *places, pull, cells, _FEWEST_OF_HEXAGON, 1.0, "median pull")
    else:
        add_stars_coloured(canvas, *places, pull, 3.0, "pull", contents.pointed, stars.index[known])
    return {
        "plot": embed("pull-sky", canvas),
        "is_median": is_median,
        "fewest": _FEWEST_OF_HEXAGON,
        "in_plane": summary(pull[np.abs(latitude[known]) < 10]),
        "off_plane": summary(pull[np.abs(latitude[known]) >= 10]),
        "absent": int((~known).sum()),
        "total": len(known),
    }


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
        _repeated(contents),
        _pulls("repeats", found.pull, "pairs"),
        _pulls("repeats-model", found.model_pull, "pairs"),
    )


def _repeated(contents: Contents) -> dict[str, Any]:
    """The difference of each pair against the S/N of the poorer spectrum."""
    found = contents.repeats
    x, y = contents.rows["snr"][found.index], found.difference
    x = np.where(x > 0, x, np.nan)
    low, high = ends_of(x, least=(20.0, 200.0), share=0.002)
    reach = float(np.abs(ends_of(y, least=(-0.1, 0.1), share=0.01)).max())
    x_range, y_range = padded(*np.log10([low, high])), padded(-reach, reach)
    labels = ("S/N of the poorer spectrum", "difference of L_fakemag")
    options = {"pointed": contents.pointed, "index": found.index, "what": "pairs", "height": 320}
    canvas, left_out = plot_cloud(labels, np.log10(x), y, x_range, y_range, _CELLS, **options)
    log_ticks(canvas.xaxis[0], low, high, (1, 2, 5) if high / low < _WIDE else (1,))
    add_rule(canvas, "ink", y=0, line_width=1)
    has_trend = add_running(canvas, running_evenly(x, y, _BINS))
    return {"plot": embed("repeated", canvas), "left_out": left_out, "has_trend": has_trend}
