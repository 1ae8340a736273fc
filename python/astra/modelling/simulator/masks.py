"""Pixel masks like those of co-added spectra: bad pixels, sky lines, tellurics and persistence.

The statistics are those of 22 real files of three data releases: a few per cent of bad pixels that grow with
the number of visits, sky lines over 3 to 58 per cent of a spectrum, persistence in the blue.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astra.errors import ConfigError
from astra.modelling.simulator.simulator import reading
from astra.spectra import grid
from astra.spectra.apstar import read_combined

#: The 7514 pixels of the detectors.
COVERED = np.concatenate([np.arange(*detector) for detector in grid.DETECTORS])

# The most that the velocity of a star shifts sky lines and tellurics [pixels].
SHIFT = 60

# Pixels to either side that resampling spreads the mask of a sky line over.
_SPREAD = 2

# How long the runs of bad pixels are, and which bits they have, with their shares.
_RUN_LENGTHS, _RUN_SHARES = np.arange(1, 9), (0.06, 0.21, 0.24, 0.10, 0.29, 0.05, 0.025, 0.025)
_PIXEL, _DARK, _FLAT, _COSMIC = (1 << bit for bit in (grid.BADPIX, grid.BADDARK, grid.BADFLAT, grid.CRPIX))
_FAULTS = np.array([_PIXEL | _DARK | _FLAT, _COSMIC, _PIXEL | _FLAT, _PIXEL | _DARK, _PIXEL], np.int32)
_FAULT_SHARES = (0.62, 0.17, 0.10, 0.09, 0.02)

# Of spectra without a detector: how many lack a part of it only, and how many lack another one as well.
_LOST_IN_PART, _LOST_TWO = 0.4, 0.1


@dataclass(frozen=True)
class MaskModel:
    """Draws masks, from a model and from those of real spectra."""

    patterns: np.ndarray
    """Masks of real spectra to take patterns from, integers of shape (M, 8575); M may be 0."""

    real_share: float = 0.5
    """Share of spectra that get a real pattern, if there are any."""

    sky_cover: tuple[float, float] = (0.14, 0.8)
    """Median of the share of pixels below a sky line, and the scatter of its logarithm."""

    lost_detector: float = 0.0
    """Share of spectra without a detector, or without a large part of one."""

    def draw(self, n_visits: np.ndarray, shift: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Masks of N spectra.

        Args:
            n_visits: Number of visits, shape (N,).
            shift: Pixels that the velocity of the star shifts sky lines by, shape (N,); at most ``SHIFT``.
            rng: Source of randomness.

        Returns:
            Mask bits, int32 of shape (N, 8575). Tellurics lie where :func:`telluric_depth` has them.
        """
        n = len(n_visits)
        flags = self._sky_lines(n_visits, shift, rng)
        flags |= _bad_pixels(n_visits, rng) | _bands(n, rng)
        telluric = _flagged(telluric_depth(shift), rng.uniform(0.04, 0.17, n), grid.TELLURIC)
        if len(self.patterns):
            for row in np.flatnonzero(rng.uniform(size=n) < self.real_share):
                flags[row] = self._pattern(rng) & ~(1 << grid.TELLURIC)
        return flags | telluric | _lost_detectors(n, self.lost_detector, rng)

    def _sky_lines(self, n_visits: np.ndarray, shift: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sky, _ = _atmosphere()
        brightest = _shifted(sky, shift)
        # The Earth moves between visits, and each brings its own lines.
        for visit in range(1, min(4, n_visits.max())):
            rows = np.flatnonzero(n_visits > visit)
            moved = shift[rows] + rng.integers(-7, 8, len(rows))
            brightest[rows] = np.maximum(brightest[rows], _shifted(sky, moved))
        median, scatter = self.sky_cover
        share = np.exp(np.log(median) + scatter * rng.standard_normal(len(shift)))
        return _flagged(brightest, np.clip(share, 0.01, 0.62), grid.SKYLINE)

    def _pattern(self, rng: np.random.Generator) -> np.ndarray:
        """A real pattern, or the union of two, shifted as by another velocity."""
        mask = np.zeros(grid.N_GRID, np.int32)
        for _ in range(1 + (rng.uniform() < 0.25)):
            pattern = self.patterns[rng.integers(len(self.patterns))]
            mask |= np.roll(pattern, rng.integers(-SHIFT, SHIFT + 1))
        return mask


def read_patterns(folder: Path) -> np.ndarray:
    """Masks of the combined spectra of all apStar files in a folder, int32 of shape (M, 8575).

    Raises:
        ConfigError: There is none, or one cannot be read.
    """
    paths = sorted(folder.glob("a[ps]Star-*.fits"))
    if not paths:
        raise ConfigError(f"masks: no apStar files in {folder}; give a folder that holds some")
    patterns = []
    for path in paths:
        with reading("masks", path, "give a folder of sound apStar files"):
            patterns.append(read_combined(path).pixel_flags)
    return np.stack(patterns)


@functools.cache
def _atmosphere() -> tuple[np.ndarray, np.ndarray]:
    """Brightness of the sky and depth of tellurics at each pixel of the observer, arbitrary scales.

    The lines have random wavelengths: their number, widths and strengths matter, their wavelengths do not,
    because each star has another velocity.
    """
    rng = np.random.default_rng(1670)
    pixel = np.arange(-2 * SHIFT, grid.N_GRID + 2 * SHIFT)
    sky, telluric = np.zeros(len(pixel)), np.zeros(len(pixel))
    for centre, strength in zip(rng.uniform(*pixel[[0, -1]], 360), rng.lognormal(0, 1.5, 360), strict=True):
        sky += strength / (1 + ((pixel - centre) / 1.6) ** 2) ** 1.5
    # Resampling carries the mask of a pixel to its neighbours.
    reach = 2 * _SPREAD + 1
    sky = np.lib.stride_tricks.sliding_window_view(np.pad(sky, _SPREAD, mode="edge"), reach).max(axis=1)
    for band in rng.uniform(pixel[0], pixel[-1], 9):
        width = rng.uniform(60, 250)
        for centre in rng.normal(band, width, 25):
            telluric += rng.lognormal(0, 0.7) * np.exp(-0.5 * ((pixel - centre) / 2.0) ** 2)
    return sky.astype(np.float32), telluric.astype(np.float32)


def _shifted(profile: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """A profile of the atmosphere as seen by stars of other velocities, shape (N, 8575)."""
    return profile[np.arange(grid.N_GRID) + 2 * SHIFT - shift[:, None]]


def telluric_depth(shift: np.ndarray) -> np.ndarray:
    """Depth of the tellurics in the frame of stars with these shifts, at most 1, shape (N, 8575)."""
    _, telluric = _atmosphere()
    return _shifted(telluric / telluric.max(), shift)


def _flagged(values: np.ndarray, share: np.ndarray, bit: int) -> np.ndarray:
    """Flags with this bit where the largest values lie, on about this share of the covered pixels."""
    ordered = np.sort(values[:, COVERED[::7]], axis=1)
    index = np.clip(((1 - share) * ordered.shape[1]).astype(int), 0, ordered.shape[1] - 1)
    limits = ordered[np.arange(len(values)), index]
    return (values > limits[:, None]).astype(np.int32) << bit


def _bad_pixels(n_visits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Faults of the detector: short runs, the more the more visits landed on different pixels."""
    n = len(n_visits)
    share = 0.0075 * n_visits**0.9 * rng.lognormal(0, 0.35, n)
    number = rng.poisson(share * grid.N_GRID / np.dot(_RUN_LENGTHS, _RUN_SHARES))
    row = np.repeat(np.arange(n), number)
    start = rng.integers(0, grid.N_GRID - _RUN_LENGTHS[-1], len(row))
    length = rng.choice(_RUN_LENGTHS, len(row), p=_RUN_SHARES)
    fault = rng.choice(_FAULTS, len(row), p=_FAULT_SHARES)
    flags = np.zeros((n, grid.N_GRID), np.int32)
    for offset in range(_RUN_LENGTHS[-1]):
        long = length > offset
        np.bitwise_or.at(flags, (row[long], start[long] + offset), fault[long])
    return flags


def _lost_detectors(n: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Bad pixels over a whole detector, or over a third of it or more from one end; seldom over two."""
    flags = np.zeros((n, grid.N_GRID), np.int32)
    for row in np.flatnonzero(rng.uniform(size=n) < share):
        for number in rng.permutation(3)[: 1 + (rng.uniform() < _LOST_TWO)]:
            begin, end = grid.DETECTORS[number]
            if rng.uniform() < _LOST_IN_PART:
                length = int(rng.uniform(1 / 3, 1) * (end - begin))
                begin, end = (begin, begin + length) if rng.uniform() < 0.5 else (end - length, end)
            flags[row, begin:end] = 1 << grid.BADPIX
    return flags


def _bands(n: int, rng: np.random.Generator) -> np.ndarray:
    """The ghost of the grating, and persistence: in most spectra the blue detector, in all some bands."""
    flags = np.zeros((n, grid.N_GRID), np.int32)
    blue, green, _ = grid.DETECTORS
    for row in flags:
        ghost = rng.integers(4100, 4500)
        row[ghost : ghost + rng.integers(60, 160)] |= 1 << grid.LITTROW
        if rng.uniform() < 0.64:
            row[blue[0] + int(rng.exponential(100)) : blue[1]] |= 1 << grid.PERSIST_HIGH
            _add_bands(row, grid.PERSIST_MED, blue, rng.choice((0.03, 0.4)), rng)
        _add_bands(row, grid.PERSIST_MED, green, rng.uniform(0.1, 0.45), rng)
        _add_bands(row, grid.PERSIST_LOW, green, rng.uniform(0.15, 0.8), rng)
    return flags


def _add_bands(
    row: np.ndarray, bit: int, detector: tuple[int, int], share: float, rng: np.random.Generator
) -> None:
    """Set a bit in a few bands that cover about this share of a detector."""
    number = rng.integers(2, 7)
    width = int(share * (detector[1] - detector[0]) / number)
    for start in rng.integers(detector[0], detector[1] - width, number):
        row[start : start + width] |= 1 << bit
