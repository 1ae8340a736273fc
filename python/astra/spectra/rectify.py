"""From counts on the apStar grid to continuum-normalised flux.

On each of the three detectors a parabola (Chebyshev, degree 2) is fitted to the pixels that show the
continuum, and flux and error are divided by it: the normalisation that the network was trained with
(Leung & Bovy 2019, MNRAS 483, 3255; ``astroNN.apogee.apogee_continuum(dr=17)``).

Every finite number that astroNN returns is reproduced. What it leaves to chance or to an exception has a
fixed result here:

- A continuum pixel whose flux is not finite has no weight in the fit; its own flux becomes 1.
- An error that is infinite or NaN gives its pixel no weight, and is infinite in the result.
- A detector without any weight has the continuum 0, as one without any flux: each pixel of it becomes 1
  with an infinite error.
- No flux in the result is NaN, infinite or negative; no error in it is NaN.
"""

from typing import Literal

import numpy as np
from numpy.polynomial import chebyshev
from numpy.polynomial.polyutils import mapdomain

from astra.errors import ConfigError
from astra.spectra.grid import BADPIX, CHIPS, CONTINUUM, DETECTORS, N_GRID, NOSKY, SKYLINE
from astra.system.extras import require
from astra.system.processes import silenced

#: Bits of the pixel mask whose pixels are replaced.
MASKED_BITS = sum(1 << bit for bit in (*range(BADPIX, NOSKY + 1), SKYLINE))

#: What a masked pixel holds afterwards, in flux and in error.
FILL = 1.0

DEGREE = 2

# Where rounding may change the continuum by more than this, relative, the digits depend on the order of the
# arithmetic: nearly all the weight is on one or two pixels, or the continuum passes through 0.
SOUND = 1e-11


def rectify(
    flux: np.ndarray,
    e_flux: np.ndarray,
    pixel_flags: np.ndarray,
    backend: Literal["astra", "astronn"] = "astra",
) -> tuple[np.ndarray, np.ndarray]:
    """Divide spectra by their continuum, detector by detector.

    Args:
        flux: Flux on the apStar grid, shape (8575,) or (N, 8575), any linear unit.
        e_flux: Errors of the flux, same shape and unit. An error <= 0 counts as a very small one, as in
            astroNN; the reader of files makes it infinite.
        pixel_flags: apStar pixel mask, integers of the same shape.
        backend: "astra", or "astronn" for the function of the astroNN package itself.

    Returns:
        Normalised flux and error, dimensionless, float64, shape (7514,) or (N, 7514). Pixels with one
        of ``MASKED_BITS`` hold 1 in both.

    Raises:
        ValueError: The arrays have other shapes.
        ConfigError: The backend is unknown or not installed.
    """
    if backend not in _BACKENDS:
        raise ConfigError(f"unknown rectify backend {backend!r}; choose one of {', '.join(_BACKENDS)}")
    flux, e_flux, masked = _on_detectors(flux, e_flux, pixel_flags)
    e_flux = np.where(np.isnan(e_flux), np.inf, e_flux)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        lost = CONTINUUM & ~np.isfinite(flux * _weight(e_flux))
        flux[lost], e_flux[lost] = 0.0, np.inf
        rectified = _BACKENDS[backend](np.atleast_2d(flux), np.atleast_2d(e_flux))
    flux, e_flux = (array.reshape(flux.shape) for array in rectified)
    flux = np.where(flux < 0, 0.0, flux)
    flux[lost | masked | ~np.isfinite(flux)] = FILL
    e_flux = np.where(np.isnan(e_flux), np.inf, e_flux)
    e_flux[masked] = FILL
    return flux, e_flux


def usable(flux: np.ndarray, e_flux: np.ndarray, pixel_flags: np.ndarray) -> np.ndarray:
    """Whether a spectrum holds anything that the network could see.

    A pixel can be used if its flux is finite and not 0, its error is finite, and none of ``MASKED_BITS``
    is set. A spectrum can be used if one detector has such a pixel, and a continuum pixel (masked or not)
    to normalise it with. All other spectra would be rectified to 1 everywhere, and would still get
    a distance.

    Args:
        flux: Flux on the apStar grid, shape (8575,) or (N, 8575).
        e_flux: Errors of the flux, same shape; infinite where a pixel has no weight.
        pixel_flags: apStar pixel mask, integers of the same shape.

    Returns:
        bool of shape () or (N,).

    Raises:
        ValueError: The arrays have other shapes.
    """
    flux, e_flux, masked = _on_detectors(flux, e_flux, pixel_flags)
    measured = np.isfinite(flux) & (flux != 0) & np.isfinite(e_flux)
    seen = [
        (measured & ~masked)[..., chip].any(axis=-1) & (measured & CONTINUUM)[..., chip].any(axis=-1)
        for chip in CHIPS
    ]
    return np.any(seen, axis=0)


def seen(flux: np.ndarray, e_flux: np.ndarray) -> np.ndarray:
    """Which pixels of rectified spectra hold a measurement: finite in flux and error, and not masked.

    Args:
        flux, e_flux: As :func:`rectify` returns them, of any shape.

    Returns:
        bool of the same shape.
    """
    return np.isfinite(flux) & np.isfinite(e_flux) & ~((flux == FILL) & (e_flux == FILL))


def _on_detectors(
    flux: np.ndarray, e_flux: np.ndarray, pixel_flags: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Float64 copies of flux and error and the pixels to mask, all of shape (…, 7514)."""
    arrays = [np.asarray(array) for array in (flux, e_flux, pixel_flags)]
    shape = arrays[0].shape
    if len(shape) not in (1, 2) or shape[-1] != N_GRID or any(array.shape != shape for array in arrays):
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"flux, e_flux, pixel_flags: shapes {shapes}; all ({N_GRID},) or all (N, {N_GRID})")
    flux, e_flux, pixel_flags = (
        np.concatenate([array[..., start:end] for start, end in DETECTORS], axis=-1) for array in arrays
    )
    return flux.astype(float), e_flux.astype(float), (pixel_flags & MASKED_BITS) != 0


# > Backends: (N, 7514) flux and error -> the same, normalised


def _normalise(flux: np.ndarray, e_flux: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    continuum = np.empty_like(flux)
    for chip in CHIPS:
        continuum[:, chip] = _continuum(flux[:, chip], _weight(e_flux[:, chip]), CONTINUUM[chip])
    return flux / continuum, e_flux / continuum


def _normalise_with_astronn(flux: np.ndarray, e_flux: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Warnings of setuptools at the import, and of polynomials that the data do not determine.
    with silenced():
        require("astroNN.apogee", "--backend astronn", "astronn")
        from astroNN.apogee import apogee_continuum

        return apogee_continuum(flux, e_flux, dr=17)


_BACKENDS = {"astra": _normalise, "astronn": _normalise_with_astronn}


# > Least squares


def _weight(e_flux: np.ndarray) -> np.ndarray:
    """The weight of a residual: the inverse variance, where others take the inverse error."""
    return 1.0 / (np.square(e_flux) + 1e-8)


def _continuum(flux: np.ndarray, weight: np.ndarray, selected: np.ndarray) -> np.ndarray:
    """The continuum of one detector at all its pixels.

    Args:
        flux, weight: Shape (N, pixels of the detector); finite at the selected pixels.
        selected: bool of shape (pixels,), the pixels to fit.
    """
    pixels = np.flatnonzero(selected)
    # The ends of the polynomials' domain are the outermost pixels of the fit, whatever their weight.
    everywhere = mapdomain(np.arange(selected.size), pixels[[0, -1]], (-1, 1))
    x, flux, weight = everywhere[pixels], flux[:, pixels], weight[:, pixels]
    coefficients, rounding = _fit(x, flux, weight)
    continuum = chebyshev.chebval(everywhere, coefficients.T)
    sound = rounding < SOUND * np.abs(continuum).min(axis=1)
    # Only the routine that astroNN calls gives astroNN's digits there; it takes one spectrum at a time.
    for row in np.flatnonzero(~sound & weight.any(axis=1)):
        solution, _ = chebyshev.chebfit(x, flux[row], DEGREE, w=weight[row], full=True)
        continuum[row] = chebyshev.chebval(everywhere, solution)
    return continuum


def _fit(x: np.ndarray, flux: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares for all spectra at once, by QR of ``[design | flux]``.

    Returns:
        Chebyshev coefficients, shape (N, 3), 0 where they are not determined; and a bound on their
        rounding error (N. J. Higham 2002, Accuracy and Stability of Numerical Algorithms, section 20.1:
        condition squared times machine precision), shape (N,).
    """
    heaviest = weight.max(axis=1, keepdims=True)
    weight = weight / np.where(heaviest > 0, heaviest, 1.0)
    design = np.broadcast_to(chebyshev.chebvander(x, DEGREE), (*flux.shape, DEGREE + 1))
    weighted = np.concatenate([design, flux[..., None]], axis=-1) * weight[..., None]
    triangle = np.linalg.qr(weighted, mode="r")
    left, right = triangle[:, :-1, :-1], triangle[:, :-1, -1:]
    norm = np.linalg.norm(triangle, axis=1)
    singular = np.linalg.svd(left / np.where(norm > 0, norm, 1.0)[:, None, :-1], compute_uv=False)
    condition = singular[:, 0] / singular[:, -1]
    determined = condition < 1e8
    coefficients = np.zeros((len(flux), DEGREE + 1))
    coefficients[determined] = np.linalg.solve(left[determined], right[determined])[..., 0]
    return coefficients, np.finfo(float).eps * condition**2 * norm[:, -1] / norm[:, :-1].min(axis=1)
