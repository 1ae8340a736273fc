"""Magnitudes, luminosities, parallaxes and distances into each other, under the names of ``astroNN.gaia``.

The pseudo-luminosity ("fakemag") is ``10^(0.2 M + 2) = parallax 10^(0.2 m)`` with the parallax in mas
(Leung & Bovy 2019, MNRAS 489, 2079). Arguments are numbers, arrays or quantities; a number without a unit is
in the one that is named. Results are quantities. What is absent is NaN, and so is the result of fillers such
as -9999 or 99.99 and of what has no logarithm; astroNN returns -9999. Called with an error, functions return
the value and its error, to first order; of absolute and of apparent magnitudes, astroNN returns another one.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from astra.ingest.values import FILLER, LARGEST_PARALLAX
from astra.stars.inputs import floats

if TYPE_CHECKING:
    from astropy.units import Quantity

# A quantity, or, called with an error, two.
Found: TypeAlias = Any


def extinction_correction(mag: Any, extinction: Any) -> "Quantity":
    """Magnitudes free of extinction [mag]; an extinction below -1, a filler, counts as 0."""
    found = floats("extinction", extinction, "mag")
    return _quantity("mag", _magnitude(mag) - np.where(found < -1, 0, found))


def mag_to_fakemag(mag: Any, parallax: Any, parallax_err: Any = None) -> Found:
    """Pseudo-luminosities [mas] from magnitudes [mag] and parallaxes [mas], or distances with a unit.

    That of a negative parallax is negative, as a likelihood needs it.
    """
    parallax, relative = _parallax(parallax, parallax_err)
    return _scaled("mas", parallax * 10 ** (0.2 * _magnitude(mag)), relative)


def mag_to_absmag(mag: Any, parallax: Any, parallax_err: Any = None) -> Found:
    """Absolute magnitudes [mag] from apparent ones [mag] and parallaxes [mas], or distances with a unit."""
    parallax, relative = _parallax(parallax, parallax_err)
    return _magnitudes(_magnitude(mag) + 5 * (_log10(parallax) - 2), relative)


def fakemag_to_absmag(fakemag: Any) -> "Quantity":
    """Absolute magnitudes [mag] from pseudo-luminosities [mas]."""
    return _quantity("mag", 5 * (_log10(_luminosity(fakemag)) - 2))


def absmag_to_fakemag(absmag: Any) -> "Quantity":
    """Pseudo-luminosities [mas] from absolute magnitudes [mag]."""
    return _quantity("mas", 10 ** (0.2 * _magnitude(absmag) + 2))


def absmag_to_pc(absmag: Any, mag: Any) -> "Quantity":
    """Distances [pc] from absolute and apparent magnitudes [mag]."""
    return _quantity("pc", 10 ** ((_magnitude(mag) - _magnitude(absmag)) / 5 + 1))


def fakemag_to_pc(fakemag: Any, mag: Any, fakemag_err: Any = None) -> Found:
    """Distances [pc] from pseudo-luminosities [mas] and apparent magnitudes [mag] free of extinction."""
    luminosity = _luminosity(fakemag)
    dist = 1000 * 10 ** (0.2 * _magnitude(mag)) / luminosity
    return _scaled("pc", dist, _relative(fakemag_err, luminosity))


def fakemag_to_parallax(fakemag: Any, mag: Any, fakemag_err: Any = None) -> Found:
    """Parallaxes [mas] from pseudo-luminosities [mas] and apparent magnitudes [mag] free of extinction."""
    luminosity = _luminosity(fakemag)
    parallax = luminosity / 10 ** (0.2 * _magnitude(mag))
    return _scaled("mas", parallax, _relative(fakemag_err, luminosity))


def fakemag_to_mag(fakemag: Any, pc: Any, pc_err: Any = None) -> Found:
    """Magnitudes [mag] from pseudo-luminosities [mas] and distances [pc], or parallaxes with a unit."""
    parallax, relative = _parallax(_quantity("pc", pc), pc_err)
    return _magnitudes(5 * (_log10(_luminosity(fakemag)) - _log10(parallax)), relative)


# > Absent values, units, errors


def _quantity(unit: str, value: Any) -> "Quantity":
    """A quantity as it is, other numbers in this unit."""
    from astropy.units import Quantity

    return value if hasattr(value, "unit") else Quantity(floats("value", value, None), unit)


def _magnitude(value: Any) -> np.ndarray:
    mag = floats("magnitude", value, "mag")
    return np.where(np.abs(mag) < FILLER, mag, np.nan)


def _luminosity(value: Any) -> np.ndarray:
    fakemag = floats("fakemag", value, "mas")
    return np.where(fakemag > 0, fakemag, np.nan)


def _log10(value: np.ndarray) -> np.ndarray:
    return np.log10(np.where(value > 0, value, np.nan))


def _parallax(value: Any, error: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Parallaxes [mas], and their relative errors, which to first order are those of distances."""
    from astropy.units import Quantity, UnitConversionError, mas, parallax

    given = _quantity("mas", value)
    relative = None if error is None else floats("error", error, str(given.unit)) / np.abs(given.value)
    try:
        with np.errstate(divide="ignore"):
            found = Quantity(given, dtype=float).to_value(mas, parallax())
    except UnitConversionError:
        raise ValueError(f"{given.unit} is a unit neither of parallaxes nor of distances") from None
    return np.where(np.abs(found) < LARGEST_PARALLAX, found, np.nan), relative


def _relative(error: Any, luminosity: np.ndarray) -> np.ndarray | None:
    return None if error is None else floats("fakemag_err", error, "mas") / luminosity


def _scaled(unit: str, values: np.ndarray, relative: np.ndarray | None) -> Found:
    """Values in a unit, with errors in it from relative ones."""
    found = _quantity(unit, values)
    return found if relative is None else (found, np.abs(found) * relative)


def _magnitudes(values: np.ndarray, relative: np.ndarray | None) -> Found:
    """Magnitudes, with errors from the relative ones of a parallax or a distance."""
    found = _quantity("mag", values)
    if relative is None:
        return found
    return found, _quantity("mag", np.where(np.isnan(values), np.nan, 5 / np.log(10) * relative))
