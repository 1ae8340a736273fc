"""A small network of five hidden units for each pixel (Ting et al. 2019, ApJ 879, 69)."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from astra.modelling.simulator.emulators.labels import ALPHA, LOGG, METALLICITY, TEFF, Box
from astra.modelling.simulator.pixels import EMULATED
from astra.modelling.simulator.reading import reading
from astra.spectra.grid import N_GRID

#: Dwarfs, fitted to real spectra (El-Badry et al. 2018, MNRAS 476, 528).
DWARF_BOX = Box((4250.0, 4.02, -0.75, -0.1), (6950.0, 4.95, 0.35, 0.4))

#: Synthetic spectra of all kinds of stars.
SYNTHETIC_BOX = Box((3550.0, 0.4, -0.95, -0.3), (6950.0, 5.15, 0.45, 0.6))

# The published synthetic spectra lie redward of both the real giants and the real dwarfs by this [pixels].
SYNTHETIC_SHIFT = 0.35

#: Macroturbulence that goes with the spectra of dwarfs [km/s]; other broadening is added to the spectrum.
VMACRO = 2.0

# On the emulated pixels of each detector: where they begin and end.
_DETECTORS = ((0, 2920), (2920, 5320), (5320, 7214))


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

    continuum_pixels: np.ndarray | None = field(default=None)
    """For spectra with their continuum: bool of shape (7214,), the pixels to normalise by."""

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~astra.modelling.simulator.emulators.labels.Emulator`; 1 where nothing is known."""
        columns = [labels[:, index] for index in (TEFF, LOGG, METALLICITY, ALPHA)]
        if len(self.low) > len(columns):
            columns.append(np.full(len(labels), VMACRO))
        scaled = ((np.stack(columns, axis=1) - self.low) / (self.high - self.low) - 0.5).astype(np.float32)
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
        emulated = flux[:, EMULATED]
        for begin, end in _DETECTORS:
            x = np.linspace(-1, 1, end - begin)
            design = np.polynomial.chebyshev.chebvander(x, 2)
            chosen = self.continuum_pixels[begin:end]
            solution = np.linalg.lstsq(design[chosen], emulated[:, begin:end][:, chosen].T, rcond=None)[0]
            emulated[:, begin:end] /= (design @ solution).T
        flux[:, EMULATED] = emulated


def read_dwarfs(folder: Path) -> NeuralEmulator:
    """Read the published model of dwarfs.

    Raises:
        ConfigError: The file is not there or is another.
    """
    return _read(folder / "NN_normalized_spectra.npz")


def read_synthetic(folder: Path) -> NeuralEmulator:
    """Read the published model of synthetic spectra with their continuum.

    Raises:
        ConfigError: A file is not there or is another.
    """
    pixels = _arrays(folder / "cannon_cont_pixels_apogee.npz", {"pixels_cannon": (len(EMULATED),)})
    return _read(folder / "NN_unnormalized_spectra.npz", pixels["pixels_cannon"])


def _read(path: Path, continuum_pixels: np.ndarray | None = None) -> NeuralEmulator:
    n = len(EMULATED)
    shapes = {"w_array_0": (n, 5, None), "b_array_0": (n, 5), "w_array_1": (n, 5), "b_array_1": (n,)}
    arrays = _arrays(path, shapes | {"x_min": (None,), "x_max": (None,)})
    return NeuralEmulator(*(arrays[name] for name in (*shapes, "x_min", "x_max")), continuum_pixels)


def _arrays(path: Path, shapes: dict[str, tuple[int | None, ...]]) -> dict[str, np.ndarray]:
    with reading("emulator", path, "give the folder of spectra models"):
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in shapes}
        for name, shape in shapes.items():
            found = arrays[name].shape
            if len(found) != len(shape) or any(b not in (None, a) for a, b in zip(found, shape, strict=True)):
                raise ValueError(f"{name} has shape {found}, not {shape}")
    return arrays
