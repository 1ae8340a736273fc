"""Published emulators with one formula for each pixel: a quadratic for red giants, networks for others."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astra.modelling.simulator.simulator import Emulator, reading
from astra.modelling.simulator.stars import ALPHA, METALLICITY, TEFF
from astra.spectra.grid import N_GRID

#: First and one-past-last pixel that the emulators cover on each detector; these 7214 pixels; all others.
RANGES = ((322, 3242), (3648, 6048), (6412, 8306))
EMULATED = np.concatenate([np.arange(*pixels) for pixels in RANGES])
NOT_EMULATED = np.delete(np.arange(N_GRID), EMULATED)

#: First and one-past-last pixel of the six ends of detectors that they do not cover.
EDGES = ((246, 322), (3242, 3274), (3585, 3648), (6048, 6080), (6344, 6412), (8306, 8335))


def read_emulators(folder: Path, outer: Emulator) -> tuple[Emulator, Emulator, Emulator, np.ndarray]:
    """Read the published emulators; another one continues them where they cannot be trusted.

    Args:
        folder: Folder with ``cannon_giants`` and ``main_sequence``.
        outer: An emulator of all stars.

    Returns:
        Emulators of giants, of dwarfs, and of the synthetic spectra of any star; and how much real giants
        differ from the first one at each pixel, shape (8575,).

    Raises:
        ConfigError: A file is missing, or is not the published one.
    """
    giants = read_quadratic(folder / "cannon_giants")
    synthetic = Extended(read_synthetic(folder / "main_sequence"), SYNTHETIC_BOX, outer)
    dwarfs = Extended(read_dwarfs(folder / "main_sequence"), DWARF_BOX, synthetic)
    return OnGiantsScale(Extended(giants, GIANT_BOX, synthetic)), dwarfs, synthetic, giants.scatter


@dataclass(frozen=True)
class Extended:
    """An emulator that is continued, outside its box, by the changes that another one predicts."""

    inner: Emulator

    box: tuple[tuple[float, ...], tuple[float, ...]]
    """The lowest and the highest labels for which the emulator can be trusted."""

    outer: Emulator

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~.simulator.Emulator`."""
        clipped = np.clip(labels, *self.box)
        flux = self.inner.spectra(clipped)
        outside = np.flatnonzero((clipped != labels).any(axis=1))
        if len(outside):
            both = np.concatenate([labels[outside], clipped[outside]])
            there, here = np.split(self.outer.spectra(both), 2)
            flux[outside] += there - here
        return flux


# > Red giants

# A quadratic in the labels, "The Cannon" (Ness et al. 2015, ApJ 808, 16).

#: Where 1801 training giants are dense enough; beyond, a quadratic runs away.
GIANT_BOX = (4000.0, 0.8, -1.0, -0.05), (5100.0, 3.5, 0.3, 0.3)

QUADRATIC = "trained_apokasc_gc_ind_feh_fix"

# Differences of the labels that the emulator was fitted with from those of the second scale of the APOKASC
# catalogue (Pinsonneault et al. 2014, ApJS 215, 19), for 1,641 stars in both. Gravities agree: both are
# seismic. With that scale, and not with the emulator's own, the isochrones give the seismic luminosities.
# The differences change with temperature: one value for cool giants, another for warm ones, smooth between.
# Nearly all of these stars have 4230 to 4930 K, logg 1.65 to 3.2, and [Fe/H] -0.8 to +0.3; elsewhere, the
# differences are those of the nearest of them, but for metal-poor stars: those that the emulator was fitted
# to are members of globular clusters, with the metallicities of these.
_BETWEEN = (4430.0, 4630.0)  # [K]
_TEFF = (-20.0, 100.0)  # [K]
_METALLICITY, _METALLICITY_SLOPE = (-0.025, 0.046), -0.175  # [dex]
_RICHEST_POOR, _FADING = -0.8, 0.4  # [dex]: the difference in metallicity falls to 0 over so much below
_ALPHA = (-0.011, 0.041)  # [dex]


@dataclass(frozen=True)
class QuadraticEmulator:
    """One quadratic of four labels per emulated pixel."""

    coefficients: np.ndarray
    """Of 1, the labels, and their 10 products, shape (15, 7214)."""

    baseline: np.ndarray
    """Labels that are subtracted first, shape (4,)."""

    scatter: np.ndarray
    """Scatter of real giants around the quadratic, beyond their noise, shape (8575,)."""

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~.simulator.Emulator`; 1 where nothing is known."""
        offset = labels - self.baseline
        first, second = np.triu_indices(4)
        terms = np.column_stack([np.ones(len(labels)), offset, offset[:, first] * offset[:, second]])
        flux = np.ones((len(labels), N_GRID), np.float32)
        flux[:, EMULATED] = terms.astype(np.float32) @ self.coefficients
        return flux


@dataclass(frozen=True)
class OnGiantsScale:
    """The emulator of giants, for labels on the scale of the isochrones."""

    inner: Emulator

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~.simulator.Emulator`."""
        return self.inner.spectra(on_giants_scale(labels))


def on_giants_scale(labels: np.ndarray) -> np.ndarray:
    """Labels of isochrones on the scale that the emulator of giants was fitted with, shape (N, 4)."""
    warm = rising(labels[:, TEFF], _BETWEEN)
    poor = np.clip((_RICHEST_POOR - labels[:, METALLICITY]) / _FADING, 0, 1)
    metallicity = labels[:, METALLICITY].clip(_RICHEST_POOR, 0.4)
    moved = np.array(labels, float)
    moved[:, TEFF] += _mixed(_TEFF, warm)
    moved[:, METALLICITY] += (_mixed(_METALLICITY, warm) + _METALLICITY_SLOPE * metallicity) * (1 - poor)
    moved[:, ALPHA] += _mixed(_ALPHA, warm)
    return moved


def rising(value: np.ndarray, between: tuple[float, float]) -> np.ndarray:
    """0 up to the first limit, 1 from the second on, smooth between."""
    share = np.clip((value - between[0]) / (between[1] - between[0]), 0, 1)
    return share * share * (3 - 2 * share)


def _mixed(values: tuple[float, float], share: np.ndarray) -> np.ndarray:
    return values[0] + (values[1] - values[0]) * share


def read_quadratic(folder: Path) -> QuadraticEmulator:
    """Read the published model of giants.

    Raises:
        ConfigError: A file is missing, or is not the published one.
    """
    coefficients = _numbers(folder / f"{QUADRATIC}.txt", (15, len(EMULATED))).astype(np.float32)
    scatter = _numbers(folder / f"{QUADRATIC}_scatter.txt", (len(EMULATED),))
    everywhere = np.full(N_GRID, np.median(scatter), np.float32)
    everywhere[EMULATED] = scatter
    return QuadraticEmulator(coefficients, _numbers(folder / "baseline_labels.txt", (4,)), everywhere)


def _numbers(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    with reading("emulator of giants", path, "give the folder of spectra models"):
        return np.array(path.read_text().split(), float).reshape(shape)


# > Dwarfs, and synthetic spectra of any star

# Networks of five hidden units, "The Payne" (Ting et al. 2019, ApJ 879, 69).

#: Dwarfs, fitted to real spectra (El-Badry et al. 2018, MNRAS 476, 528).
DWARF_BOX = (4250.0, 4.02, -0.75, -0.1), (6950.0, 4.95, 0.35, 0.4)

#: Synthetic spectra of all kinds of stars.
SYNTHETIC_BOX = (3550.0, 0.4, -0.95, -0.3), (6950.0, 5.15, 0.45, 0.6)

# The published synthetic spectra lie redward of both the real giants and the real dwarfs by this [pixels].
SYNTHETIC_SHIFT = 0.35

#: Macroturbulence that goes with the spectra of dwarfs [km/s]; other broadening is added to the spectrum.
VMACRO = 2.0


@dataclass(frozen=True)
class NeuralEmulator:
    """Networks whose arrays are named as in the published files."""

    w_hidden: np.ndarray
    """Shape (7214, 5, labels)."""

    b_hidden: np.ndarray
    """Shape (7214, 5)."""

    w_output: np.ndarray
    """Shape (7214, 5)."""

    b_output: np.ndarray
    """Shape (7214,)."""

    low: np.ndarray
    high: np.ndarray
    """Range of the labels in training, shape (labels,)."""

    continuum_pixels: np.ndarray | None = None
    """For spectra with their continuum: bool of shape (8575,), the pixels to normalise by."""

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~.simulator.Emulator`; 1 where nothing is known."""
        macroturbulence = np.full((len(labels), len(self.low) - 4), VMACRO)
        columns = np.concatenate([labels, macroturbulence], axis=1)
        scaled = ((columns - self.low) / (self.high - self.low) - 0.5).astype(np.float32)
        units = self.w_hidden.reshape(-1, scaled.shape[1])
        flux = np.ones((len(labels), N_GRID), np.float32)
        # Some spectra at a time: their hidden units stay in the cache.
        for begin in range(0, len(labels), 16):
            rows = slice(begin, begin + 16)
            hidden = scaled[rows] @ units.T + self.b_hidden.reshape(-1)
            np.negative(hidden, out=hidden)
            np.exp(hidden, out=hidden)
            hidden += 1
            np.reciprocal(hidden, out=hidden)
            hidden = hidden.reshape(-1, *self.w_output.shape)
            flux[rows, EMULATED] = np.einsum("npk,pk->np", hidden, self.w_output) + self.b_output
        if self.continuum_pixels is not None:
            self._normalise(flux)
            flux[:, :-1] += SYNTHETIC_SHIFT * (flux[:, 1:] - flux[:, :-1])
        return flux

    def _normalise(self, flux: np.ndarray) -> None:
        """Divide each detector by a parabola through its continuum pixels."""
        for begin, end in RANGES:
            design = np.polynomial.chebyshev.chebvander(np.linspace(-1, 1, end - begin), 2)
            detector, chosen = flux[:, begin:end], self.continuum_pixels[begin:end]
            solution = np.linalg.lstsq(design[chosen], detector[:, chosen].T, rcond=None)[0]
            detector /= (design @ solution).T


def read_dwarfs(folder: Path) -> NeuralEmulator:
    """Read the published model of dwarfs.

    Raises:
        ConfigError: The file is missing, or is not the published one.
    """
    return NeuralEmulator(*_network(folder / "NN_normalized_spectra.npz"))


def read_synthetic(folder: Path) -> NeuralEmulator:
    """Read the published model of synthetic spectra with their continuum.

    Raises:
        ConfigError: A file is missing, or is not the published one.
    """
    continuum = np.zeros(N_GRID, bool)
    (pixels,) = _arrays(folder / "cannon_cont_pixels_apogee.npz", {"pixels_cannon": EMULATED.shape})
    continuum[EMULATED] = pixels
    return NeuralEmulator(*_network(folder / "NN_unnormalized_spectra.npz"), continuum)


def _network(path: Path) -> list[np.ndarray]:
    n = len(EMULATED)
    shapes = {"w_array_0": (n, 5, None), "b_array_0": (n, 5), "w_array_1": (n, 5), "b_array_1": (n,)}
    return _arrays(path, shapes | {"x_min": (None,), "x_max": (None,)})


def _arrays(path: Path, shapes: dict[str, tuple[int | None, ...]]) -> list[np.ndarray]:
    """Arrays of a file, by their names; an axis whose length is ``None`` may have any."""
    with reading("emulator", path, "give the folder of spectra models"):
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = [file[name] for name in shapes]
        for array, (name, shape) in zip(arrays, shapes.items(), strict=True):
            if len(array.shape) != len(shape) or any(
                b not in (None, a) for a, b in zip(array.shape, shape, strict=True)
            ):
                raise ValueError(f"{name} has shape {array.shape}, not {shape}")
    return arrays
