"""Red giants: a quadratic in the labels for each pixel (Ness et al. 2015, ApJ 808, 16)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astra.modelling.simulator.emulators.labels import Box
from astra.modelling.simulator.pixels import EMULATED
from astra.modelling.simulator.reading import reading
from astra.spectra.grid import N_GRID

#: Where 1801 training giants are dense enough; beyond, a quadratic runs away.
BOX = Box((4000.0, 0.8, -1.0, -0.05), (5100.0, 3.5, 0.3, 0.3))

NAME = "trained_apokasc_gc_ind_feh_fix"


@dataclass(frozen=True)
class QuadraticEmulator:
    """One quadratic of four labels per emulated pixel."""

    coefficients: np.ndarray
    """Of 1, the labels, and their 10 products, shape (15, 7214)."""

    baseline: np.ndarray
    """Labels that are subtracted first, shape (4,)."""

    scatter: np.ndarray
    """What real giants differ by from the quadratic, beyond their noise, shape (8575,)."""

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~astra.modelling.simulator.emulators.labels.Emulator`; 1 where nothing is known."""
        offset = labels - self.baseline
        first, second = np.triu_indices(4)
        terms = np.concatenate(
            [np.ones((len(labels), 1)), offset, offset[:, first] * offset[:, second]], axis=1
        )
        flux = np.ones((len(labels), N_GRID), np.float32)
        flux[:, EMULATED] = terms.astype(np.float32) @ self.coefficients
        return flux


def read_quadratic(folder: Path) -> QuadraticEmulator:
    """Read the published model of giants.

    Raises:
        ConfigError: The files are not there or are others.
    """
    coefficients = _numbers(folder / f"{NAME}.txt", (15, len(EMULATED))).astype(np.float32)
    scatter = _numbers(folder / f"{NAME}_scatter.txt", (len(EMULATED),))
    everywhere = np.full(N_GRID, np.median(scatter), np.float32)
    everywhere[EMULATED] = scatter
    baseline = _numbers(folder / "baseline_labels.txt", (4,))
    return QuadraticEmulator(coefficients, baseline, everywhere)


def _numbers(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    with reading("emulator of giants", path, "give the folder of spectra models"):
        return np.array(path.read_text().split(), float).reshape(shape)
