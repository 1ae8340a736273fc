"""The result of one star as a figure: its spectrum, its draws, and its place among colours and luminosities."""

from typing import TYPE_CHECKING

import numpy as np

from astra.ingest.values import A_J_PER_A_K
from astra.modelling.simulator import compact
from astra.spectra.apstar import ApStarFile
from astra.spectra.combined import CombinedSpectrum
from astra.spectra.grid import CHIPS, DETECTORS, wavelength
from astra.spectra.lines import LINES
from astra.spectra.rectify import masked, rectify
from astra.stars.text import lines_of, name_of
from astra.system.extras import needed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from astra.stars.star_distance import StarDistance

_COLOURS = ("tab:blue", "tab:green", "tab:red")
_LAYOUT = (("blue", "blue"), ("green", "green"), ("red", "red"), ("draws", "place"))


def plotted(star: "StarDistance") -> dict[str, "Axes"]:
    """Draw one star with pyplot, as :meth:`StarDistance.plot` says."""
    pyplot = needed("matplotlib.pyplot", "plot", "plots")
    if not star.isscalar:
        raise TypeError(f"a plot shows one star, and these are {len(star)}: plot one of them, e.g. stars[0]")
    figure, axes = pyplot.subplot_mosaic(
        _LAYOUT, figsize=(10, 10), height_ratios=(1, 1, 1, 1.8), layout="constrained"
    )
    (_, distance), *_ = lines_of(star)
    figure.suptitle(f"{name_of(star)}: {distance}")
    _draw_spectrum(axes, star)
    _draw_draws(axes["draws"], star)
    _draw_place(axes["place"], star)
    return axes


def _draw_spectrum(axes: dict[str, "Axes"], star: "StarDistance") -> None:
    spectrum = star.spectra
    if not isinstance(spectrum, CombinedSpectrum):
        with ApStarFile.opened(spectrum) as file:
            spectrum = file.combined()
    arrays = spectrum.flux, spectrum.e_flux, spectrum.pixel_flags
    flux, e_flux = rectify(*arrays)
    hidden = masked(*arrays)
    flux = np.where(hidden, np.nan, flux)
    low, high = np.nanpercentile(flux, (0.3, 99.7)) if not hidden.all() else (0.5, 1.1)
    for panel, chip, (first, end), colour in zip(_LAYOUT, CHIPS, DETECTORS, _COLOURS, strict=False):
        axis, where = axes[panel[0]], wavelength()[first:end]
        axis.fill_between(
            where, (flux - e_flux)[chip], (flux + e_flux)[chip], color=colour, alpha=0.3, linewidth=0
        )
        axis.plot(where, flux[chip], color=colour, linewidth=0.6)
        axis.fill_between(
            where,
            0,
            1,
            where=hidden[chip],
            transform=axis.get_xaxis_transform(),
            color="0.85",
            linewidth=0,
            step="mid",
        )
        axis.set(xlim=where[[0, -1]], ylim=(max(low - 0.1, 0), high + 0.15), ylabel="flux / continuum")
        for line in LINES:
            if where[0] < line.wavelength < where[-1]:
                axis.axvline(line.wavelength, ymin=0.9, color="0.4", linewidth=0.8)
                axis.annotate(
                    line.name,
                    (line.wavelength, 0.89),
                    xycoords=("data", "axes fraction"),
                    rotation=90,
                    ha="center",
                    va="top",
                    fontsize=6,
                )
    axes["red"].set_xlabel("vacuum wavelength at rest [Å]; grey: masked")
