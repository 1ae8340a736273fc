"""How unlike the training spectra of a model a spectrum is, and the table of what that adds to its error.

A model may carry the mean of its training spectra, their main directions of variation, and a table that says
how wrong it is on spectra that these do not describe. The scatter that is left of a spectrum beyond its noise
is looked up in the table. All of it travels in the model's own file and acts for that model alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from astra.pipelines.astronn_dist.weights.formats import WrongWeights
from astra.spectra.grid import N_PIXELS
from astra.spectra.rectify import FILL

#: Pixels that each component needs; of a spectrum with fewer nothing is said.
PIXELS_PER_COMPONENT = 10
MOST_COMPONENTS = N_PIXELS // PIXELS_PER_COMPONENT

#: A normal distribution's standard deviation over its median absolute deviation.
SIGMA_PER_MAD = 1.4826

MEAN, COMPONENTS, TABLE = "validity.mean", "validity.components", "validity"
COLUMNS = ("excess", "relative_error")

# Spectra computed together: their products of matrices take a fifth of the time of one at a time.
TOGETHER = 64

# Directions that the pixels at hand determine worse than this, relative to the best, get the coefficient 0.
SINGULAR = 1e-10


@dataclass(frozen=True, eq=False)
class Validity:
    """Describes the training spectra of a model: K components, a table of M rows."""

    mean: np.ndarray
    """Mean of rectified flux minus 1, shape (7514,); float16 in the file."""

    components: np.ndarray
    """Directions of variation, in rectified flux, shape (K, 7514); float16 in the file."""

    excess: np.ndarray
    """Excess scatter in rectified flux, ascending, shape (M,)."""

    relative_error: np.ndarray
    """Error of the pseudo-luminosity at these, relative to it, shape (M,)."""


# > At inference


def excess(flux: np.ndarray, e_flux: np.ndarray, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    """Scatter about the best combination of the components, beyond the noise of the spectrum.

    The combination is that of least squares, each pixel with the same weight. A pixel counts if its flux and
    its error are finite, and it is not masked (which ``rectify`` shows by 1 in both).

    Args:
        flux, e_flux: Rectified flux and error, shape (N, 7514).
        mean: Mean of flux minus 1, shape (7514,).
        components: Shape (K, 7514); they need not be orthogonal.

    Returns:
        ``sqrt(max(0, (1.4826 MAD)^2 - median(e_flux)^2))`` in rectified flux, float64 of shape (N,);
        infinity where fewer than 10 K pixels count, or the scatter is not a number.
    """
    mean, components = np.asarray(mean, float), np.asarray(components, float)
    found = np.empty(len(flux))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(flux), TOGETHER):
            part = slice(start, start + TOGETHER)
            found[part] = _excess(np.asarray(flux[part], float), e_flux[part], mean, components)
    return np.where(np.isfinite(found), found, np.inf)


def _excess(flux: np.ndarray, e_flux: np.ndarray, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    e_flux = np.asarray(e_flux, float)
    good = np.isfinite(flux) & np.isfinite(e_flux) & ~((flux == FILL) & (e_flux == FILL))
    target = np.where(good, flux - 1 - mean, 0.0)
    solution = np.linalg.pinv(_gram(good, components), rcond=SINGULAR, hermitian=True)
    coefficients = np.einsum("nkl,nl->nk", solution, target @ components.T)
    residual = target - coefficients @ components
    found = np.full(len(flux), np.inf)
    for row in np.flatnonzero(good.sum(axis=1) >= PIXELS_PER_COMPONENT * len(components)):
        left, noise = residual[row, good[row]], np.median(e_flux[row, good[row]])
        scatter = SIGMA_PER_MAD * np.median(np.abs(left - np.median(left)))
        found[row] = np.sqrt(np.maximum(0.0, scatter**2 - noise**2))
    return found


def _gram(good: np.ndarray, components: np.ndarray) -> np.ndarray:
    """Products of the components over the good pixels of each spectrum, (N, 7514) -> (N, K, K)."""
    count = len(components)
    gram, weight = np.empty((len(good), count, count)), good.astype(float)
    for row in range(count):
        products = weight @ (components[row] * components[row:]).T
        gram[:, row, row:] = gram[:, row:, row] = products
    return gram


# > In a file of weights


def to_file(validity: Validity) -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:
    """The tensors and the table of details that stand for it in a file.

    Raises:
        WrongWeights: A file of it could not be read.
    """
    table = {name: np.asarray(getattr(validity, name), float).tolist() for name in COLUMNS}
    checked = from_file({MEAN: validity.mean, COMPONENTS: validity.components}, {TABLE: table})
    return {MEAN: checked.mean, COMPONENTS: checked.components}, table


def from_file(tensors: Mapping[str, np.ndarray], details: Mapping[str, Any]) -> Validity | None:
    """What a file says; ``None`` if it says nothing of this.

    Args:
        tensors: Those of ``MEAN`` and ``COMPONENTS`` that the file holds.
        details: All its details.

    Raises:
        WrongWeights: A part is missing, of another shape, or not of finite numbers in order.
    """
    parts = {name: name in tensors for name in (MEAN, COMPONENTS)}
    parts[f"{TABLE} in the details"] = TABLE in details
    if not any(parts.values()):
        return None
    if missing := [name for name, is_there in parts.items() if not is_there]:
        raise WrongWeights(f"of its validity, a part is missing: {', '.join(missing)}")
    components = _halves(tensors[COMPONENTS], COMPONENTS)
    if components.ndim != 2 or components.shape[1] != N_PIXELS or not 1 <= len(components) <= MOST_COMPONENTS:
        raise WrongWeights(
            f"{COMPONENTS} has shape {components.shape}, not (1 to {MOST_COMPONENTS}, {N_PIXELS})"
        )
    mean = _halves(tensors[MEAN], MEAN)
    if mean.shape != (N_PIXELS,):
        raise WrongWeights(f"{MEAN} has shape {mean.shape}, not ({N_PIXELS},)")
    return Validity(mean, components, *_table(details[TABLE]))


def _halves(tensor: Any, name: str) -> np.ndarray:
    array = np.asarray(tensor)
    if array.dtype.kind != "f":
        raise WrongWeights(f"{name} is {array.dtype}, not float")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float16)
    if not np.isfinite(array).all():
        raise WrongWeights(f"{name} holds NaN or infinity, or more than float16 can")
    return array


def _table(table: Any) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(table, dict) or not all(isinstance(table.get(name), list) for name in COLUMNS):
        raise WrongWeights(f"{TABLE} in the details has no lists {' and '.join(COLUMNS)}")
    numbers = [table[name] for name in COLUMNS]
    if not all(type(value) in (int, float) for column in numbers for value in column):
        raise WrongWeights(f"{TABLE} in the details holds something other than numbers")
    try:
        abscissae, errors = (np.array(column, dtype=float) for column in numbers)
    except OverflowError:
        raise WrongWeights(f"{TABLE} in the details holds a number too large") from None
    if len(abscissae) != len(errors) or len(abscissae) == 0:
        raise WrongWeights(f"{TABLE} in the details has {len(abscissae)} excesses and {len(errors)} errors")
    if not np.isfinite([abscissae, errors]).all() or np.min([abscissae, errors]) < 0:
        raise WrongWeights(f"{TABLE} in the details holds NaN, infinity or a negative number")
    if (np.diff(abscissae) <= 0).any():
        raise WrongWeights(f"{TABLE} in the details is not in ascending order of excess")
    return abscissae, errors
