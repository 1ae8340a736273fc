"""Labels of giants in DR12, on the scale of the isochrones.

The differences are known from stars with seismic gravities; no parallax enters.

- Temperature, [Fe/H] and [alpha/M] are the same numbers that the emulator of giants was fitted to, as the
  stars in both tables show. ``on_giants_scale`` turns labels of isochrones into these; here it is inverted.
- The gravities were calibrated with giants of the first ascent, and those of clump stars come out too high
  by 0.2 dex (Holtzman et al. 2015, AJ 150, 148); from DR13 on, clump stars are calibrated apart (Holtzman et
  al. 2018, AJ 156, 125), and so they are here: stars hotter than the giant branch at the same gravity, by the
  relation for the clump that was found for the red-clump catalogue of DR12.
"""

import numpy as np

from astra.modelling.simulator.emulators import on_giants_scale

# Gravities without any calibration at which a star can be in the clump (as in DR13).
CLUMP_RAW_LOGG = (2.38, 3.5)

# Where the clump begins: the temperature at a raw gravity of 2.5 and solar [Fe/H] [K], and its slopes in
# gravity and [Fe/H] [K/dex]. A logistic regression, both kinds with the same weight, on the 383 stars of
# APOKASC of known state in the table of the emulator, with its temperature and [Fe/H], and the raw gravity
# of DR10. It finds 92 % of the clump stars, and takes 8 % of the others for such.
_BEGINS, _PER_LOGG, _PER_METALLICITY = 4603.0, 509.0, -270.0

# Calibrated gravity of a clump star: slope and constant (Bovy et al. 2014, ApJ 790, 127; as in
# samples/make_rcsample.py of jobovy/apogee).
_SLOPE, _CONSTANT = 0.958, -0.213

# Each step of the inversion leaves six tenths of the error at most.
_STEPS = 60


def on_isochrones_scale(labels: np.ndarray, raw_logg: np.ndarray) -> np.ndarray:
    """The labels that the isochrones give to giants of DR12, shape (N, 4).

    Args:
        labels: Temperature [K], calibrated gravity, [Fe/H], [alpha/M] [dex], shape (N, 4).
        raw_logg: The gravity before its calibration [dex], shape (N,).
    """
    corrected = labels.copy()
    is_clump = in_clump(labels[:, 0], raw_logg, labels[:, 2])
    corrected[is_clump, 1] = clump_logg(raw_logg[is_clump])
    return _off_giants_scale(corrected)


def in_clump(teff: np.ndarray, raw_logg: np.ndarray, metallicity: np.ndarray) -> np.ndarray:
    """Which giants are taken for clump stars, by their labels alone; bool of shape (N,)."""
    begins = _BEGINS + _PER_LOGG * (raw_logg - 2.5) + _PER_METALLICITY * metallicity
    low, high = CLUMP_RAW_LOGG
    return (teff > begins) & (raw_logg > low) & (raw_logg < high)


def clump_logg(raw_logg: np.ndarray) -> np.ndarray:
    """The calibrated gravity of clump stars [dex], shape (N,)."""
    return _SLOPE * raw_logg + _CONSTANT


def _off_giants_scale(labels: np.ndarray) -> np.ndarray:
    """The inverse of ``on_giants_scale``, by iteration; shape (N, 4)."""
    found = labels.copy()
    for _ in range(_STEPS):
        found += 0.5 * (labels - on_giants_scale(found))
    return found
