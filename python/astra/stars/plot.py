"""The result of one star as a figure: its spectrum, its draws, its place among colours and luminosities."""

from typing import TYPE_CHECKING, Any

import numpy as np

from astra.ingest.values import A_J_PER_A_K
from astra.spectra.apstar import ApStarFile
from astra.spectra.combined import CombinedSpectrum
from astra.spectra.grid import CHIPS, DETECTORS, wavelength
from astra.spectra.lines import LINES
from astra.spectra.rectify import rectify, seen
from astra.stars.converters import fakemag_to_absmag
from astra.stars.text import distance_of, fitness, name_of
from astra.system.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from astra.stars.star_distance import StarDistance

_DETECTORS = ("blue", "green", "red")
_LAYOUT: list[Any] = [*([name] * 2 for name in _DETECTORS), ["draws", "place"]]

# Simulated stars.
_OTHERS = 4000


def plotted(star: "StarDistance") -> dict[str, "Axes"]:
    """Draw one star with pyplot, as :meth:`.StarDistance.plot` says."""
    require("matplotlib", "plot()", "plot")
    from matplotlib import pyplot

    if not star.isscalar:
        raise TypeError(f"a plot shows one star, and these are {len(star)}: plot one of them, e.g. stars[0]")
    flux, e_flux = _rectified(star.spectrum)
    figure, axes = pyplot.subplot_mosaic(
        _LAYOUT, figsize=(10, 11), height_ratios=[1, 1, 1, 1.8], layout="constrained"
    )
    figure.suptitle(f"{name_of(star)}: {distance_of(star)}\n{fitness(star)}")
    low, high = np.nanpercentile(flux, (0.2, 99.8)) if np.isfinite(flux).any() else (0.5, 1.0)
    for name, chip, detector in zip(_DETECTORS, CHIPS, DETECTORS, strict=True):
        _draw_detector(axes[name], wavelength()[slice(*detector)], flux[chip], e_flux[chip], f"tab:{name}")
        axes[name].set_ylim(max(low - 0.1, 0), high + 0.2)
    axes["green"].set_ylabel("flux / continuum")
    axes["red"].set_xlabel("vacuum wavelength at rest [Å]; grey: masked pixels")
    _draw_draws(axes["draws"], star)
    _draw_place(axes["place"], star)
    return axes


def _rectified(spectrum: CombinedSpectrum | str) -> tuple[np.ndarray, np.ndarray]:
    """Rectified flux and error, NaN where a pixel holds no measurement."""
    if not isinstance(spectrum, CombinedSpectrum):
        with ApStarFile.opened(spectrum) as file:
            spectrum = file.combined()
    flux, e_flux = rectify(spectrum.flux, spectrum.e_flux, spectrum.pixel_flags)
    hidden = ~seen(flux, e_flux)
    return np.where(hidden, np.nan, flux), np.where(hidden, np.nan, e_flux)


def _draw_detector(axis: "Axes", where: np.ndarray, flux: np.ndarray, error: np.ndarray, colour: str) -> None:
    masked, full_height = np.isnan(flux), axis.get_xaxis_transform()
    axis.fill_between(where, 0, 1, where=masked, transform=full_height, step="mid", color="0.85", linewidth=0)
    axis.fill_between(where, flux - error, flux + error, color=colour, alpha=0.3, linewidth=0)
    axis.plot(where, flux, color=colour, linewidth=0.6)
    axis.set_xlim(where[0], where[-1])
    for line in LINES:
        if line.strong and where[0] < line.wavelength < where[-1]:
            axis.axvline(line.wavelength, ymin=0.93, color="0.4", linewidth=0.8)
            place, system = (line.wavelength, 0.92), ("data", "axes fraction")
            axis.annotate(line.name, place, xycoords=system, rotation=90, ha="center", va="top", fontsize=6)


def _draw_draws(axis: "Axes", star: "StarDistance") -> None:
    magnitudes = fakemag_to_absmag(star.draws).value
    magnitudes = magnitudes[np.isfinite(magnitudes)]
    axis.set(xlabel=f"M_Ks of each of {len(magnitudes)} draws [mag]", ylabel="draws")
    if len(magnitudes):
        axis.hist(magnitudes, bins="auto", color="0.7")
        middle, error = star.m_ks_abs.value, star.e_m_ks_abs.value
        axis.axvline(middle, color="tab:red")
        axis.axvspan(middle - error, middle + error, color="tab:red", alpha=0.15)
        axis.set_title("red: the result and its total error", fontsize="medium")


def _draw_place(axis: "Axes", star: "StarDistance") -> None:
    from astra.modelling.simulator import compact

    others = compact.load().population.draw(_OTHERS, np.random.default_rng(0), mix=None)
    axis.scatter(others.abs_j - others.abs_ks, others.abs_ks, s=2, color="0.75", label="simulated stars")
    colour = (star.j_mag - star.k_mag - (A_J_PER_A_K - 1) * star.A_k_mag).value
    middle, error = star.m_ks_abs.value, star.e_m_ks_abs.value
    if np.isfinite(colour):
        axis.errorbar(colour, middle, error, fmt="o", color="tab:red", label=name_of(star))
    elif np.isfinite(middle):
        axis.axhspan(
            middle - error, middle + error, color="tab:red", alpha=0.3, label=f"{name_of(star)}: no J"
        )
    corrected = "" if star.flag_missing_extinction else "free of extinction "
    axis.set(xlabel=f"J - Ks {corrected}[mag]", ylabel="M_Ks [mag]")
    axis.invert_yaxis()
    axis.legend(loc="lower left")
