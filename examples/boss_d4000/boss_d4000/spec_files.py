"""Reads the spec files of the BOSS pipeline of SDSS-V: arrays and plain values, no rows.

The layout is that of ``specLite`` in the data model of SDSS: HDU 1 (COADD) holds a row for each pixel, HDU 2
(SPALL) one row about the spectrum. The names of columns are compared without regard to case, as FITS does.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from astra.errors import SpectrumError, UnreadableSpectrum
from astra.spectra.content import content_of


@dataclass(frozen=True)
class Pixels:
    """A co-added spectrum.

    Attributes:
        wavelength: In vacuum, as observed [Angstrom].
        flux: Flux [10^-17 erg / (s cm2 Angstrom)].
        ivar: Inverse variance of the flux, 0 where a pixel was not measured.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray

    def digest(self) -> str:
        """A checksum of the pixels."""
        content = b"".join(array.tobytes() for array in (self.wavelength, self.flux, self.ivar))
        return hashlib.blake2b(content, digest_size=16).hexdigest()


@dataclass(frozen=True)
class Facts:
    """What SPALL says of a spectrum.

    Attributes:
        sdss_id: Of the star or galaxy; not positive if there is none.
        redshift: Redshift of the best model.
        zwarning: Bits that are not 0 if the redshift may be wrong.
        snr: Median signal-to-noise ratio of all good pixels.
    """

    run2d: str
    field: int
    mjd: int
    catalogid: int
    sdss_id: int
    ra: float
    dec: float
    redshift: float
    zwarning: int
    snr: float


# The columns of SPALL, in the order of the attributes.
_COLUMNS = "RUN2D FIELD MJD CATALOGID SDSS_ID RACAT DECCAT Z ZWARNING SN_MEDIAN_ALL".split()


def read_pixels(path: Path) -> Pixels:
    """Read the co-added spectrum of a file.

    Raises:
        MissingSpectrum: The operating system refuses the file.
        UnreadableSpectrum: The file is damaged, or is not a spec file.
    """
    with _opened(path) as hdus:
        return _pixels(hdus)


def read_all(path: Path) -> tuple[Facts, Pixels]:
    """Read a file for its ingest.

    Raises:
        MissingSpectrum: The operating system refuses the file.
        UnreadableSpectrum: The file is damaged, or is not a spec file of SDSS-V.
    """
    with _opened(path) as hdus:
        row = hdus[2].data[0]
        return Facts(*(_plain(row[name]) for name in _COLUMNS)), _pixels(hdus)


def _pixels(hdus: fits.HDUList) -> Pixels:
    table = hdus[1].data
    loglam, flux, ivar = (np.asarray(table[name], float) for name in ("LOGLAM", "FLUX", "IVAR"))
    return Pixels(10**loglam, flux, np.where(np.isfinite(flux) & (ivar > 0), ivar, 0.0))


def _plain(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value.item()


@contextmanager
def _opened(path: Path) -> Iterator[fits.HDUList]:
    # Astropy raises OSError for a file that the system withholds and for a damaged one; content_of does not.
    with content_of(path) as file:
        try:
            with fits.open(file, memmap=False) as hdus:
                yield hdus
        except SpectrumError:
            raise
        except Exception as error:  # whatever damaged bytes make astropy do
            detail = " ".join(str(error).split())
            raise UnreadableSpectrum(f"not a spec file: {path} ({type(error).__name__}: {detail})") from error
