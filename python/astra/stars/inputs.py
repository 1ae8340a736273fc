"""The arguments of ``astra.distance``, checked and converted to the arrays that the computation takes."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from astra.errors import nearest
from astra.ingest.values import A_K_PER_EBV
from astra.models.source import Source
from astra.pipelines.astronn_dist.distances.distance import NAMES, TEXTS
from astra.spectra.combined import CombinedSpectrum
from astra.spectra.grid import BADPIX, N_GRID, wavelength

#: The unit of the flux in apStar files; a flux without a unit is in this one.
FLUX_UNIT = "1e-17 erg / (s cm2 Angstrom)"
#: The pixel mask of a pixel that a boolean mask hides.
MASKED = 1 << BADPIX

_EXAMPLES = {"gaia_release": "dr3", "ph_qual": "AAA", "cc_flg": "000"}
# Extinctions in Ks, and the reddenings that they stand for.
_OF_EXTINCTION = {"a_k": "ebv", "e_a_k": "e_ebv"}
# A twentieth of a pixel.
_SAME_WAVELENGTH = 7e-7


def spectra_from(flux: Any, e_flux: Any, pixel_flags: Any) -> tuple[list[CombinedSpectrum], bool]:
    """Spectra from arrays, or from an object that has a flux, an uncertainty and a spectral axis.

    Args:
        flux: Array or quantity of shape (8575,) or (N, 8575), a ``Spectrum`` of specutils, or a combined
            spectrum as it is read from a file.
        e_flux: Errors of the same shape; ``None`` takes those of the object.
        pixel_flags: APOGEE pixel mask of the same shape; ``None`` takes that of the object.

    Returns:
        The spectra, and whether this is one, not an array of them.

    Raises:
        ValueError: The arrays do not hold spectra on the apStar grid.
    """
    if isinstance(flux, CombinedSpectrum):
        e_flux = flux.e_flux if e_flux is None else e_flux
        flux, pixel_flags = flux.flux, flux.pixel_flags if pixel_flags is None else pixel_flags
    elif hasattr(flux, "spectral_axis"):
        flux, e_flux, pixel_flags = _unpacked(flux, e_flux, pixel_flags)
    if e_flux is None or pixel_flags is None:
        missing = "e_flux" if e_flux is None else "pixel_flags"
        raise ValueError(f"{missing} is missing: give flux, e_flux and pixel_flags, or a Spectrum")
    flux, e_flux = floats("flux", flux, FLUX_UNIT), floats("e_flux", e_flux, FLUX_UNIT)
    pixel_flags = _bits(pixel_flags)
    shapes = [array.shape for array in (flux, e_flux, pixel_flags)]
    if len(set(shapes)) > 1 or len(shapes[0]) not in (1, 2) or shapes[0][-1] != N_GRID:
        found = ", ".join(map(str, shapes))
        raise ValueError(f"flux, e_flux, pixel_flags: shapes {found}; all ({N_GRID},) or all (N, {N_GRID})")
    with np.errstate(invalid="ignore"):
        e_flux = np.where(np.isfinite(e_flux) & (e_flux > 0), e_flux, np.inf)
    rows = zip(*map(np.atleast_2d, (flux, e_flux, pixel_flags)), strict=True)
    return [CombinedSpectrum(*row) for row in rows], flux.ndim == 1


def star_values(values: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Values of N stars, by the names of the columns of sources, checked and in the units of these columns.

    Returns:
        Numbers and texts, of shape (), (1,) or (N,); those that are ``None`` are left out.

    Raises:
        TypeError: There is no such name.
        ValueError: A value is not a number (a text, for one of ``TEXTS``), or not one for each star.
    """
    known = (*NAMES, *_OF_EXTINCTION)
    if unknown := sorted(set(values) - set(known)):
        there = nearest(unknown[0], known, "of a star, give any of")
        raise TypeError(f"unknown keyword {unknown[0]!r}{there}")
    checked = {}
    for name, value in values.items():
        if value is None:
            continue
        if name in _OF_EXTINCTION:
            value = floats(name, value, "mag") / A_K_PER_EBV
            extinction, name = name, _OF_EXTINCTION[name]
            if values.get(name) is not None:
                raise TypeError(f"{extinction} and {name} say the same: give one of them")
        elif name not in TEXTS:
            value = floats(name, value, Source._meta.fields[name].unit)
        elif not all(text is None or isinstance(text, str) for text in np.ravel(np.asarray(value, object))):
            raise ValueError(f"{name}: {value!r}; give a text, e.g. {_EXAMPLES[name]!r}")
        shape = np.shape(value)
        if shape not in ((), (1,), (count,)):
            raise ValueError(f"{name} has shape {shape}; give one value, or one for each of {count} stars")
        checked[name] = value
    return checked


def floats(name: str, value: Any, unit: str | None) -> np.ndarray:
    """An array of floats in a unit, NaN where it is masked; a number without a unit is taken to be in it.

    Raises:
        ValueError: It is not made of numbers, or of another unit.
    """
    from astropy import units

    own = getattr(value, "unit", None)
    if own not in (None, units.dimensionless_unscaled) and unit is not None:
        try:
            value = units.Quantity(value).to_value(unit)
        except units.UnitConversionError as error:
            raise ValueError(f"{name} is in {own}, and not in {unit}") from error
    if isinstance(value, np.ma.MaskedArray):
        value = np.ma.filled(value.astype(float), np.nan)
    try:
        value = np.asarray(value)
        if value.dtype.kind not in "iufO":
            raise TypeError(f"values of type {value.dtype}")
        return value.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not made of numbers: {error}") from None


def seed_from(seed: Any) -> int:
    """The seed of the dropout masks, in the range that ``astra run`` takes, too.

    Raises:
        ValueError: It is not an integer from 0 to 2**63 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or not 0 <= int(seed) < 2**63:
        raise ValueError(f"seed: {seed!r}; give a whole number from 0 to 2**63 - 1")
    return int(seed)


def identities_from(identity: Any, spectra: Sequence[CombinedSpectrum], single: bool) -> list[str]:
    """The names of the spectra, on which the draws depend: those specified, else fingerprints of the pixels.

    Raises:
        ValueError: They are not texts, or there is not one for each spectrum.
    """
    if identity is None:
        return [spectrum.digest() for spectrum in spectra]
    names = [identity] if single and isinstance(identity, str) else identity
    is_list = not isinstance(names, str) and np.ndim(names) == 1
    if not is_list or len(names) != len(spectra) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"identity: give {'a text' if single else f'a list of {len(spectra)} texts'}")
    return [str(name) for name in names]


def _unpacked(spectrum: Any, e_flux: Any, pixel_flags: Any) -> tuple[Any, Any, Any]:
    """The flux of a ``Spectrum``, its errors and its mask, as far as these are not specified."""
    from astropy import units
    from astropy.nddata import StdDevUncertainty

    where = spectrum.spectral_axis.to_value(units.AA, units.spectral())
    if where.shape != (N_GRID,) or not np.allclose(where, wavelength(), rtol=_SAME_WAVELENGTH, atol=0):
        raise ValueError(
            f"the spectrum is not on the apStar grid: {N_GRID} vacuum wavelengths from {wavelength()[0]:.3f} "
            f"to {wavelength()[-1]:.3f} Angstrom in constant steps of their logarithm, at rest"
        )
    if e_flux is None:
        if spectrum.uncertainty is None:
            raise ValueError("the spectrum has no uncertainty, and no e_flux is given")
        with np.errstate(divide="ignore", invalid="ignore"):  # an inverse variance of 0
            e_flux = spectrum.uncertainty.represent_as(StdDevUncertainty).quantity
    if pixel_flags is None:
        if spectrum.mask is None:
            # Its bad pixels would pass for lines.
            raise ValueError(
                "the spectrum has no mask, and no pixel_flags are given (zeros: all pixels are good)"
            )
        pixel_flags = np.where(np.broadcast_to(spectrum.mask, spectrum.flux.shape), MASKED, 0)
    return spectrum.flux, e_flux, pixel_flags


def _bits(pixel_flags: Any) -> np.ndarray:
    if isinstance(pixel_flags, np.ma.MaskedArray):
        pixel_flags = pixel_flags.filled(MASKED)
    bits = np.asarray(pixel_flags)
    if bits.dtype.kind == "b":
        return np.where(bits, MASKED, 0).astype(np.int32)
    if bits.dtype.kind not in "iu":
        raise ValueError(f"pixel_flags hold {bits.dtype}, not integers (bits) or booleans")
    if bits.size and (bits.min() < -(2**31) or bits.max() >= 2**31):
        raise ValueError("pixel_flags hold more than 32 bits")
    return bits.astype(np.int32)
