"""The mean of simulated spectra against the mean of the real ones that the published model was trained on.

Nobody published which stars these were. So the mean is fitted by a mixture: simulated stars are put into bins
of class and temperature, and the shares of the bins, none of them negative, are found by least squares. In
spectra whose pixels are masked, as those behind the published mean were to some extent, lines are shallower
on average; the mixture is fitted without masks, and once more with all of them.

The simulator's response of the detectors was fitted to this very mean. So only what is left of the difference
beyond a smooth curve for each detector is a test of it; the table says both.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from catalogs import Labelled
from measuring import Model
from real_labels import stars_with
from table import Line, Section

from astra.errors import ConfigError
from astra.modelling.simulator.emulators import EMULATED
from astra.modelling.simulator.sample import CHUNK, Sample, observed, simulate_chunks
from astra.modelling.simulator.simulator import Conditions, Simulator
from astra.modelling.simulator.stars import Stars
from astra.spectra.grid import CHIPS, DETECTORS, N_PIXELS, wavelength
from astra.spectra.rectify import MASKED_BITS, rectify

PUBLISHED = "astroNN_gaia_dr17_model_3.astroNN_model_parameter.json"

LARGEST_RMS = 0.015

#: Bins in temperature of each class, each with equally many stars.
BINS = {"rgb": 6, "red_clump": 2, "subgiant": 3, "dwarf": 5, "m_dwarf": 2, "hot": 1}

#: Degree of the smooth curve of a detector.
DEGREE = 6

_PIXELS = np.concatenate([np.arange(*detector) for detector in DETECTORS])
COVERED = np.isin(_PIXELS, EMULATED)
WAVELENGTH = wavelength()[_PIXELS]


@dataclass(frozen=True)
class MeanSpectra:
    """Shape (7514,) each: the published mean, and what comes closest to it."""

    published: np.ndarray
    mixture: np.ndarray
    smooth: np.ndarray
    """The smooth part of ``mixture - published``."""


def mean_section(
    model: Model,
    simulator: Simulator,
    patterns: np.ndarray,
    giants: list[Labelled],
    published: Path,
    n: int,
    seed: int,
) -> tuple[Section, MeanSpectra]:
    """Compare means.

    Args:
        model: For its own mean.
        simulator: Where spectra come from.
        patterns: Masks of real spectra.
        giants: Catalogues whose labels give another mean, with no weights fitted.
        published: Folder with the published model's JSON file.
        n: How many stars.
        seed: Of the stars.
    """
    target = read_published(published)
    conditions = replace(Conditions(), noise=False)
    stars, bare, masked = _simulated(simulator, patterns, conditions, n, seed)
    means, means_masked = (_binned(stars, flux) for flux in (bare, masked))
    shares, shares_masked = (mixture_shares(spectra, target) for spectra in (means, means_masked))
    mixture, mixture_masked = shares @ means, shares_masked @ means_masked
    at_labels = np.mean(
        [
            _rectified(chunk, False).mean(axis=0)
            for chunk in _giants(simulator, giants, patterns, conditions, n, seed)
        ],
        axis=0,
    )
    difference = mixture - target
    smooth = smooth_part(difference)
    worst = _worst(difference)
    own = model.weights.tensors["input_mean"]
    rms = {
        "mixture of simulated stars, covered pixels": _rms(difference[COVERED]),
        "the same, beyond a smooth curve for each detector": _rms((difference - smooth)[COVERED]),
        "the same, edges of the detectors": _rms(difference[~COVERED]),
        "masked simulated stars, covered pixels": _rms((mixture_masked - target)[COVERED]),
        "labels of real giants, nothing fitted, covered": _rms((at_labels - target)[COVERED]),
        "the model's own input_mean, covered pixels": _rms((own - target)[COVERED]),
    }
    limits = [LARGEST_RMS, *[np.inf] * (len(rms) - 1)]
    lines = [
        Line(f"rms: {what}", value, high=limit, form=".4f")
        for (what, value), limit in zip(rms.items(), limits, strict=True)
    ]
    lines.append(Line(f"largest difference, at {worst[0][0]:.1f} Angstrom", worst[0][1], form="+.3f"))
    details = {
        "shares": {
            name: round(float(share), 4) for name, share in zip(_bin_names(stars), shares, strict=True)
        },
        "rms_by_detector": [_rms(difference[chip][COVERED[chip]]) for chip in CHIPS],
        "worst": [{"wavelength": place, "difference": value} for place, value in worst],
    }
    section = Section("mean simulated spectrum against the published input_mean", lines, details)
    return section, MeanSpectra(target, mixture, smooth)


def read_published(folder: Path) -> np.ndarray:
    """The published mean of rectified flux, shape (7514,).

    Raises:
        ConfigError: The file is missing, or is not the published one.
    """
    path = folder / PUBLISHED
    try:
        mean = np.array(json.loads(path.read_text())["input_mean"]["input"], float)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"published model {path}: {error}; give the data with --shared") from error
    if mean.shape != (N_PIXELS,):
        raise ConfigError(f"published model {path}: input_mean has shape {mean.shape}, not ({N_PIXELS},)")
    return mean


def mixture_shares(spectra: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Shares of K spectra (K, 7514) whose mixture is nearest to the target on covered pixels, shape (K,).

    Least squares with no share negative, by the active set of Lawson & Hanson (1974, Solving Least Squares
    Problems, chapter 23). That their sum is 1 is not asked for, but comes out: all spectra have a continuum.
    """
    spectra = spectra[:, COVERED]
    gram, right = spectra @ spectra.T, spectra @ target[COVERED]
    shares, is_used = np.zeros(len(spectra)), np.zeros(len(spectra), bool)
    while True:
        gain = np.where(is_used, 0.0, right - gram @ shares)
        if gain.max() <= 1e-9 * right.max():
            return shares
        is_used[gain.argmax()] = True
        while True:
            solution = np.zeros(len(spectra))
            solution[is_used] = np.linalg.solve(gram[np.ix_(is_used, is_used)], right[is_used])
            if (solution[is_used] > 0).all():
                break
            # Go towards the solution until the first share is 0, and use no longer what is 0 there.
            falling = np.flatnonzero(is_used & (solution <= 0))
            steps = shares[falling] / (shares[falling] - solution[falling])
            shares = shares + steps.min() * (solution - shares)
            is_used &= shares > 1e-12
        shares = solution


def smooth_part(difference: np.ndarray) -> np.ndarray:
    """A polynomial through the covered pixels of each detector, shape (7514,)."""
    smooth = np.empty(N_PIXELS)
    for chip in CHIPS:
        x, known = np.linspace(-1, 1, len(difference[chip])), COVERED[chip]
        fit = np.polynomial.legendre.legfit(x[known], difference[chip][known], DEGREE)
        smooth[chip] = np.polynomial.legendre.legval(x, fit)
    return smooth


def _simulated(
    simulator: Simulator, patterns: np.ndarray, conditions: Conditions, n: int, seed: int
) -> tuple[Stars, np.ndarray, np.ndarray]:
    """Stars and their rectified flux, float32 of shape (N, 7514), without and with masks."""
    chunks = simulate_chunks(simulator, n, seed, conditions, patterns)
    parts = [(chunk.stars, _rectified(chunk, False), _rectified(chunk, True)) for chunk in chunks]
    stars, bare, masked = zip(*parts, strict=True)
    return Stars.joined(stars), np.concatenate(bare), np.concatenate(masked)


def _bins(stars: Stars) -> list[tuple[str, np.ndarray]]:
    """Class and rows of each bin; in a bin are as many stars as in any other of its class."""
    bins = []
    for kind, count in BINS.items():
        rows = np.flatnonzero(stars.kind == kind)
        parts = np.array_split(rows[np.argsort(stars.teff[rows])], count)
        bins += [(kind, part) for part in parts if len(part)]
    return bins


def _bin_names(stars: Stars) -> list[str]:
    """Class and range of temperature of each bin."""
    return [
        f"{kind} {stars.teff[part].min():.0f}-{stars.teff[part].max():.0f} K" for kind, part in _bins(stars)
    ]


def _binned(stars: Stars, flux: np.ndarray) -> np.ndarray:
    """Mean rectified flux of each bin, shape (K, 7514)."""
    return np.stack([flux[part].mean(axis=0, dtype=float) for _, part in _bins(stars)])


def _rectified(chunk: Sample, with_masks: bool) -> np.ndarray:
    flags = chunk.pixel_flags if with_masks else chunk.pixel_flags & ~MASKED_BITS
    return rectify(chunk.flux, chunk.e_flux, flags)[0].astype(np.float32)


def _giants(
    simulator: Simulator,
    giants: list[Labelled],
    patterns: np.ndarray,
    conditions: Conditions,
    n: int,
    seed: int,
) -> Iterator[Sample]:
    """Spectra at the labels of some stars of each catalogue, equally many of each."""
    rng = np.random.default_rng([seed, 6])
    for catalog in giants:
        some = catalog.take(rng.choice(len(catalog), min(len(catalog), CHUNK, n // 4), replace=False))
        yield observed(simulator, stars_with(some), rng, replace(conditions, companions={}), patterns)


def _worst(difference: np.ndarray, count: int = 8, apart: float = 5.0) -> list[tuple[float, float]]:
    """Wavelength [Angstrom] and difference where this is largest on covered pixels, some Angstrom apart."""
    left = np.where(COVERED, np.abs(difference), 0.0)
    worst = []
    for _ in range(count):
        pixel = int(left.argmax())
        worst.append((round(float(WAVELENGTH[pixel]), 2), round(float(difference[pixel]), 4)))
        left[np.abs(WAVELENGTH - WAVELENGTH[pixel]) < apart] = 0.0
    return worst


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
