"""Reads the combined spectrum of an apStar or asStar file.

HDU 1 holds the flux, HDU 2 its error, HDU 3 the pixel mask. Row 0 of a stack is the combined
spectrum; the file of a single visit has no other row, and its arrays have one dimension.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from astra.errors import MissingSpectrum, SpectrumError, UnreadableSpectrum
from astra.spectra.content import content_of
from astra.spectra.fits_structure import check_structure
from astra.spectra.grid import N_GRID
from astra.spectra.tiles import check_tiles
from astra.system.silence import silenced

if TYPE_CHECKING:
    from astropy.io.fits import HDUList, Header


@dataclass(frozen=True)
class CombinedSpectrum:
    """The combined spectrum of one star; arrays of shape ``(8575,)``.

    Attributes:
        flux: Flux, float64 [10^-17 erg / (s cm2 Angstrom)].
        e_flux: Its error, float64; infinite where it is zero, negative or not finite: no weight.
        pixel_flags: APOGEE pixel mask, int32.
    """

    flux: np.ndarray
    e_flux: np.ndarray
    pixel_flags: np.ndarray

    def digest(self) -> str:
        """A fingerprint of the pixels: equal for equal spectra, whatever surrounds them in the file."""
        content = hashlib.blake2b(digest_size=16)
        for array in (self.flux, self.e_flux, self.pixel_flags):
            content.update(np.ascontiguousarray(array).tobytes())
        return content.hexdigest()


def read_combined(path: str | Path) -> CombinedSpectrum:
    """Read the combined spectrum.

    Raises:
        MissingSpectrum: The system does not give the file, or no memory to read it.
        UnreadableSpectrum: The file is damaged, no FITS file, or of another shape.
    """
    with _opened(Path(path)) as (file, hdus):
        flux, error, flags = (_combined_row(file, hdus, index, path) for index in (1, 2, 3))
    if flags.dtype.kind not in "iu":
        raise UnreadableSpectrum(f"not a pixel mask: HDU 3 of {path} holds {flags.dtype.name}, not integers")
    with np.errstate(invalid="ignore"):  # a damaged file may hold signalling NaNs
        flux, error = flux.astype(np.float64), error.astype(np.float64)
        error = np.where(np.isfinite(error) & (error > 0), error, np.inf)
    return CombinedSpectrum(flux, error, flags.astype(np.int32))


def read_header(path: str | Path) -> "Header":
    """Read the primary header of a file.

    Raises:
        MissingSpectrum: The system does not give the file, or no memory to read it.
        UnreadableSpectrum: The file is damaged, or no FITS file.
    """
    with _opened(Path(path)) as (_, hdus):
        return hdus[0].header.copy()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, "HDUList"]]:
    from astropy.io import fits

    try:
        # The structure is checked first; what else astropy warns of concerns nobody here.
        with silenced(), content_of(path) as file:
            check_structure(file, str(path))
            file.seek(0)
            with fits.open(file, memmap=False) as hdus:
                yield file, hdus
    except SpectrumError:
        raise
    except MemoryError as error:  # the checks bound what a file asks for: the machine has nothing left
        raise MissingSpectrum(f"no memory to read it: {path}") from error
    except Exception as error:  # whatever the bytes make a library do
        detail = ": ".join(filter(None, [type(error).__name__, " ".join(str(error).split())]))
        raise UnreadableSpectrum(f"not a readable FITS file: {path} ({detail})") from error


def _combined_row(file: BinaryIO, hdus: "HDUList", index: int, path: str | Path) -> np.ndarray:
    from astropy.io import fits

    try:
        hdu = hdus[index]  # len() would make astropy read all the headers
    except IndexError:
        raise UnreadableSpectrum(f"truncated: {path} has no HDU {index}") from None
    shape = getattr(hdu, "shape", None)
    if not shape or len(shape) > 2 or shape[-1] != N_GRID or shape[0] < 1:
        raise UnreadableSpectrum(
            f"wrong shape: HDU {index} of {path} is {shape}, not (n, {N_GRID}) or ({N_GRID},)"
        )
    if isinstance(hdu, fits.CompImageHDU):
        check_tiles(hdu, file, f"HDU {index} of {path}")
    section = hdu.section
    return np.asarray(section[:] if len(shape) == 1 else section[0, :])
