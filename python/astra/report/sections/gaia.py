"""Against Gaia: spectroscopic parallaxes minus those of Gaia, and what that says of both errors."""

from collections.abc import Sequence

import numpy as np

from astra.report.binning import cells_for, density, histogram, log_steps, span, steps
from astra.report.comparison import LARGEST_RUWE, Parallaxes, Part, parts
from astra.report.contents import Contents
from astra.report.figures import (
    Figures,
    add_density,
    add_histogram,
    add_line,
    add_running,
    log_ticks,
    plot,
)
from astra.report.numbers import running, summary
from astra.report.pages.markup import (
    Section,
    escape,
    number,
    paragraph,
    share,
)

_CELLS = 120
PULL_EDGES = steps(-6, 6, 72)


def section(contents: Contents, figures: Figures) -> Section:
    """The figures, and the table of parts."""
    stars = contents.parallaxes
    if not len(stars.index):
        body = paragraph("No good star has a parallax of Gaia with an error, and a RUWE that allows its use.")
        return Section("gaia", "Against Gaia parallaxes", body)
    body = "".join(
        (
            _definition(stars),
            '<div class="pair">',
            pulls(figures, "gaia", stars.pull, "Pulls against Gaia", "stars"),
            _differences(figures, stars),
            "</div>",
            parts_table(parts(contents.rows, stars)),
        )
    )
    return Section("gaia", "Against Gaia parallaxes", body)


def _definition(stars: Parallaxes) -> str:
    total, corrected, full = len(stars.index), int(stars.corrected.sum()), int(stars.full.sum())
    zero_point = "the zero-point of Lindegren et al. (2021, A&amp;A 649, A4)"
    as_published = (
        f"Where none is known ({total - corrected:,} stars), it is as published, and "
        "<code>weighted_parallax</code> and <code>weighted_dist</code> leave it out. "
    )
    return paragraph(
        f"{total:,} good stars have a parallax of Gaia, and a RUWE below {LARGEST_RUWE:g} or none. The "
        "difference is the spectroscopic parallax, 1000 / dist, minus that of Gaia; parallaxes that noise "
        f"made negative are among them. {_of(corrected, total)} Gaia's parallax has {zero_point} taken off. "
        f"{as_published if corrected < total else ''}"
        "The pull is the difference divided by both errors together, √(e² + e<sub>Gaia</sub>²). "
        f"{_of(full, total)} e is <code>e_nn_parallax</code>, which counts the errors of Ks and of the "
        "reddening; for the others it is 1000 e_dist / dist², which leaves them out."
    )


def _of(some: int, total: int) -> str:
    if some in (0, total):
        return "For all of them," if some else "For none of them,"
    return f"For {some:,} of them,"


def pulls(figures: Figures, name: str, values: np.ndarray, title: str, what: str) -> str:
    """A histogram of pulls with the normal distribution of unit width, and its numbers."""
    found, said = histogram(values, PULL_EDGES), summary(values)
    width = PULL_EDGES[1] - PULL_EDGES[0]
    x = np.linspace(PULL_EDGES[0], PULL_EDGES[-1], 241)
    expected = said.n * width * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    top = 1.08 * max(1.0, expected.max(), found.counts.max())
    drawn = plot("pull", what, (PULL_EDGES[0], PULL_EDGES[-1]), (0, top))
    add_histogram(drawn, found, what)
    add_line(drawn, x, expected, "warn", line_width=2)
    text = (
        f"{said.n:,} pulls: width {number(said.half_width, '.2f')}, median {number(said.median, '+.2f')}, "
        f"{share(said.beyond_3)} beyond 3 (a normal distribution has 0.3 %)."
    )
    caption = (
        "The curve is the normal distribution of unit width, which right errors have: narrower, and the "
        "errors are stated too large; wider, too small. The width is half the range of the middle 68.27 %. "
        f"{found.below + found.above:,} lie outside."
    )
    return figures.place(f"pulls-{name}", drawn, title, caption, text)


def _differences(figures: Figures, stars: Parallaxes) -> str:
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
    said = summary(y)
    text = (
        f"Median difference {number(said.median, '+.4f')} ± {number(said.e_median, '.4f')} mas: what is to "
        "be added to these parallaxes of Gaia to agree with the distances, if these are right."
    )
    caption = f"Solid: median; dashed: 16 to 84 %. {cells.outside:,} stars lie outside."
    return figures.place("differences", drawn, "Spectroscopic minus Gaia parallax", caption, text)


def parts_table(found: Sequence[Part]) -> str:
    """Zero-point and pulls of each part of the stars."""
    columns = (
        "stars",
        "median difference<br>[mas]",
        "±<br>[mas]",
        "median<br>pull",
        "width of<br>pulls",
        "beyond<br>3",
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("part", *columns))
    body, group = [], ""
    for part in found:
        if part.group not in (group, "all"):
            group = part.group
            body.append(f'<tr class="group"><th scope="rowgroup" colspan="7">by {escape(group)}</th></tr>')
        cells = (
            f"{part.difference.n:,}",
            number(part.difference.median, "+.4f"),
            number(part.difference.e_median, ".4f"),
            number(part.pull.median, "+.2f"),
            number(part.pull.half_width, ".2f"),
            share(part.pull.beyond_3),
        )
        shown = "".join(f"<td>{cell}</td>" for cell in cells)
        body.append(f'<tr><th scope="row">{escape(part.name)}</th>{shown}</tr>')
    caption = (
        "By class (of the section on luminosity), S/N, extinction A_Ks and telescope. Metallicities are not "
        "in this database, so there is no part by [Fe/H]."
    )
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="Parts of the comparison with Gaia">'
        f'<table class="numbers wide"><caption>{caption}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
