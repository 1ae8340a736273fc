"""Near-infrared magnitudes of stars whose luminosity is known, from the isochrones that have both.

The corrections of one table of isochrones serve all the others: that the families of isochrones agree in J, H
and Ks beyond their temperatures, gravities and luminosities is an assumption, and no part of any error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.sparse import coo_array, diags_array, eye_array, kron
from scipy.sparse.linalg import spsolve

from astra.modelling.simulator.isochrones import Isochrone

BANDS = ("abs_j", "abs_h", "abs_ks")

# Nodes of the table: logarithm of the temperature, finer where molecules form; gravity; metallicity [dex].
LOG_TEFF = np.concatenate(
    [np.arange(3.48, 3.80, 0.01), np.arange(3.80, 4.0, 0.02), np.arange(4.0, 4.71, 0.1)]
)
LOGG = np.arange(-1.0, 6.01, 0.5)
METALLICITY = np.array([-2.0, -1.5, -1.0, -0.6, -0.3, 0.0, 0.2])
_NODES = (LOG_TEFF, LOGG, METALLICITY)

# Stars of an isochrone count this much more than that the table is smooth; where there are none, the table
# goes on in a straight line. Above, carbon and dust make magnitudes that do not follow from these labels.
_SMOOTHNESS, _COOLEST, _LEAST_LOGG = 1e-3, 3.48, -0.5


@dataclass(frozen=True)
class BolometricCorrections:
    """A table of M + 2.5 log(L / Lsun) in J, H and Ks, linear between its nodes and constant beyond."""

    table: np.ndarray
    """Shape (temperatures, gravities, metallicities, 3) [mag]."""

    @classmethod
    def fitted(cls, isochrones: Sequence[Isochrone]) -> Self:
        """Fit the table to isochrones with magnitudes, by least squares.

        Args:
            isochrones: With ``abs_j``, ``abs_h``, ``abs_ks`` among their columns.
        """
        names = ("log_teff", "logg", "log_l", *BANDS)
        log_teff, logg, log_l, *magnitudes = (
            np.concatenate([isochrone.columns[name] for isochrone in isochrones]) for name in names
        )
        metallicity = np.repeat(
            [isochrone.metallicity for isochrone in isochrones],
            [len(isochrone.columns["log_l"]) for isochrone in isochrones],
        )
        rows = (log_teff > _COOLEST) & (logg > _LEAST_LOGG)
        weights = _weights(log_teff[rows], logg[rows], metallicity[rows])
        wanted = np.stack(magnitudes, axis=1)[rows] + 2.5 * log_l[rows, None]
        normal = weights.T @ weights + _SMOOTHNESS * _roughness()
        table = spsolve(normal.tocsc(), weights.T @ wanted)
        return cls(table.reshape(*map(len, _NODES), len(BANDS)))

    def magnitudes(
        self, log_teff: np.ndarray, logg: np.ndarray, metallicity: np.ndarray, log_l: np.ndarray
    ) -> np.ndarray:
        """Absolute J, H, Ks [mag], shape (N, 3).

        Args:
            log_teff, logg, metallicity: Labels [dex], shape (N,).
            log_l: Logarithm of the luminosity in units of the Sun's [dex].
        """
        weights = _weights(log_teff, logg, metallicity)
        return weights @ self.table.reshape(-1, len(BANDS)) - 2.5 * log_l[:, None]


def _weights(*labels: np.ndarray) -> coo_array:
    """Weights of the nodes of the table for each star, shape (N, nodes)."""
    n = len(labels[0])
    columns, shares = np.zeros((n, 1), np.int32), np.ones((n, 1))
    for nodes, label in zip(_NODES, labels, strict=True):
        place = np.interp(label, nodes, np.arange(len(nodes)))
        low = np.minimum(place.astype(np.int32), len(nodes) - 2)
        upper = (place - low)[:, None]
        columns = np.concatenate([columns * len(nodes) + low[:, None] + step for step in (0, 1)], axis=1)
        shares = np.concatenate([shares * (1 - upper), shares * upper], axis=1)
    rows = np.repeat(np.arange(n), columns.shape[1])
    shape = (n, int(np.prod([len(nodes) for nodes in _NODES])))
    return coo_array((shares.ravel(), (rows, columns.ravel())), shape=shape).tocsr()


def _roughness() -> coo_array:
    """Sum of the squares of the changes of slope along each axis of the table, as a matrix."""
    sizes = [len(nodes) for nodes in _NODES]
    total = 0
    for axis, size in enumerate(sizes):
        second = diags_array([1.0, -2.0, 1.0], offsets=[0, 1, 2], shape=(size - 2, size))
        along = kron(
            kron(eye_array(int(np.prod(sizes[:axis]))), second), eye_array(int(np.prod(sizes[axis + 1 :])))
        )
        total = total + along.T @ along
    return total
