"""Labels of emulators, as columns of one array."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

#: The columns: [K], [dex], [dex], [dex].
TEFF, LOGG, METALLICITY, ALPHA = range(4)


class Emulator(Protocol):
    """Turns labels into spectra."""

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """Flux divided by the continuum, shape (N, 8575), for labels of shape (N, 4)."""


@dataclass(frozen=True)
class Box:
    """The range of labels within which an emulator can be trusted."""

    low: tuple[float, float, float, float]
    high: tuple[float, float, float, float]

    def clip(self, labels: np.ndarray) -> np.ndarray:
        """The nearest labels inside."""
        return np.clip(labels, self.low, self.high)


@dataclass(frozen=True)
class Extended:
    """An emulator that is continued, outside its box, by the changes that another one predicts."""

    inner: Emulator
    box: Box
    outer: Emulator

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`Emulator`."""
        clipped = self.box.clip(labels)
        flux = self.inner.spectra(clipped)
        outside = np.flatnonzero((clipped != labels).any(axis=1))
        if len(outside):
            both = np.concatenate([labels[outside], clipped[outside]])
            there, here = np.split(self.outer.spectra(both), 2)
            flux[outside] += there - here
        return flux
