"""Where the stars are on the sky: a Mollweide map in Galactic coordinates."""

import numpy as np

from astra.report.binning import cells_for, density, steps
from astra.report.contents import Contents
from astra.report.figures import Figures, add_density, add_line, add_text, plot
from astra.report.geometry import graticule, mollweide
from astra.report.pages.markup import Section, share

_CELLS = 100


def section(contents: Contents, figures: Figures) -> Section:
    """The map, of all spectra with coordinates, whatever their result."""
    rows = contents.rows
    known = np.isfinite(rows["l"]) & np.isfinite(rows["b"])
    if not known.any():
        return Section("sky", "On the sky", "")
    l, b = rows["l"][known], rows["b"][known]  # noqa: E741
    number_of_cells = cells_for(len(l), _CELLS)
    cells = density(*mollweide(l, b), steps(-2, 2, 2 * number_of_cells), steps(-1, 1, number_of_cells))
    drawn = plot("", "", (-2, 2), (-1, 1), aspect=1.8, equal=True)
    drawn.axis.visible = False
    drawn.grid.visible = False
    add_density(drawn, cells, "spectra")
    lines = graticule()
    for number, (x, y) in enumerate(lines):
        edge = number in (0, 12)
        add_line(drawn, x, y, "muted", line_width=1.2 if edge else 0.6, line_alpha=1 if edge else 0.45)
    for longitude in (120, 60, 0, 300, 240):
        (x,), (y,) = mollweide(np.array([longitude]), np.array([0.0]))
        add_text(drawn, x, y, f"{longitude}°", text_align="center", text_baseline="bottom")
    for latitude in (-60, -30, 30, 60):
        (x,), (y,) = mollweide(np.array([-179.99]), np.array([float(latitude)]))
        side = {"text_align": "left", "x_offset": 3}
        add_text(drawn, x, y, f"{latitude:+d}°".replace("-", "−"), "muted", text_baseline="middle", **side)
    near = np.abs(b) < 10
    north = (b > 0).mean()
    summary = (
        f"{known.sum():,} spectra have coordinates: {share(near.mean())} lie within 10° of the Galactic "
        f"plane, {share(north)} north of it."
    )
    caption = (
        "Mollweide projection of Galactic coordinates, which keeps areas: the centre of the Galaxy is in the "
        "middle, longitude grows to the left. Lines are 30° apart."
    )
    return Section("sky", "On the sky", figures.place("sky", drawn, "Spectra on the sky", caption, summary))
