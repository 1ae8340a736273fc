"""Reads the combined spectrum of an apStar or asStar file.

HDU 1 holds the flux, HDU 2 its error, HDU 3 the pixel mask. Row 0 of a stack is the combined
spectrum; the file of a single visit has no other row, and its arrays have one dimension.
"""

import contextlib
import errno
import gzip
import hashlib
import stat
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from astra.errors import MissingSpectrum, SpectrumError, UnreadableSpectrum
from astra.products.fits_structure import check_structure
from astra.products.grid import N_GRID
from astra.silence import silenced

GZIP_MAGIC = b"\x1f\x8b"

# What the file system says when the fault is its own, or the file is gone with its disk.
_FILE_SYSTEM = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EIO,
    errno.ESTALE,
    errno.ENXIO,
    errno.ENODEV,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EREMOTEIO,
}
# What a FITS library raises over a damaged file, depending on where the damage is.
_DAMAGE = (OSError, EOFError, zlib.error, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


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
        MissingSpectrum: The file system does not give the file.
        UnreadableSpectrum: The file is truncated, no FITS file, or of another shape.
    """
    with _opened(Path(path)) as hdus:
        flux, error, flags = (_combined_row(hdus, index, path) for index in (1, 2, 3))
    if flags.dtype.kind not in "iu":
        raise UnreadableSpectrum(f"not a pixel mask: HDU 3 of {path} holds {flags.dtype.name}, not integers")
    with np.errstate(invalid="ignore"):  # a damaged file may hold signalling NaNs
        flux, error = flux.astype(np.float64), error.astype(np.float64)
        error = np.where(np.isfinite(error) & (error > 0), error, np.inf)
    return CombinedSpectrum(flux, error, flags.astype(np.int32))


def read_header(path: str | Path):
    """Read the primary header of a file.

    Returns:
        An ``astropy.io.fits.Header``.

    Raises:
        MissingSpectrum: The file system does not give the file.
        UnreadableSpectrum: The file is truncated, or no FITS file.
    """
    with _opened(Path(path)) as hdus:
        return hdus[0].header.copy()


@contextmanager
def _opened(path: Path) -> Iterator:
    from astropy.io import fits

    try:
        # A named pipe would keep us waiting, and a device never ends.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableSpectrum(f"not a file: {path}")
        # The structure is checked first; what else astropy warns of concerns nobody here.
        with silenced():
            # Opened here, because astropy leaves a file open that it stumbles over.
            with path.open("rb") as raw, _plain(raw) as file:
                check_structure(file, str(path))
                file.seek(0)
                with fits.open(file, memmap=False) as hdus:
                    yield hdus
    except SpectrumError:
        raise
    except _DAMAGE as error:
        raise _explained(error, path) from error


def _plain(file: BinaryIO) -> AbstractContextManager[BinaryIO]:
    """The file, or what it holds if it is compressed with gzip."""
    magic = file.read(len(GZIP_MAGIC))
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if magic == GZIP_MAGIC else contextlib.nullcontext(file)


def _explained(error: Exception, path: Path) -> SpectrumError:
    if isinstance(error, OSError) and error.errno in _FILE_SYSTEM:
        return MissingSpectrum(f"{error.strerror}: {path}")
    if isinstance(error, OSError) and error.errno is not None:
        return UnreadableSpectrum(f"{error.strerror}: {path}")
    detail = " ".join(str(error).split())
    return UnreadableSpectrum(f"not a readable FITS file: {path} ({type(error).__name__}: {detail})")


def _combined_row(hdus, index: int, path: str | Path) -> np.ndarray:
    try:
        hdu = hdus[index]  # len() would make astropy read all the headers
    except IndexError:
        raise UnreadableSpectrum(f"truncated: {path} has no HDU {index}") from None
    shape = getattr(hdu, "shape", None)
    if not shape or len(shape) > 2 or shape[-1] != N_GRID or shape[0] < 1:
        raise UnreadableSpectrum(
            f"wrong shape: HDU {index} of {path} is {shape}, not (n, {N_GRID}) or ({N_GRID},)"
        )
    section = hdu.section
    return np.asarray(section[:] if len(shape) == 1 else section[0, :])
