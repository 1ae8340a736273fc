"""The noise of real spectra, from the differences between visits to the same star, next to simulated noise.

    python benchmarks/real_noise.py [--spectra ../shared/data/apstar] [--figure docs/noise.png]

Of each file, every visit is compared with the next: their difference, after the smooth ratio of the two was
taken out, in units of its stated error. Pixels that either visit masks are left out, and so are eclipsing
binaries, whose spectra change, and what is more than four standard deviations off. The profiles are those
of the errors of all visits together, relative to the continuum.

The numbers of astra/modelling/simulator/noise.py come from the tables that this prints; the figure shows
them, and the same measurement of simulated noise.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy.ndimage import median_filter, percentile_filter

from astra.modelling.simulator.noise import correlated, draw_profiles, draw_understatement
from astra.pipelines.astronn_dist.weights.validity import SIGMA_PER_MAD
from astra.spectra.grid import DETECTORS, LITTROW, PERSIST_HIGH, PERSIST_LOW, PERSIST_MED, TELLURIC
from astra.spectra.rectify import MASKED_BITS

SHARED = Path("../shared/data/apstar")
NAMES = "blue", "green", "red"

#: Separations of pixels at which the correlation is measured.
LAGS = np.arange(1, 61)

# Pixels at the ends of detectors that are left out.
_END = 30

# Width of the running median that takes out what differs smoothly between two visits [pixels].
_SMOOTH = 401

# A part of a detector with fewer good pixels says nothing.
_FEWEST = 400

_PERSISTENCE = {"HIGH": 1 << PERSIST_HIGH, "MED": 1 << PERSIST_MED, "LOW": 1 << PERSIST_LOW}
_DOUBTFUL = MASKED_BITS | 1 << LITTROW | 1 << TELLURIC


@dataclass(frozen=True)
class File:
    """Flux, error and mask of one star, float64 and int of shape (rows, 8575)."""

    flux: np.ndarray
    error: np.ndarray
    flags: np.ndarray
    changes: bool
    """Whether the star itself changes from visit to visit."""

    def good(self, row: int, pixels: slice, bits: int = _DOUBTFUL) -> np.ndarray:
        """Measured pixels of a row without any of these bits."""
        flux, error = self.flux[row, pixels], self.error[row, pixels]
        return (flux > 0) & (error > 0) & (error < 1e9) & ((self.flags[row, pixels] & bits) == 0)


def read(folder: Path) -> list[File]:
    """All files of a folder."""
    with (folder / "targets.csv").open() as lines:
        kinds = {row["file"]: row["kind"] for row in csv.DictReader(lines)}
    files = []
    for path in sorted(folder.glob("apStar-*.fits")):
        arrays = [np.atleast_2d(fits.getdata(path, number)) for number in (1, 2, 3)]
        flux, error = (array.astype(float) for array in arrays[:2])
        files.append(File(flux, error, arrays[2].astype(int), "eclipsing" in kinds[path.name]))
    return files


# > Correlation and understatement


def differences(file: File, number: int) -> Iterator[np.ndarray]:
    """Differences of neighbouring visits on a detector, in units of the stated error; NaN where unknown."""
    pixels = slice(DETECTORS[number][0] + _END, DETECTORS[number][1] - _END)
    for row in range(2, len(file.flux) - 1):
        good = file.good(row, pixels) & file.good(row + 1, pixels)
        if good.sum() < _FEWEST:
            continue
        first, second = file.flux[row, pixels], file.flux[row + 1, pixels]
        place = np.flatnonzero(good)
        ratio = np.interp(np.arange(len(good)), place, first[place] / second[place])
        ratio = median_filter(ratio, _SMOOTH, mode="nearest")
        found = (first - ratio * second) / np.hypot(
            file.error[row, pixels], ratio * file.error[row + 1, pixels]
        )
        yield np.where(good, found, np.nan)


def spread(values: np.ndarray) -> float:
    """Standard deviation from the median absolute deviation, without what is NaN."""
    return float(SIGMA_PER_MAD * np.nanmedian(np.abs(values - np.nanmedian(values))))


def correlation(values: np.ndarray) -> np.ndarray:
    """Correlation of pixels at each of ``LAGS``, without what is NaN or more than four spreads off."""
    values = values - np.nanmedian(values)
    values = np.where(np.abs(values) > 4 * spread(values), np.nan, values)
    return np.array([np.nanmean(values[lag:] * values[:-lag]) for lag in LAGS]) / np.nanmean(values**2)


def measured(files: list[File], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlation, shape (stars, lags), and understatement, shape (stars,), of a detector."""
    correlations, understatements = [], []
    for file in files:
        found = [] if file.changes else list(differences(file, number))
        if found:
            correlations.append(np.mean([correlation(each) for each in found], axis=0))
            understatements.append(np.mean([spread(each) for each in found]))
    return np.array(correlations), np.array(understatements)


# > Stated errors


def of_visits(file: File) -> np.ndarray:
    """Error relative to the flux that all visits together have, shape (8575,); infinity where none is good.

    Persistence makes the errors of combined spectra larger, not those of visits.
    """
    visits = range(2, len(file.flux)) if len(file.flux) > 2 else range(1)
    weight = np.zeros(file.flux.shape[1])
    for row in visits:
        good = file.good(row, slice(None), MASKED_BITS)
        weight[good] += (file.flux[row, good] / file.error[row, good]) ** 2
    with np.errstate(divide="ignore"):
        return 1 / np.sqrt(weight)


def profile(file: File, number: int) -> np.ndarray:
    """Logarithm of the error of all visits over the continuum; NaN in pixels that are not good."""
    pixels = slice(*DETECTORS[number])
    error = of_visits(file)[pixels]
    good = file.good(0, pixels, MASKED_BITS) & np.isfinite(error)
    if good.sum() < _FEWEST:
        return np.full(len(good), np.nan)
    flux = np.interp(np.arange(len(good)), np.flatnonzero(good), file.flux[0, pixels][good])
    continuum = percentile_filter(flux, 80, 301, mode="nearest")
    return np.where(good, np.log(error * flux / continuum), np.nan)


def legendre(values: np.ndarray) -> np.ndarray:
    """Legendre coefficients 0 to 3 of a profile."""
    x, known = np.linspace(-1, 1, len(values)), np.isfinite(values)
    return np.polynomial.legendre.legfit(x[known], values[known], 3)


def coefficients(files: list[File]) -> np.ndarray:
    """Legendre coefficients of each star and detector, (stars, 3, 4); the mean of the three levels is 0."""
    found = np.array([[legendre(profile(file, number)) for number in range(3)] for file in files])
    found[:, :, 0] -= found[:, :, 0].mean(axis=1, keepdims=True)
    return found


def inflation(files: list[File]) -> Iterator[tuple[str, np.ndarray]]:
    """By how much persistence makes the errors of combined spectra larger, one number for each star."""
    for number in (0, 1):
        pixels = slice(*DETECTORS[number])
        for name, bit in _PERSISTENCE.items():
            factors = []
            for file in files:
                with np.errstate(divide="ignore", invalid="ignore"):
                    factor = (file.error[0] / file.flux[0] / of_visits(file))[pixels]
                chosen = file.good(0, pixels, MASKED_BITS) & ((file.flags[0, pixels] & bit) > 0)
                if len(file.flux) > 2 and chosen.sum() > 30:
                    factors.append(np.median(factor[chosen]))
            yield f"{NAMES[number]} {name}", np.sort(factors)


# > What is shown


def print_tables(files: list[File]) -> None:
    """Everything that was measured."""
    for number, name in enumerate(NAMES):
        correlations, understatements = measured(files, number)
        middle = np.median(correlations, axis=0)
        print(f"{name}: {len(correlations)} stars")
        print(
            "  noise over stated error, 10, 50, 90 %: ",
            _numbers(np.percentile(understatements, [10, 50, 90])),
        )
        print("  correlation at lags 1 to 8:            ", _numbers(middle[:8]))
        print("  scatter from star to star:             ", _numbers(_scatter(correlations)[:8]))
        far = {
            f"{low}-{high}": middle[low - 1 : high].mean()
            for low, high in ((9, 14), (15, 25), (26, 40), (41, 60))
        }
        print(
            "  further away:                          ", {key: round(float(v), 3) for key, v in far.items()}
        )
    found = coefficients(files)
    print("ln(stated error of all visits / continuum), Legendre orders 0 to 3: median, and scatter")
    for name, values in zip(NAMES, found.swapaxes(0, 1), strict=True):
        print(f"  {name:6s}", _numbers(np.median(values, axis=0)), " ", _numbers(_scatter(values)))
    print("error of the combined spectrum over that of all visits together, below persistence")
    for name, factors in inflation(files):
        print(f"  {name:11s}", _numbers(factors))


def _scatter(values: np.ndarray) -> np.ndarray:
    return SIGMA_PER_MAD * np.median(np.abs(values - np.median(values, axis=0)), axis=0)


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:6.3f}" for value in values)


def simulated_correlation(number: int) -> np.ndarray:
    """The same measurement of simulated noise, by the same filter."""
    begin, end = DETECTORS[number]
    noise = correlated(64, np.random.default_rng(0))[:, begin + _END : end - _END]
    return np.mean([correlation(row - median_filter(row, _SMOOTH, mode="nearest")) for row in noise], axis=0)


def draw_figure(files: list[File], path: Path) -> None:
    """Correlation, understatement and profiles of real spectra, with those of the simulator above them."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 3, figsize=(11, 8), sharey="row", layout="constrained")
    rng = np.random.default_rng(0)
    shapes, drawn = np.log(draw_profiles(200, rng)), draw_understatement(2000, rng)
    for number, name in enumerate(NAMES):
        correlations, understatements = measured(files, number)
        top, middle, bottom = axes[:, number]
        top.plot(LAGS, correlations.T, color="0.75", lw=0.6)
        top.plot(LAGS, np.median(correlations, axis=0), color="black", label="real, median")
        top.plot(LAGS, simulated_correlation(number), color="tab:red", ls="--", label="simulated")
        top.set(title=f"{name} detector", xlabel="separation [pixels]", xlim=(0, 60))
        bins = np.arange(0.9, 1.6, 0.05)
        middle.hist(understatements, bins, color="0.7", density=True, label="real")
        middle.hist(drawn[:, number], bins, color="tab:red", histtype="step", density=True, label="simulated")
        middle.set(xlabel="noise / stated error")
        begin, end = DETECTORS[number]
        x = np.arange(begin, end)
        for file in files:
            values = profile(file, number)
            values = median_filter(np.exp(values - np.nanmedian(values)), 25)
            bottom.plot(x, values, color="0.75", lw=0.5)
        low, mid, high = np.exp(np.percentile(shapes[:, begin:end], [16, 50, 84], axis=0))
        level = np.median(mid)
        bottom.fill_between(x, low / level, high / level, color="tab:red", alpha=0.2, lw=0)
        bottom.plot(x, mid / level, color="tab:red", label="simulated")
        bottom.set(xlabel="pixel", ylim=(0.5, 2.5))
    for axis, label in zip(axes[:, 0], ("correlation", "share of stars", "error / its median"), strict=True):
        axis.set_ylabel(label)
        axis.legend(fontsize=8)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def main() -> None:
    """Print the tables, and draw the figure if it is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spectra", type=Path, default=SHARED, help="folder of apStar files and targets.csv")
    parser.add_argument("--figure", type=Path, help="where to write the figure (PNG)")
    arguments = parser.parse_args()
    files = read(arguments.spectra)
    print_tables(files)
    if arguments.figure:
        draw_figure(files, arguments.figure)


if __name__ == "__main__":
    main()
