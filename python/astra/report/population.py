"""Sections of the report on the stars: where they are on the sky and in the Galaxy, what they are, how far.

Each function returns the HTML of its section, which is empty if there is nothing to show.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from astra.models import AstroNNdist
from astra.report import figures
from astra.report.agreement import Parallaxes
from astra.report.contents import Contents
from astra.report.page import RESULTS, macros, share
from astra.report.result_arrays import (
    BRIGHTEST_DWARF,
    CLASSES,
    CLUMP,
    CLUMP_COLOURS,
    CLUMP_HALF_WIDTH,
    EVOLVED_COLOUR,
    FAINTEST_GIANT,
    RULES,
    UNKNOWN,
)
from astra.report.star_table import names_of
from astra.report.summaries import bins_for, ends_of, histogram, log_steps, median, padded

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

#: Distance of the Sun from the centre of the Galaxy [kpc] (GRAVITY Collaboration 2018, A&A 615, L15).
R_SUN = 8.122

#: Height of the Sun above the plane [kpc] (Bennett & Bovy 2019, MNRAS 482, 1417).
Z_SUN = 0.0208

# Cells of the densities along each axis, at most.
_SKY_CELLS, _GALAXY_CELLS, _COLOUR_CELLS = 100, 140, 150

_MOST_BINS = 80  # of a histogram

#: So few stars are drawn one below the other, with their errors.
FEW = 30

# The least range of relative errors.
_ERRORS = (0.05, 0.2)

_LARGEST_R, _LARGEST_Z = 30.0, 15.0  # kpc
_FAR = 0.01  # share of the stars that may lie outside at either end of these views
_COORDINATES = "$x{0.0}, $y{0.00} kpc"  # where a view of the Galaxy is pointed at
_ASPECTS = (0.85, 2.2)  # width by height of these views
_RINGS = (4.0, R_SUN, 12.0, 16.0)  # kpc

# Newton's method has converged to 1e-10 by then, except at the poles, where the answer is known.
_ITERATIONS = 40

# > On the sky


def sky(l: np.ndarray, b: np.ndarray, pointed: figures.Pointed | None = None) -> str:  # noqa: E741
    """A Mollweide map in Galactic coordinates [deg] of all spectra that have them, whatever their result.

    Args:
        l, b: Of each row, shape (N,) [deg].
        pointed: Of the page, if points can be hovered and clicked.
    """
    known = np.isfinite(l) & np.isfinite(b)
    if not known.any():
        return ""
    index, absent = np.flatnonzero(known), int((~known).sum())
    l, b = l[known], b[known]  # noqa: E741
    options = {"pointed": pointed, "index": index, "what": "spectra", "aspect": 1.8, "equal": True}
    canvas, _ = figures.plot_cloud(("", ""), *mollweide(l, b), (-2, 2), (-1, 1), _SKY_CELLS, **options)
    add_graticule(canvas)
    in_plane, in_north = (np.abs(b) < 10).mean(), (b > 0).mean()
    return macros(RESULTS).sky(figures.embed("sky", canvas), len(l), in_plane, in_north, absent)


def add_graticule(canvas: "Figure") -> None:
    """Lines of Galactic coordinates in place of the axes of a Mollweide map."""
    canvas.axis.visible = canvas.grid.visible = False
    for number, (x, y) in enumerate(graticule()):
        is_edge = number in (0, 12)
        figures.add_line(
            canvas, x, y, "muted", line_width=1.2 if is_edge else 0.6, line_alpha=1 if is_edge else 0.45
        )
    for longitude in (120, 60, 0, 300, 240):
        place = map(float, mollweide(longitude, 0.0))
        figures.add_text(canvas, *place, f"{longitude}°", text_align="center", text_baseline="bottom")
    edge_text = {"text_align": "left", "text_baseline": "middle", "x_offset": 3}
    for latitude in (-60, -30, 30, 60):
        place = map(float, mollweide(-179.99, latitude))
        figures.add_text(canvas, *place, f"{latitude:+d}°".replace("-", "−"), "muted", **edge_text)


def mollweide(l: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: E741
    """The Mollweide projection of the sky: equal areas, the centre of the Galaxy in the middle.

    Longitude grows to the left, as seen from inside (Snyder 1987, Map Projections: a Working Manual,
    USGS Professional Paper 1395, equations 31-1 to 31-3).

    Args:
        l, b: Galactic longitude and latitude [deg], arrays or numbers.

    Returns:
        x in [-2, 2] and y in [-1, 1].
    """
    theta = np.radians(np.clip(np.asarray(b, float), -90, 90))
    target = np.pi * np.sin(theta)
    for _ in range(_ITERATIONS):
        slope = 2 + 2 * np.cos(2 * theta)
        step = (2 * theta + np.sin(2 * theta) - target) / np.where(slope < 1e-12, np.inf, slope)
        theta = theta - step
        if not (np.abs(np.nan_to_num(step)) > 1e-10).any():
            break
    longitude = (np.asarray(l, float) + 180) % 360 - 180
    return np.broadcast_arrays(-longitude / 90 * np.cos(theta), np.sin(theta))


def graticule() -> list[tuple[np.ndarray, np.ndarray]]:
    """The lines of a Mollweide map: 13 meridians, of which the outer ones are its edge, and 5 parallels."""
    along_b, along_l = np.linspace(-90, 90, 181), np.linspace(-179.999, 180, 361)
    # A longitude of 180 is at both ends of the map: just inside of it there is only one.
    meridians = np.clip(np.arange(-180.0, 181, 30), -179.999, 179.999)
    lines = [mollweide(longitude, along_b) for longitude in meridians]
    return lines + [mollweide(along_l, latitude) for latitude in np.arange(-60.0, 61, 30)]


# > In the Galaxy


def galaxy(contents: Contents) -> str:
    """From above and from the side, of the good stars by their best spectrum."""
    rows = contents.rows
    chosen = rows.science & (rows["dist"] > 0)
    placed = chosen & np.isfinite(rows["l"]) & np.isfinite(rows["b"])
    if not placed.any():
        return ""
    index = np.flatnonzero(placed)
    x, y, z = galactocentric(rows["l"][index], rows["b"][index], rows["dist"][index])
    points = {"pointed": contents.pointed, "index": index, "equal": True}
    above, side = _from_above(x, y, points), _from_the_side(np.hypot(x, y), z, points)
    return macros(RESULTS).galaxy(above, side, len(x), int((chosen & ~placed).sum()))


def galactocentric(
    l: np.ndarray,  # noqa: E741
    b: np.ndarray,
    dist: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places in the Galaxy, its centre at the origin and the Sun at (``R_SUN``, 0, ``Z_SUN``).

    X points from the centre to the Sun, Y to l = 90°, where the Sun moves to, Z to the north pole; the
    tilt of 0.15° that comes with the Sun's height is left out.

    Args:
        l, b: Galactic longitude and latitude [deg].
        dist: Distance from the Sun [pc].

    Returns:
        X, Y, Z [kpc].
    """
    longitude, latitude = np.radians(l), np.radians(b)
    projected = dist / 1000 * np.cos(latitude)
    x = R_SUN - projected * np.cos(longitude)
    return x, projected * np.sin(longitude), dist / 1000 * np.sin(latitude) + Z_SUN


def _from_above(x: np.ndarray, y: np.ndarray, points: dict[str, Any]) -> dict[str, Any]:
    # The Sun and the centre are always seen.
    left, right = ends_of(x, least=(-2, R_SUN + 2), share=_FAR)
    reach = float(np.abs(ends_of(y, least=(-4, 4), share=_FAR)).max())
    left, right, reach = max(left, -_LARGEST_R), min(right, _LARGEST_R), min(reach, _LARGEST_R)
    labels, x_range, y_range = ("X [kpc]", "Y [kpc]"), padded(right, left), padded(-reach, reach)
    aspect = float(np.clip((right - left) / (2 * reach), *_ASPECTS))
    options = points | {"tooltips": [("X, Y", _COORDINATES)], "aspect": aspect}
    canvas, left_out = figures.plot_cloud(labels, x, y, x_range, y_range, _GALAXY_CELLS, **options)
    turn = np.linspace(0, 2 * np.pi, 181)
    for radius in _RINGS:
        figures.add_line(canvas, radius * np.cos(turn), radius * np.sin(turn), "muted", line_alpha=0.9)
    _mark(canvas, R_SUN, 0, "Sun")
    _mark(canvas, 0, 0, "centre")
    numbers = {"median": median(np.hypot(x, y)), "inner": (x < R_SUN).mean(), "left_out": left_out}
    return {"plot": figures.embed("above", canvas)} | numbers


def _from_the_side(radius: np.ndarray, z: np.ndarray, points: dict[str, Any]) -> dict[str, Any]:
    _, high = ends_of(radius, least=(0, R_SUN + 2), share=_FAR)
    high = min(high, _LARGEST_R)
    reach = min(float(np.abs(ends_of(z, least=(-2, 2), share=_FAR)).max()), _LARGEST_Z)
    labels, x_range, y_range = ("R [kpc]", "Z [kpc]"), padded(0, high), padded(-reach, reach)
    aspect = float(np.clip(high / (2 * reach), *_ASPECTS))
    options = points | {"tooltips": [("R, Z", _COORDINATES)], "aspect": aspect}
    canvas, left_out = figures.plot_cloud(labels, radius, z, x_range, y_range, _GALAXY_CELLS, **options)
    figures.add_rule(canvas, "muted", y=0, line_width=0.7, line_alpha=0.6)
    _mark(canvas, R_SUN, Z_SUN, "Sun")
    _mark(canvas, 0, 0, "centre")
    numbers = {"median": median(np.abs(z)), "far": (np.abs(z) > 1).mean(), "left_out": left_out}
    return {"plot": figures.embed("side", canvas)} | numbers


def _mark(canvas: "Figure", x: float, y: float, name: str) -> None:
    cross = canvas.scatter([x], [y], size=9, marker="circle_cross", fill_alpha=0, line_width=1.5)
    figures.coloured(cross.glyph, line="warn")
    figures.add_text(canvas, x, y, name, "warn", x_offset=8, y_offset=-4, text_font_style="bold")


# > Luminosity and colour


def luminosity(contents: Contents) -> str:
    """Absolute magnitude against colour and the classes, of the good stars by their best spectrum."""
    science, kind = contents.rows.science, contents.rows.kind
    if not science.any():
        return ""
    classes = [(code, name, RULES[name]) for code, name in enumerate(CLASSES)]
    if (kind[science] == UNKNOWN).any():
        classes.append((UNKNOWN, "no colour", "no J or no Ks magnitude"))
    members = [(name, kind[science] == code, rule) for code, name, rule in classes]
    table = [
        (name, f"{mask.sum():,}", share(mask.mean()), rule) for name, mask, rule in members if mask.any()
    ]
    return macros(RESULTS).luminosity(_diagram(contents), table) + _against_labels(contents)


def _diagram(contents: Contents) -> dict[str, Any] | None:
    rows, science = contents.rows, contents.rows.science
    colour, m_ks, kind = rows.colour[science], rows["m_ks_abs"][science], rows.kind[science]
    if not np.isfinite(colour).any():
        return None
    blue, red = ends_of(colour, least=(0.2, 1.0))
    bright, faint = ends_of(m_ks, least=(-6, 4))
    x_range, y_range = (blue - 0.1, red + 0.1), (faint + 0.5, bright - 0.5)
    labels, tooltips = ("(J − Ks)₀ [mag]", "M_Ks [mag]"), [("(J − Ks)₀", "$x{0.00}"), ("M_Ks", "$y{0.00}")]
    groups = [(name, kind == code, f"class-{code + 1}") for code, name in enumerate(CLASSES)]
    options = {"pointed": contents.pointed, "index": np.flatnonzero(science), "groups": groups}
    options |= {"tooltips": tooltips, "height": 520}
    canvas, left_out = figures.plot_cloud(labels, colour, m_ks, x_range, y_range, _COLOUR_CELLS, **options)
    _add_classes(canvas, x_range[1])
    return {
        "plot": figures.embed("luminosity", canvas),
        "stars": int(np.isfinite(colour).sum()),
        "median": np.nanmedian(m_ks),
        "brightest": np.nanmin(m_ks),
        "faintest": np.nanmax(m_ks),
        "reddening_unknown": np.count_nonzero(
            rows["result_flags"][science] & AstroNNdist.flag_missing_extinction.value
        ),
        "left_out": left_out,
    }


def _against_labels(contents: Contents) -> str:
    """M_Ks against Teff and against log g, if a table of them was given."""
    rows, labels = contents.rows, contents.labels
    if labels is None:
        return ""
    index = np.flatnonzero(rows.science)
    m_ks, kind = rows["m_ks_abs"][index], rows.kind[index]
    groups = [(name, kind == code, f"class-{code + 1}") for code, name in enumerate((*CLASSES, "no colour"))]
    groups[UNKNOWN] = ("no colour", kind == UNKNOWN, "muted")
    bright, faint = ends_of(m_ks, least=(-6, 4))
    quantities = (("teff", "Teff [K]", (4000.0, 7000.0)), ("logg", "log g", (1.0, 4.5)))
    panels = []
    for name, label, least in quantities:
        values = getattr(labels, name)[index]
        low, high = ends_of(values, least=least, share=0.002)
        options = {"pointed": contents.pointed, "index": index, "groups": groups, "height": 440}
        x_range, y_range = padded(high, low), padded(faint, bright)
        canvas, left_out = figures.plot_cloud(
            (label, "M_Ks [mag]"), values, m_ks, x_range, y_range, _COLOUR_CELLS, **options
        )
        plotted = figures.embed(f"luminosity-{name}", canvas)
        middle = median(values)
        panels.append(
            {"plot": plotted, "name": label.partition(" [")[0], "left_out": left_out, "median": middle}
        )
    return macros(RESULTS).labelled(panels, labels.origin)


def _add_classes(canvas: "Figure", red: float) -> None:
    """Where the classes end."""
    line = {"line_dash": [2, 4], "line_width": 1}
    figures.add_rule(canvas, "muted", y=BRIGHTEST_DWARF, **line)
    figures.add_line(canvas, [EVOLVED_COLOUR, red], [FAINTEST_GIANT] * 2, "muted", **line)
    figures.add_line(canvas, [EVOLVED_COLOUR] * 2, [BRIGHTEST_DWARF, -20], "muted", **line)
    (blue, clump_red), ends = CLUMP_COLOURS, (CLUMP - CLUMP_HALF_WIDTH, CLUMP + CLUMP_HALF_WIDTH)
    corners = [blue, clump_red, clump_red, blue, blue], [ends[0], ends[0], ends[1], ends[1], ends[0]]
    figures.add_line(canvas, *corners, "muted", **line)


# > How far they are


def distances(contents: Contents) -> str:
    """Histograms of all good stars, and of each class, and of their errors; of few stars, each of them."""
    rows = contents.rows
    chosen = rows.science & (rows["dist"] > 0)
    if not chosen.any():
        return ""
    dist = rows["dist"][chosen]
    shares = (10, 50, 90)
    percentiles = list(zip(shares, np.percentile(dist, shares), strict=True))
    if len(dist) <= FEW:
        return macros(RESULTS).few_distances(_one_by_one(contents, np.flatnonzero(chosen)), len(dist))
    counted = _counted_by_class(dist, rows.kind[chosen])
    return macros(RESULTS).distances(
        counted, _relative_errors(dist, rows["e_dist"][chosen]), len(dist), percentiles, dist.max()
    )


def _counted_by_class(dist: np.ndarray, kind: np.ndarray) -> dict[str, Any]:
    low, high = ends_of(dist, least=(200, 10_000), share=0.001)
    edges = np.log10(log_steps(low, high, bins_for(len(dist), _MOST_BINS)))
    # The outermost of few stars are the ends, and shall not be lost by rounding.
    edges[[0, -1]] += (-1e-9, 1e-9)
    every_star = histogram(np.log10(dist), edges)
    top = 1.08 * max(1, every_star.counts.max())
    canvas = figures.plot("distance [pc]", "stars", (edges[0], edges[-1]), (0, top), height=400)
    figures.log_ticks(canvas.xaxis[0], low, high)
    figures.add_histogram(canvas, every_star, unit="pc", colour="muted", powers=True)
    for code, name in enumerate(CLASSES):
        if (kind == code).any():
            counted = histogram(np.log10(dist[kind == code]), edges)
            figures.add_steps(canvas, counted, f"class-{code + 1}", legend_label=name)
    figures.legend_above(canvas)
    return {"plot": figures.embed("distances", canvas), "outside": every_star.outside}


def _relative_errors(dist: np.ndarray, e_dist: np.ndarray) -> dict[str, Any]:
    relative = e_dist / dist
    relative = np.where(relative > 0, relative, np.nan)
    low, high = ends_of(relative, least=_ERRORS, share=0.001)
    edges = np.log10(log_steps(low, high, bins_for(len(dist), _MOST_BINS)))
    edges[[0, -1]] += (-1e-9, 1e-9)
    found = histogram(np.log10(relative), edges)
    top = 1.08 * max(1, found.counts.max())
    canvas = figures.plot("e_dist / dist", "stars", (edges[0], edges[-1]), (0, top), height=400)
    figures.log_ticks(canvas.xaxis[0], low, high)
    figures.add_histogram(canvas, found, powers=True)
    numbers = {"outside": found.outside, "absent": int(np.isnan(relative).sum())}
    middle = np.nanpercentile(relative, (16, 50, 84)) if np.isfinite(relative).any() else [np.nan] * 3
    return {"plot": figures.embed("relative-errors", canvas), "middle": middle} | numbers


def _one_by_one(contents: Contents, index: np.ndarray) -> dict[str, Any]:
    """Few stars one below the other, the nearest on top: the distance and Gaia's, with their errors."""
    rows, stars = contents.rows, contents.parallaxes
    index = index[np.argsort(-rows["dist"][index], kind="stable")]
    dist, error = rows["dist"][index], np.nan_to_num(rows["e_dist"][index])
    low, high = dist - error, dist + error
    gaia, nearest, farthest = gaia_distances(len(rows), stars)[:, index]
    ends = np.concatenate([low[low > 0], high, gaia, nearest])
    left, right = np.log10([np.nanmin(ends), np.nanmax(ends)])
    left, right = left - 0.05, right + 0.05
    place = np.arange(len(index), dtype=float)
    height = 110 + 24 * len(index)
    canvas = figures.plot("distance [pc]", "", (left, right), (-0.7, len(index) - 0.3), height=height)
    figures.log_ticks(canvas.xaxis[0], 10**left, 10**right)
    figures.name_rows(canvas, names_of(rows["spectrum_pk"][index].tolist()))
    known = np.isfinite(nearest)
    reach = np.minimum(farthest, 10**right)
    figures.add_bars(canvas, place[known] - 0.18, nearest[known], reach[known], "muted")
    figures.add_bars(canvas, place + 0.12, np.maximum(low, 10**left), high, "accent")
    x, y = np.log10(np.concatenate([gaia, dist])), np.concatenate([place - 0.18, place + 0.12])
    is_ours = np.repeat([False, True], len(index))
    groups = [("Gaia", ~is_ours & np.isfinite(x), "muted")]
    groups += [("spectrum", is_ours, "accent")]
    figures.add_stars(canvas, groups, x, y, contents.pointed, np.tile(index, 2))
    return {"plot": figures.embed("distances", canvas), "without": int((~known).sum())}


def gaia_distances(number: int, stars: Parallaxes) -> np.ndarray:
    """1 / parallax of N results, with one error more and with one less [pc]; shape (3, N).

    NaN where it is not known; a parallax below its error has no middle, and its far end is infinite.
    """
    found = np.full((3, number), np.nan)
    signs = np.array([[0.0], [1.0], [-1.0]])
    parallax = stars.gaia + signs * stars.e_gaia
    is_significant = parallax[2] > 0
    with np.errstate(divide="ignore"):
        found[:, stars.index] = np.where(parallax > 0, 1000 / parallax, np.nan)
    found[0, stars.index[~is_significant]] = np.nan
    found[2, stars.index[~is_significant]] = np.inf
    return found
