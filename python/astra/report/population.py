"""Sections of the report on the stars: where they are on the sky and in the Galaxy, what they are, how far.

Each function returns the HTML of its section, which is empty if there is nothing to show.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from astra.models import AstroNNdist
from astra.report import figures
from astra.report.contents import Contents
from astra.report.page import RESULTS, macros, share
from astra.report.result_arrays import CLASSES, RULES, UNKNOWN
from astra.report.summaries import ends_of, histogram, log_steps, median

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

#: Distance of the Sun from the centre of the Galaxy [kpc] (GRAVITY Collaboration 2018, A&A 615, L15).
R_SUN = 8.122

#: Height of the Sun above the plane [kpc] (Bennett & Bovy 2019, MNRAS 482, 1417).
Z_SUN = 0.0208

# Cells of the densities along each axis, at most.
_SKY_CELLS, _GALAXY_CELLS, _COLOUR_CELLS = 100, 140, 150

_BINS = 80  # of distances

_LARGEST_R, _LARGEST_Z = 30.0, 15.0  # kpc
_COORDINATES = "$x{0.0}, $y{0.00} kpc"  # where a view of the Galaxy is pointed at
_ASPECT = 0.95  # width by height of these views
_RINGS = (4.0, R_SUN, 12.0, 16.0)  # kpc

# Newton's method has converged to 1e-10 by then, except at the poles, where the answer is known.
_ITERATIONS = 40

# > On the sky


def sky(l: np.ndarray, b: np.ndarray) -> str:  # noqa: E741
    """A Mollweide map in Galactic coordinates [deg] of all spectra that have them, whatever their result."""
    known = np.isfinite(l) & np.isfinite(b)
    if not known.any():
        return ""
    l, b = l[known], b[known]  # noqa: E741
    canvas, _ = figures.plot_density(
        ("", ""), *mollweide(l, b), (-2, 2), (-1, 1), _SKY_CELLS, "spectra", aspect=1.8, equal=True
    )
    add_graticule(canvas)
    in_plane, in_north = (np.abs(b) < 10).mean(), (b > 0).mean()
    return macros(RESULTS).sky(figures.embed("sky", canvas), len(l), in_plane, in_north)


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
    chosen = rows.science & (rows["dist"] > 0) & np.isfinite(rows["l"]) & np.isfinite(rows["b"])
    if not chosen.any():
        return ""
    x, y, z = galactocentric(rows["l"][chosen], rows["b"][chosen], rows["dist"][chosen])
    return macros(RESULTS).galaxy(_from_above(x, y), _from_the_side(np.hypot(x, y), z), len(x))


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


def _from_above(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    ends = [*ends_of(x - R_SUN, least=(-3, 3)), *ends_of(y, least=(-3, 3))]
    reach = min(1.05 * float(np.abs(ends).max()), _LARGEST_R)
    labels, x_range, y_range = ("X [kpc]", "Y [kpc]"), (R_SUN + reach, R_SUN - reach), (-reach, reach)
    options = {"tooltips": [("X, Y", _COORDINATES)], "aspect": _ASPECT, "equal": True}
    canvas, outside = figures.plot_density(labels, x, y, x_range, y_range, _GALAXY_CELLS, **options)
    turn = np.linspace(0, 2 * np.pi, 181)
    for radius in _RINGS:
        figures.add_line(canvas, radius * np.cos(turn), radius * np.sin(turn), "muted", line_alpha=0.9)
    _mark(canvas, R_SUN, 0, "Sun")
    if reach > R_SUN:
        _mark(canvas, 0, 0, "centre")
    numbers = {"median": median(np.hypot(x, y)), "inner": (x < R_SUN).mean(), "outside": outside}
    return {"plot": figures.embed("above", canvas)} | numbers


def _from_the_side(radius: np.ndarray, z: np.ndarray) -> dict[str, Any]:
    low, high = ends_of(radius, least=(R_SUN - 2, R_SUN + 2))
    low, high = max(0.0, low - 0.5), min(high + 0.5, _LARGEST_R)
    reach = min(1.1 * float(np.abs(ends_of(z, least=(-1.5, 1.5))).max()), _LARGEST_Z)
    labels, options = ("R [kpc]", "Z [kpc]"), {"tooltips": [("R, Z", _COORDINATES)], "aspect": _ASPECT}
    x_range, y_range = (low, high), (-reach, reach)
    canvas, outside = figures.plot_density(labels, radius, z, x_range, y_range, _GALAXY_CELLS, **options)
    figures.add_line(canvas, [low, high], [0, 0], "muted", line_width=0.7, line_alpha=0.6)
    _mark(canvas, R_SUN, Z_SUN, "Sun")
    numbers = {"median": median(np.abs(z)), "far": (np.abs(z) > 1).mean(), "outside": outside}
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
    table = [(name, f"{mask.sum():,}", share(mask.mean()), rule) for name, mask, rule in members]
    return macros(RESULTS).luminosity(_diagram(contents), table)


def _diagram(contents: Contents) -> dict[str, Any] | None:
    rows, science = contents.rows, contents.rows.science
    colour, m_ks = rows.colour[science], rows["m_ks_abs"][science]
    if not np.isfinite(colour).any():
        return None
    blue, red = ends_of(colour, least=(0.2, 1.0))
    bright, faint = ends_of(m_ks, least=(-6, 4))
    x_range, y_range = (blue - 0.1, red + 0.1), (faint + 0.5, bright - 0.5)
    labels, tooltips = ("(J − Ks)₀ [mag]", "M_Ks [mag]"), [("(J − Ks)₀", "$x{0.00}"), ("M_Ks", "$y{0.00}")]
    canvas, outside = figures.plot_density(
        labels, colour, m_ks, x_range, y_range, _COLOUR_CELLS, tooltips=tooltips, height=480
    )
    return {
        "plot": figures.embed("luminosity", canvas),
        "stars": int(np.isfinite(colour).sum()),
        "median": np.nanmedian(m_ks),
        "brightest": np.nanmin(m_ks),
        "faintest": np.nanmax(m_ks),
        "reddening_unknown": np.count_nonzero(
            rows["result_flags"][science] & AstroNNdist.flag_missing_extinction.value
        ),
        "outside": outside,
    }


# > How far they are


def distances(contents: Contents) -> str:
    """Histograms of all good stars, and of each class."""
    rows = contents.rows
    chosen = rows.science & (rows["dist"] > 0)
    if not chosen.any():
        return ""
    dist, kind = rows["dist"][chosen], rows.kind[chosen]
    low, high = ends_of(dist, least=(200, 10_000), share=0.001)
    edges = np.log10(log_steps(low, high, _BINS))
    every_star = histogram(np.log10(dist), edges)
    top = 1.08 * max(1, every_star.counts.max())
    canvas = figures.plot("distance [pc]", "stars", (edges[0], edges[-1]), (0, top), height=400)
    figures.log_ticks(canvas.xaxis[0], 10 ** edges[0], 10 ** edges[-1])
    figures.add_histogram(canvas, every_star, unit="(log10 pc)", colour="muted")
    for code, name in enumerate(CLASSES):
        if (kind == code).any():
            figures.add_steps(
                canvas,
                histogram(np.log10(dist[kind == code]), edges),
                f"class-{code + 1}",
                legend_label=name,
            )
    figures.finish_legend(canvas, "top_left")
    shares = (10, 50, 90)
    percentiles = list(zip(shares, np.percentile(dist, shares), strict=True))
    plotted = figures.embed("distances", canvas)
    return macros(RESULTS).distances(plotted, len(dist), percentiles, dist.max(), every_star.outside)
