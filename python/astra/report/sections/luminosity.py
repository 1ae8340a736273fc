"""Absolute magnitude against colour: what kinds of stars these are."""

import numpy as np

from astra.models import AstroNNdist
from astra.report.binning import cells_for, density, span, steps
from astra.report.classes import CLASSES, RULES, UNKNOWN
from astra.report.contents import Contents
from astra.report.figures import Figures, add_density, plot
from astra.report.outliers import has_flag
from astra.report.pages.markup import (
    Section,
    escape,
    share,
    table,
)

_CELLS = 150


def section(contents: Contents, figures: Figures) -> Section:
    """The diagram and the classes, of the good stars by their best spectrum."""
    rows, science = contents.rows, contents.rows.science
    if not science.any():
        return Section("luminosity", "Luminosity and colour", "")
    body = _diagram(contents, figures) + _classes(rows.kind[science])
    return Section("luminosity", "Luminosity and colour", body)


def _diagram(contents: Contents, figures: Figures) -> str:
    rows, science = contents.rows, contents.rows.science
    colour, m_ks = rows.colour[science], rows["m_ks_abs"][science]
    if not np.isfinite(colour).any():
        return "<p>No star has a J magnitude, so there is no colour.</p>"
    low, high = span(colour, least=(0.2, 1.0))
    bright, faint = span(m_ks, least=(-6, 4))
    side = cells_for(len(colour), _CELLS)
    cells = density(colour, m_ks, steps(low - 0.1, high + 0.1, side), steps(bright - 0.5, faint + 0.5, side))
    drawn = plot(
        "(J − Ks)₀ [mag]", "M_Ks [mag]", (low - 0.1, high + 0.1), (faint + 0.5, bright - 0.5), height=480
    )
    add_density(drawn, cells, tooltips=[("(J − Ks)₀", "$x{0.00}"), ("M_Ks", "$y{0.00}")])
    missing = has_flag(rows["result_flags"][science], AstroNNdist.flag_missing_extinction.value).sum()
    summary = (
        f"{np.isfinite(colour).sum():,} good stars have a colour; M_Ks has its median at "
        f"{np.nanmedian(m_ks):.2f} and spans {np.nanmin(m_ks):.2f} to {np.nanmax(m_ks):.2f} mag."
    ).replace("-", "−")
    caption = (
        "M_Ks is that of the network; bright is up. J is from 2MASS, and the reddening is taken off with "
        "E(J − Ks) = 1.5 A_Ks (Indebetouw et al. 2005, ApJ 619, 931). The reddening of "
        f"{missing:,} of the stars is not known: they are drawn as they are. {cells.outside:,} lie outside."
    )
    return figures.place("luminosity", drawn, "Absolute Ks magnitude against colour", caption, summary)


def _classes(kind: np.ndarray) -> str:
    rows = [
        (name, f"{(kind == code).sum():,}", share((kind == code).mean()), RULES[name])
        for code, name in enumerate(CLASSES)
    ]
    unknown = kind == UNKNOWN
    if unknown.any():
        rows.append(("no colour", f"{unknown.sum():,}", share(unknown.mean()), "no J or no Ks magnitude"))
    caption = escape(
        "Classes of this page, told by the predicted M_Ks and the colour alone: a star put at a wrong "
        "luminosity is in a wrong class"
    )
    return table(caption, ("class", "stars", "share", "rule"), rows, words=(3,))
