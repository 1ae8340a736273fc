"""Where the good stars are in the Galaxy: from above and from the side."""

from typing import TYPE_CHECKING

import numpy as np

from astra.report.binning import cells_for, density, span, steps
from astra.report.contents import Contents
from astra.report.figures import Figures, add_density, add_line, add_text, coloured, plot
from astra.report.geometry import R_SUN, Z_SUN, galactocentric
from astra.report.numbers import median
from astra.report.pages.markup import Section, number, share

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

_CELLS = 140
_WIDEST, _HIGHEST = 30.0, 15.0  # kpc
_RINGS = (4.0, 8.122, 12.0, 16.0)  # kpc


def section(contents: Contents, figures: Figures) -> Section:
    """Both views, of the good stars by their best spectrum."""
    rows = contents.rows
    chosen = rows.science & (rows["dist"] > 0) & np.isfinite(rows["l"]) & np.isfinite(rows["b"])
    if not chosen.any():
        return Section("galaxy", "In the Galaxy", "")
    x, y, z = galactocentric(rows["l"][chosen], rows["b"][chosen], rows["dist"][chosen])
    body = '<div class="pair">' + _above(figures, x, y) + _side(figures, np.hypot(x, y), z) + "</div>"
    return Section("galaxy", "In the Galaxy", body)


def _above(figures: Figures, x: np.ndarray, y: np.ndarray) -> str:
    reach = max(np.abs(span(x - R_SUN, least=(-3, 3))).max(), np.abs(span(y, least=(-3, 3))).max())
    reach = min(float(reach) * 1.05, _WIDEST)
    drawn, outside = _view("X", x, (R_SUN + reach, R_SUN - reach), "Y", y, reach, equal=True)
    turn = np.linspace(0, 2 * np.pi, 181)
    for radius in _RINGS:
        add_line(drawn, radius * np.cos(turn), radius * np.sin(turn), "muted", line_alpha=0.9)
    _mark(drawn, R_SUN, 0, "Sun")
    if reach > R_SUN:
        _mark(drawn, 0, 0, "centre")
    summary = (
        f"{len(x):,} good stars, the median at {number(median(np.hypot(x, y)), '.2f')} kpc from the centre "
        f"of the Galaxy; {share((x < R_SUN).mean())} are on its side of the Sun."
    )
    caption = (
        "Seen from the north Galactic pole, so that the Galaxy turns clockwise: Y points to l = 90°, where "
        "the Sun moves to. The Sun is at X = 8.122 kpc (GRAVITY Collaboration 2018, A&amp;A 615, L15). "
        f"Rings at 4, 8.122, 12 and 16 kpc. {outside:,} stars lie outside."
    )
    return figures.place("above", drawn, "The Milky Way from above", caption, summary)


def _side(figures: Figures, radius: np.ndarray, z: np.ndarray) -> str:
    low, high = span(radius, least=(R_SUN - 2, R_SUN + 2))
    low, high = max(0.0, low - 0.5), min(high + 0.5, _WIDEST)
    reach = min(1.1 * float(np.abs(span(z, least=(-1.5, 1.5))).max()), _HIGHEST)
    drawn, outside = _view("R", radius, (low, high), "Z", z, reach)
    add_line(drawn, [low, high], [0, 0], "muted", line_width=0.7, line_alpha=0.6)
    _mark(drawn, R_SUN, Z_SUN, "Sun")
    summary = (
        f"Half of the stars are within {number(median(np.abs(z)), '.2f')} kpc of the plane; "
        f"{share((np.abs(z) > 1).mean())} are more than 1 kpc away."
    )
    caption = (
        "R is the distance from the axis of the Galaxy, Z that from its plane; the Sun is 20.8 pc above it "
        "(Bennett &amp; Bovy 2019, MNRAS 482, 1417). Both axes have scales of their own. "
        f"{outside:,} stars lie outside."
    )
    return figures.place("side", drawn, "The Milky Way from the side", caption, summary)


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
    side = cells_for(len(x), _CELLS)
    cells = density(x, y, steps(*sorted(x_range), side), steps(-reach, reach, side))
    drawn = plot(f"{x_name} [kpc]", f"{y_name} [kpc]", x_range, (-reach, reach), aspect=0.95, equal=equal)
    add_density(drawn, cells, tooltips=[(f"{x_name}, {y_name}", "$x{0.0}, $y{0.00} kpc")])
    return drawn, cells.outside


def _mark(drawn: "Figure", x: float, y: float, name: str) -> None:
    cross = drawn.scatter([x], [y], size=9, marker="circle_cross", fill_alpha=0, line_width=1.5)
    coloured(cross.glyph, line="warn")
    add_text(drawn, x, y, name, "warn", x_offset=8, y_offset=-4, text_font_style="bold")
