"""What kinds of stars these are, and where: luminosity and colour, sky, Galaxy, distances."""

from typing import TYPE_CHECKING, Any

import numpy as np

from astra.models import AstroNNdist
from astra.report.contents import Contents
from astra.report.figures import (
    add_density,
    add_histogram,
    add_line,
    add_steps,
    add_text,
    coloured,
    embed,
    finish_legend,
    log_ticks,
    plot,
)
from astra.report.geometry import R_SUN, Z_SUN, galactocentric, graticule, mollweide
from astra.report.outliers import has_flag
from astra.report.page import Section, macros, share
from astra.report.rows import CLASSES, RULES, UNKNOWN
from astra.report.sections.overview import TEMPLATE
from astra.report.summaries import cells_for, density, histogram, log_steps, median, span, steps

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

# Cells of the densities along each axis, at most.
_OF_SKY, _OF_GALAXY, _OF_COLOUR = 100, 140, 150

_WIDEST, _HIGHEST = 30.0, 15.0  # kpc
_RINGS = (4.0, 8.122, 12.0, 16.0)  # kpc
_BINS = 80


# > On the sky


def sky(contents: Contents) -> Section:
    """A Mollweide map in Galactic coordinates of all spectra that have them, whatever their result."""
    rows = contents.rows
    known = np.isfinite(rows["l"]) & np.isfinite(rows["b"])
    if not known.any():
        return Section("sky", "On the sky", "")
    l, b = rows["l"][known], rows["b"][known]  # noqa: E741
    side = cells_for(len(l), _OF_SKY)
    drawn = plot("", "", (-2, 2), (-1, 1), aspect=1.8, equal=True)
    drawn.axis.visible = False
    drawn.grid.visible = False
    add_density(drawn, density(*mollweide(l, b), steps(-2, 2, 2 * side), steps(-1, 1, side)), "spectra")
    for number, (x, y) in enumerate(graticule()):
        edge = number in (0, 12)
        add_line(drawn, x, y, "muted", line_width=1.2 if edge else 0.6, line_alpha=1 if edge else 0.45)
    for longitude in (120, 60, 0, 300, 240):
        (x,), (y,) = mollweide(np.array([longitude]), np.array([0.0]))
        add_text(drawn, x, y, f"{longitude}°", text_align="center", text_baseline="bottom")
    for latitude in (-60, -30, 30, 60):
        (x,), (y,) = mollweide(np.array([-179.99]), np.array([float(latitude)]))
        side = {"text_align": "left", "x_offset": 3}
        add_text(drawn, x, y, f"{latitude:+d}°".replace("-", "−"), "muted", text_baseline="middle", **side)
    numbers = {"known": int(known.sum()), "near": (np.abs(b) < 10).mean(), "north": (b > 0).mean()}
    return Section("sky", "On the sky", macros(TEMPLATE).sky(embed("sky", drawn), **numbers))


# > In the Galaxy


def galaxy(contents: Contents) -> Section:
    """From above and from the side, of the good stars by their best spectrum."""
    rows = contents.rows
    chosen = rows.science & (rows["dist"] > 0) & np.isfinite(rows["l"]) & np.isfinite(rows["b"])
    if not chosen.any():
        return Section("galaxy", "In the Galaxy", "")
    x, y, z = galactocentric(rows["l"][chosen], rows["b"][chosen], rows["dist"][chosen])
    body = macros(TEMPLATE).galaxy(_above(x, y), _side(np.hypot(x, y), z), len(x))
    return Section("galaxy", "In the Galaxy", body)


def _above(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    reach = max(np.abs(span(x - R_SUN, least=(-3, 3))).max(), np.abs(span(y, least=(-3, 3))).max())
    reach = min(float(reach) * 1.05, _WIDEST)
    drawn, outside = _view("X", x, (R_SUN + reach, R_SUN - reach), "Y", y, reach, equal=True)
    turn = np.linspace(0, 2 * np.pi, 181)
    for radius in _RINGS:
        add_line(drawn, radius * np.cos(turn), radius * np.sin(turn), "muted", line_alpha=0.9)
    _mark(drawn, R_SUN, 0, "Sun")
    if reach > R_SUN:
        _mark(drawn, 0, 0, "centre")
    numbers = {"median": median(np.hypot(x, y)), "inner": (x < R_SUN).mean(), "outside": outside}
    return {"plot": embed("above", drawn)} | numbers


def _side(radius: np.ndarray, z: np.ndarray) -> dict[str, Any]:
    low, high = span(radius, least=(R_SUN - 2, R_SUN + 2))
    low, high = max(0.0, low - 0.5), min(high + 0.5, _WIDEST)
    reach = min(1.1 * float(np.abs(span(z, least=(-1.5, 1.5))).max()), _HIGHEST)
    drawn, outside = _view("R", radius, (low, high), "Z", z, reach)
    add_line(drawn, [low, high], [0, 0], "muted", line_width=0.7, line_alpha=0.6)
    _mark(drawn, R_SUN, Z_SUN, "Sun")
    numbers = {"median": median(np.abs(z)), "far": (np.abs(z) > 1).mean(), "outside": outside}
    return {"plot": embed("side", drawn)} | numbers


def _view(
    x_name: str,
    x: np.ndarray,
    x_range: tuple[float, float],
    y_name: str,
    y: np.ndarray,
    reach: float,
    *,
    equal: bool = False,
) -> "tuple[Figure, int]":
    """Stars counted over the axes, y from -reach to reach, and how many lie outside [kpc]."""
    side = cells_for(len(x), _OF_GALAXY)
    cells = density(x, y, steps(*sorted(x_range), side), steps(-reach, reach, side))
    drawn = plot(f"{x_name} [kpc]", f"{y_name} [kpc]", x_range, (-reach, reach), aspect=0.95, equal=equal)
    add_density(drawn, cells, tooltips=[(f"{x_name}, {y_name}", "$x{0.0}, $y{0.00} kpc")])
    return drawn, cells.outside


def _mark(drawn: "Figure", x: float, y: float, name: str) -> None:
    cross = drawn.scatter([x], [y], size=9, marker="circle_cross", fill_alpha=0, line_width=1.5)
    coloured(cross.glyph, line="warn")
    add_text(drawn, x, y, name, "warn", x_offset=8, y_offset=-4, text_font_style="bold")


# > Luminosity and colour


def luminosity(contents: Contents) -> Section:
    """Absolute magnitude against colour and the classes, of the good stars by their best spectrum."""
    rows, science = contents.rows, contents.rows.science
    if not science.any():
        return Section("luminosity", "Luminosity and colour", "")
    body = macros(TEMPLATE).luminosity(_diagram(contents), _classes(rows.kind[science]))
    return Section("luminosity", "Luminosity and colour", body)


def _diagram(contents: Contents) -> dict[str, Any] | None:
    rows, science = contents.rows, contents.rows.science
    colour, m_ks = rows.colour[science], rows["m_ks_abs"][science]
    if not np.isfinite(colour).any():
        return None
    low, high = span(colour, least=(0.2, 1.0))
    bright, faint = span(m_ks, least=(-6, 4))
    side = cells_for(len(colour), _OF_COLOUR)
    cells = density(colour, m_ks, steps(low - 0.1, high + 0.1, side), steps(bright - 0.5, faint + 0.5, side))
    drawn = plot(
        "(J − Ks)₀ [mag]", "M_Ks [mag]", (low - 0.1, high + 0.1), (faint + 0.5, bright - 0.5), height=480
    )
    add_density(drawn, cells, tooltips=[("(J − Ks)₀", "$x{0.00}"), ("M_Ks", "$y{0.00}")])
    missing = has_flag(rows["result_flags"][science], AstroNNdist.flag_missing_extinction.value)
    return {
        "plot": embed("luminosity", drawn),
        "stars": int(np.isfinite(colour).sum()),
        "median": np.nanmedian(m_ks),
        "brightest": np.nanmin(m_ks),
        "faintest": np.nanmax(m_ks),
        "reddening_unknown": int(missing.sum()),
        "outside": cells.outside,
    }


def _classes(kind: np.ndarray) -> list[tuple[str, str, str, str]]:
    known = [(code, name, RULES[name]) for code, name in enumerate(CLASSES)]
    unknown = [(UNKNOWN, "no colour", "no J or no Ks magnitude")] if (kind == UNKNOWN).any() else []
    return [
        (name, f"{(kind == code).sum():,}", share((kind == code).mean()), rule)
        for code, name, rule in known + unknown
    ]


# > How far they are


def distances(contents: Contents) -> Section:
    """Histograms of all good stars, and of each class."""
    rows = contents.rows
    chosen = rows.science & (rows["dist"] > 0)
    if not chosen.any():
        return Section("distances", "Distances", "")
    dist, kind = rows["dist"][chosen], rows.kind[chosen]
    low, high = span(dist, least=(200, 10_000), share=0.001)
    edges = np.log10(log_steps(low, high, _BINS))
    whole = histogram(np.log10(dist), edges)
    top = 1.08 * max(1, whole.counts.max())
    drawn = plot("distance [pc]", "stars", (edges[0], edges[-1]), (0, top), height=400)
    log_ticks(drawn.xaxis[0], 10 ** edges[0], 10 ** edges[-1])
    add_histogram(drawn, whole, unit="(log10 pc)", colour="muted")
    for code, name in enumerate(CLASSES):
        if (kind == code).any():
            add_steps(drawn, histogram(np.log10(dist[kind == code]), edges), f"class-{code + 1}", name)
    finish_legend(drawn, "top_left")
    shares = (10, 50, 90)
    percentiles = list(zip(shares, np.percentile(dist, shares), strict=True))
    body = macros(TEMPLATE).distances(
        embed("distances", drawn), len(dist), percentiles, dist.max(), whole.below + whole.above
    )
    return Section("distances", "Distances", body)
