"""How uncertain the distances say that they are: against signal-to-noise ratio and distance."""

import numpy as np

from astra.pipelines.astronn_dist.distances.distance import UNRELIABLE
from astra.report.binning import cells_for, density, log_steps, span, steps
from astra.report.contents import Contents
from astra.report.figures import Figures, add_density, add_line, add_running, log_ticks, plot
from astra.report.numbers import median, running
from astra.report.pages.markup import (
    Section,
    number,
    paragraph,
    share,
)

_CELLS = 120
_LOWEST, _HIGHEST = 0.01, 1.0


def section(contents: Contents, figures: Figures) -> Section:
    """Relative error against S/N and against distance, of all spectra with a distance."""
    rows = contents.rows
    with np.errstate(divide="ignore", invalid="ignore"):
        # Without a magnitude the error is right, but the distance is not.
        relative = np.where(rows["k_mag"] != 0, rows["e_dist"] / rows["dist"], np.nan)
    if not np.isfinite(relative).any():
        return Section("errors", "Stated errors", "")
    caption = (
        "All spectra with a distance that rests on a magnitude, good or not. Solid: median; dashed: 16 to "
        "84 %; dotted: where "
        f"<code>flag_fakemag_unreliable</code> begins ({UNRELIABLE:g})."
    )
    body = "".join(
        (
            paragraph(caption),
            '<div class="pair">',
            _against(figures, "snr", rows["snr"], relative, "S/N per pixel", (20, 300)),
            _against(figures, "far", rows["dist"], relative, "distance [pc]", (200, 10_000)),
            "</div>",
        )
    )
    return Section("errors", "Stated errors", body)


def _against(
    figures: Figures,
    name: str,
    x: np.ndarray,
    relative: np.ndarray,
    label: str,
    least: tuple[float, float],
) -> str:
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
    title = label.partition(" [")[0]
    summary = (
        f"Median relative error {number(100 * median(relative), '.1f')} % of {len(x):,} spectra; "
        f"{share((relative >= UNRELIABLE).mean())} are at {UNRELIABLE:g} or above."
    )
    return figures.place(f"error-{name}", drawn, f"Relative error against {title}", "", summary)
