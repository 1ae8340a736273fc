"""From the labels of isochrones to those that the emulator of giants was fitted with."""

from dataclasses import dataclass

import numpy as np

from astra.modelling.simulator.emulators.labels import ALPHA, METALLICITY, TEFF, Emulator

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


def on_giants_scale(labels: np.ndarray) -> np.ndarray:
    """What the emulator of giants calls stars of these labels, shape (N, 4)."""
    low, high = _BETWEEN
    warm = np.clip((labels[:, TEFF] - low) / (high - low), 0, 1)
    warm = warm * warm * (3 - 2 * warm)
    poor = np.clip((_RICHEST_POOR - labels[:, METALLICITY]) / _FADING, 0, 1)
    metallicity = labels[:, METALLICITY].clip(_RICHEST_POOR, 0.4)
    moved = np.array(labels, float)
    moved[:, TEFF] += _mixed(_TEFF, warm)
    moved[:, METALLICITY] += (_mixed(_METALLICITY, warm) + _METALLICITY_SLOPE * metallicity) * (1 - poor)
    moved[:, ALPHA] += _mixed(_ALPHA, warm)
    return moved


def _mixed(values: tuple[float, float], share: np.ndarray) -> np.ndarray:
    return values[0] + (values[1] - values[0]) * share


@dataclass(frozen=True)
class OnGiantsScale:
    """The emulator of giants, for labels on the scale of the isochrones."""

    inner: Emulator

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~astra.modelling.simulator.emulators.labels.Emulator`."""
        return self.inner.spectra(on_giants_scale(labels))
