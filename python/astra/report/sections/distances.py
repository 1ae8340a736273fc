"""How far the stars are."""

import numpy as np

from astra.report.binning import histogram, log_steps, span
from astra.report.classes import CLASSES
from astra.report.contents import Contents
from astra.report.figures import (
    Figures,
    add_histogram,
    add_steps,
    finish_legend,
    log_ticks,
    plot,
)
from astra.report.pages.markup import Section

_BINS = 80


def section(contents: Contents, figures: Figures) -> Section:
    """Histograms of all good stars, and of each class."""
    rows = contents.rows
    chosen = rows.science & (rows["dist"] > 0)
    if not chosen.any():
        return Section("distances", "Distances", "")
    dist, kind = rows["dist"][chosen], rows.kind[chosen]
    low, high = span(dist, least=(200, 10_000), share=0.001)
    edges = np.log10(log_steps(low, high, _BINS))
    whole = histogram(np.log10(dist), edges)
    drawn = plot(
        "distance [pc]", "stars", (edges[0], edges[-1]), (0, 1.08 * max(1, whole.counts.max())), height=400
    )
    log_ticks(drawn.xaxis[0], 10 ** edges[0], 10 ** edges[-1])
    add_histogram(drawn, whole, unit="(log10 pc)", colour="muted")
    for code, name in enumerate(CLASSES):
        if (kind == code).any():
            add_steps(drawn, histogram(np.log10(dist[kind == code]), edges), f"class-{code + 1}", name)
    finish_legend(drawn, "top_left")
    percentiles = " · ".join(
        f"{share} % within {value:,.0f} pc"
        for share, value in zip((10, 50, 90), np.percentile(dist, (10, 50, 90)), strict=True)
    )
    summary = f"Of {len(dist):,} good stars: {percentiles}; the farthest is at {dist.max():,.0f} pc."
    caption = (
        "Filled: all good stars, by their best spectrum; lines: the classes of the section above. A click on "
        f"the legend hides a line. {whole.below + whole.above:,} stars lie beyond the ends."
    )
    body = figures.place("distances", drawn, "How many stars at which distance", caption, summary)
    return Section("distances", "Distances", body)
