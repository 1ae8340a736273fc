"""What missing pixels cost a model: a table for each detector, and what that adds to the error of a result.

A model may carry, for each detector, how wrong it is beyond the error that it states where a share of the
pixels is missing. The tables are looked up detector by detector, and what they say is added in quadrature.
They travel in the details of the model's own file and act for that model alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from astra.pipelines.astronn_dist.weights.formats import WrongWeights
from astra.pipelines.astronn_dist.weights.tables import curve
from astra.spectra.grid import CHIPS
from astra.spectra.rectify import seen

TABLE = "missing_pixels"
DETECTORS = ("blue", "green", "red")
COLUMNS = ("share", "relative_error")

Curve = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class MissingPixels:
    """For each detector: missing shares, ascending, and the relative errors that they cost, both (M,)."""

    blue: Curve
    green: Curve
    red: Curve


def missing_shares(flux: np.ndarray, e_flux: np.ndarray) -> np.ndarray:
    """Shares of the pixels of the three detectors that the network does not see, shape (N, 3).

    Args:
        flux, e_flux: Rectified flux and error, shape (N, 7514).
    """
    counted = seen(flux, e_flux)
    return np.stack([1 - counted[:, chip].mean(axis=1) for chip in CHIPS], axis=1)


def cost(shares: np.ndarray, missing: MissingPixels) -> np.ndarray:
    """The relative errors that missing pixels add, the three detectors in quadrature, shape (N,).

    Args:
        shares: As of :func:`missing_shares`.
        missing: The tables; beyond its ends, each stays as it is.
    """
    errors = [
        np.interp(column, *getattr(missing, name)) for column, name in zip(shares.T, DETECTORS, strict=True)
    ]
    return np.sqrt(np.square(errors).sum(axis=0))


# > In a file of weights


def to_file(missing: MissingPixels) -> dict[str, dict[str, list[float]]]:
    """The table of details that stands for it in a file.

    Raises:
        WrongWeights: A file of it could not be read.
    """
    table = {
        name: {
            column: np.asarray(values, float).tolist()
            for column, values in zip(COLUMNS, getattr(missing, name), strict=True)
        }
        for name in DETECTORS
    }
    from_file({TABLE: table})
    return table


def from_file(details: Mapping[str, Any]) -> MissingPixels | None:
    """What a file says; ``None`` if it says nothing of this.

    Raises:
        WrongWeights: A detector is missing, or a table is not of finite numbers in order.
    """
    table = details.get(TABLE)
    if table is None:
        return None
    if not isinstance(table, dict) or table.keys() != set(DETECTORS):
        raise WrongWeights(f"{TABLE} in the details has no tables {', '.join(DETECTORS)}, or others")
    found = {
        name: curve(table[name], COLUMNS, f"{TABLE}, {name}, in the details", "shares and errors")
        for name in DETECTORS
    }
    if any(shares[-1] > 1 for shares, _ in found.values()):
        raise WrongWeights(f"{TABLE} in the details holds a share above 1")
    return MissingPixels(**found)
