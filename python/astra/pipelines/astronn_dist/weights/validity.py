"""How unlike the training spectra of a model a spectrum is, and the table of what that adds to its error.

A model may carry the mean of its training spectra, their main directions of variation, and a table that says
how wrong it is on spectra that these do not describe. The scatter that is left of a spectrum beyond its noise
is looked up in the table. All of it travels in the model's own file and acts for that model alone.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from astra.pipelines.astronn_dist.weights.formats import WrongWeights
from astra.pipelines.astronn_dist.weights.tables import curve
from astra.spectra.grid import N_PIXELS
from astra.spectra.rectify import seen

#: Pixels that each component needs; of a spectrum with fewer nothing is said.
PIXELS_PER_COMPONENT = 10
MOST_COMPONENTS = N_PIXELS // PIXELS_PER_COMPONENT

#: A normal distribution's standard deviation over its median absolute deviation.
SIGMA_PER_MAD = 1.4826

MEAN, COMPONENTS, TABLE = "validity.mean", "validity.components", "validity"
COLUMNS = ("excess", "relative_error")
UNDERSTATED = "understated"

# Spectra computed together: their products of matrices take a fifth of the time of one at a time.
TOGETHER = 64

# Directions that the pixels at hand determine worse than this, relative to the best, get the coefficient 0.
SINGULAR = 1e-10

# Where the pivots differ by less than this, no direction is singular; a usual spectrum is far from it.
_SOUND = 1e-5


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

    understated: float = 1.0
    """By how much the noise of a spectrum may exceed the errors that it states; at least 1."""

    def excess_of(self, flux: np.ndarray, e_flux: np.ndarray) -> np.ndarray:
        """The excess of spectra beyond the noise that this model allows for; as of :func:`excess`."""
        return excess(flux, e_flux, self.mean, self.components, self.understated)


# > At inference


def excess(
    flux: np.ndarray,
    e_flux: np.ndarray,
    mean: np.ndarray,
    components: np.ndarray,
    understated: float = 1.0,
) -> np.ndarray:
    """Scatter about the best combination of the components, beyond the noise of the spectrum.

    The combination is that of least squares, each pixel with the same weight. A pixel counts if its flux and
    its error are finite, and it is not masked (which ``rectify`` shows by 1 in both).

    Args:
        flux, e_flux: Rectified flux and error, shape (N, 7514).
        mean: Mean of flux minus 1, shape (7514,).
        components: Shape (K, 7514); they need not be orthogonal.
        understated: What the stated errors are multiplied with, u.

    Returns:
        ``sqrt(max(0, (1.4826 MAD)^2 - (u median(e_flux))^2))`` in rectified flux, float64 of shape (N,);
        infinity where fewer than 10 K pixels count, or the scatter is not a number.
    """
    return beyond(*scatter_and_noise(flux, e_flux, mean, components), understated)


def beyond(scatter: np.ndarray, noise: np.ndarray, understated: float) -> np.ndarray:
    """The excess of spectra with this scatter and this noise, as of :func:`scatter_and_noise`."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.sqrt(np.maximum(0.0, scatter**2 - (understated * noise) ** 2))
    return np.where(np.isfinite(found), found, np.inf)


def scatter_and_noise(
    flux: np.ndarray, e_flux: np.ndarray, mean: np.ndarray, components: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``1.4826 MAD`` and ``median(e_flux)`` of :func:`excess`, both (N,); arguments as there."""
    mean, components = np.asarray(mean, float), np.asarray(components, float)
    scatter, noise = np.empty(len(flux)), np.empty(len(flux))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(flux), TOGETHER):
            part = slice(start, start + TOGETHER)
            spectra = np.asarray(flux[part], float), e_flux[part]
            scatter[part], noise[part] = _scatter(*spectra, mean, components)
    return scatter, noise


def _scatter(
    flux: np.ndarray, e_flux: np.ndarray, mean: np.ndarray, components: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    e_flux = np.asarray(e_flux, float)
    good = seen(flux, e_flux)
    target = np.where(good, flux - 1 - mean, 0.0)
    coefficients = _solved(_gram(good, components), target @ components.T)
    residual = target - coefficients @ components
    scatter, noise = np.full(len(flux), np.inf), np.zeros(len(flux))
    for row in np.flatnonzero(good.sum(axis=1) >= PIXELS_PER_COMPONENT * len(components)):
        # Of a row, and not of the array: numpy takes the pixels of an array six times as slowly.
        left, noise[row] = residual[row][good[row]], np.median(e_flux[row][good[row]])
        scatter[row] = SIGMA_PER_MAD * np.median(np.abs(left - np.median(left)))
    return scatter, noise


def _gram(good: np.ndarray, components: np.ndarray) -> np.ndarray:
    """Products of the components over the good pixels of each spectrum, (N, 7514) -> (N, K, K).

    They are those over all pixels less those over the others, which in a usual spectrum are few.
    """
    gram, of_all = np.empty((len(good), *[len(components)] * 2)), components @ components.T
    pixels = np.ascontiguousarray(components.T)
    for row, seen_here in enumerate(good):
        few = 2 * np.count_nonzero(seen_here) < len(seen_here)
        part = pixels.take(np.flatnonzero(seen_here if few else ~seen_here), axis=0)
        gram[row] = part.T @ part if few else of_all - part.T @ part
    return gram


def _solved(gram: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Least squares, (N, K, K) and (N, K) -> (N, K); 0 in directions that are ``SINGULAR``."""
    coefficients = np.empty_like(products)
    # The pivots of Cholesky bound the condition within a factor, for which there is room between the limits.
    sound = np.zeros(len(gram), bool)
    with suppress(np.linalg.LinAlgError):
        pivots = np.square(np.linalg.cholesky(gram).diagonal(axis1=1, axis2=2))
        sound = pivots.min(axis=1) > _SOUND * pivots.max(axis=1)
    coefficients[sound] = np.linalg.solve(gram[sound], products[sound][..., None])[..., 0]
    solution = np.linalg.pinv(gram[~sound], rcond=SINGULAR, hermitian=True)
    coefficients[~sound] = np.einsum("nkl,nl->nk", solution, products[~sound])
    return coefficients


# > In a file of weights


def to_file(validity: Validity) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors and the table of details that stand for it in a file.

    Raises:
        WrongWeights: A file of it could not be read.
    """
    table: dict[str, Any] = {name: np.asarray(getattr(validity, name), float).tolist() for name in COLUMNS}
    if validity.understated != 1:
        table[UNDERSTATED] = float(validity.understated)
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
    table, where = details[TABLE], f"{TABLE} in the details"
    columns = curve(table, COLUMNS, where, "excesses and errors")
    understated = table.get(UNDERSTATED, 1.0)
    if type(understated) not in (int, float) or not 1 <= understated < np.inf:
        raise WrongWeights(f"{where}: {UNDERSTATED} is {understated!r}, not a number from 1 on")
    return Validity(mean, components, *columns, float(understated))


def _halves(tensor: Any, name: str) -> np.ndarray:
    array = np.asarray(tensor)
    if array.dtype.kind != "f":
        raise WrongWeights(f"{name} is {array.dtype}, not float")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float16)
    if not np.isfinite(array).all():
        raise WrongWeights(f"{name} holds NaN or infinity, or more than float16 can")
    return array
