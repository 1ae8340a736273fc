"""Small corrections of what a model says, by what it says and how noisy the spectrum is.

A model may carry a table over the Ks luminosity that it predicts and the signal-to-noise ratio of the
spectrum: by how much the logarithm of the pseudo-luminosity is off in the median, and what the stated error
has to be multiplied with. Both were measured on stars that the model has not learnt from. Between its nodes
the table is interpolated, beyond them it stays as it is. It travels in the details of the model's own file
and acts for that model alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from astra.pipelines.astronn_dist.weights.formats import WrongWeights
from astra.pipelines.astronn_dist.weights.tables import ascending, numbers
from astra.spectra.rectify import seen

TABLE = "calibration"
NODES, VALUES = ("abs_ks", "snr"), ("shift", "factor")


@dataclass(frozen=True, eq=False)
class Calibration:
    """A table of M luminosities by S signal-to-noise ratios."""

    abs_ks: np.ndarray
    """Predicted absolute Ks magnitudes [mag], ascending, shape (M,)."""

    snr: np.ndarray
    """Signal-to-noise ratios per pixel as of :func:`seen_snr`, positive, ascending, shape (S,)."""

    shift: np.ndarray
    """What is added to ln L, shape (M, S)."""

    factor: np.ndarray
    """What the total error is multiplied with, positive, shape (M, S)."""

    def at(self, fakemag: np.ndarray, snr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shift and factor of N predictions, shape (N,); NaN where there is no prediction above 0.

        Bilinear in M_Ks and ln S/N for the shift and the logarithm of the factor.

        Args:
            fakemag: Pseudo-luminosities as the network predicts them [mas], shape (N,).
            snr: As of :func:`seen_snr`, shape (N,).
        """
        shares = node_shares(self.abs_ks, self.snr, fakemag, snr)
        # Not a product of matrices: its last digits would depend on how many stars are computed together.
        shift, factor = (
            (shares * values.ravel()).sum(axis=1) for values in (self.shift, np.log(self.factor))
        )
        return shift, np.exp(factor)


def node_shares(abs_ks: np.ndarray, snr: np.ndarray, fakemag: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """How much each node of a table counts for each of N stars, shape (N, M S); each row adds up to 1.

    Args:
        abs_ks: Nodes in absolute Ks magnitude [mag], ascending, shape (M,).
        snr: Nodes in signal-to-noise ratio, ascending, shape (S,).
        fakemag: Pseudo-luminosities [mas], shape (N,); NaN where one is not above 0 gives a row of NaN.
        seen: Signal-to-noise ratios, shape (N,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.where(fakemag > 0, 5 * np.log10(fakemag) - 10, np.nan)
        rows, columns = _tents(abs_ks, magnitude), _tents(np.log(snr), np.log(seen))
    return (rows[:, :, None] * columns[:, None, :]).reshape(len(magnitude), -1)


def _tents(nodes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weights of linear interpolation, shape (N, nodes), clamped at the ends."""
    clamped = np.clip(values, nodes[0], nodes[-1])
    return np.stack([np.interp(clamped, nodes, row) for row in np.eye(len(nodes))], axis=1)


def seen_snr(flux: np.ndarray, e_flux: np.ndarray) -> np.ndarray:
    """Signal-to-noise ratio per pixel as the errors of a spectrum state it, shape (N,).

    One over the median error of the pixels that the network sees, relative to the continuum; 0 without any.

    Args:
        flux, e_flux: Rectified flux and error, shape (N, 7514).
    """
    counted = seen(flux, e_flux)
    found = np.zeros(len(flux))
    for row in np.flatnonzero(counted.any(axis=1)):
        noise = np.median(e_flux[row][counted[row]])
        found[row] = 1 / noise if noise > 0 else np.inf
    return found


# > In a file of weights


def to_file(calibration: Calibration) -> dict[str, list[Any]]:
    """The table of details that stands for it in a file.

    Raises:
        WrongWeights: A file of it could not be read.
    """
    table = {name: np.asarray(getattr(calibration, name), float).tolist() for name in (*NODES, *VALUES)}
    from_file({TABLE: table})
    return table


def from_file(details: Mapping[str, Any]) -> Calibration | None:
    """What a file says; ``None`` if it says nothing of this.

    Raises:
        WrongWeights: A part is missing, of another shape, or not of finite numbers in order.
    """
    table, where = details.get(TABLE), f"{TABLE} in the details"
    if table is None:
        return None
    names = (*NODES, *VALUES)
    if not isinstance(table, dict) or not all(isinstance(table.get(name), list) for name in names):
        raise WrongWeights(f"{where} has no lists {', '.join(names)}")
    abs_ks, snr = (numbers(table[name], where) for name in NODES)
    shift, factor = (_square(table[name], name, (len(abs_ks), len(snr)), where) for name in VALUES)
    if not len(abs_ks) or not len(snr):
        raise WrongWeights(f"{where} has no nodes")
    if not all(np.isfinite(array).all() for array in (abs_ks, snr, shift, factor)):
        raise WrongWeights(f"{where} holds NaN or infinity")
    if snr.min() <= 0 or factor.min() <= 0:
        raise WrongWeights(f"{where} holds a ratio or a factor that is not positive")
    ascending(abs_ks, NODES[0], where)
    ascending(snr, NODES[1], where)
    return Calibration(abs_ks, snr, shift, factor)


def _square(rows: list[Any], name: str, shape: tuple[int, int], where: str) -> np.ndarray:
    if len(rows) != shape[0] or not all(isinstance(row, list) and len(row) == shape[1] for row in rows):
        raise WrongWeights(f"{where}: {name} is not {shape[0]} lists of {shape[1]} numbers")
    return np.array([numbers(row, where) for row in rows]).reshape(shape)
