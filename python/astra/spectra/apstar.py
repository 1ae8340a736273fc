"""Reads the combined spectrum of an apStar or asStar file.

HDU 1 holds the flux, HDU 2 its error, HDU 3 the pixel mask. Row 0 of a stack is the combined
spectrum; the file of a single visit has no other row, and its arrays have one dimension.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from astra.errors import UnreadableSpectrum
from astra.spectra.combined import CombinedSpectrum, SpectrumFile, faults_of
from astra.spectra.fits_structure import Hdu, check_tiles
from astra.spectra.grid import N_GRID
from astra.system.processes import silenced

if TYPE_CHECKING:
    from astropy.io.fits import Header


def read_combined(path: str | Path) -> CombinedSpectrum:
    """Read the combined spectrum.

    Raises:
        MissingSpectrum: The operating system refuses the file, or there is no memory to read it.
        UnreadableSpectrum: The file is damaged, is not a FITS file, or has another shape.
    """
    with ApStarFile.opened(path) as file:
        return file.combined()


def read_header(path: str | Path) -> "Header":
    """Read the primary header of a file.

    Raises:
        MissingSpectrum: The operating system refuses the file, or there is no memory to read it.
        UnreadableSpectrum: The file is damaged, or is not a FITS file.
    """
    with ApStarFile.opened(path) as file:
        return file.header()


class ApStarFile(SpectrumFile):
    """An open and complete apStar or asStar file."""

    def combined(self) -> CombinedSpectrum:
        """The combined spectrum; files of any other form than the survey's are left to astropy."""
        primary, *images = self._hdus[:4]
        is_plain = primary.shape is not None and [_holds_spectra(hdu.shape) for hdu in images] == [True] * 3
        with faults_of(self.path):
            flux, error, flags = map(self._row, images) if is_plain else map(self._row_by_astropy, (1, 2, 3))
        if flags.dtype.kind not in "iu":
            raise UnreadableSpectrum(
                f"not a pixel mask: HDU 3 of {self.path} holds {flags.dtype.name}, not integers"
            )
        with np.errstate(invalid="ignore"):  # a damaged file may hold signalling NaNs
            flux, error = flux.astype(np.float64), error.astype(np.float64)
            error = np.where(np.isfinite(error) & (error > 0), error, np.inf)
        return CombinedSpectrum(flux, error, flags.astype(np.int32))

    def _row(self, hdu: Hdu) -> np.ndarray:
        self._file.seek(hdu.start)
        pixel = np.dtype(hdu.pixel)
        return np.frombuffer(self._file.read(N_GRID * pixel.itemsize), pixel, N_GRID)

    def _row_by_astropy(self, index: int) -> np.ndarray:
        from astropy.io import fits

        # The structure was checked, so other warnings of astropy do not matter.
        with silenced():
            try:
                hdu = self._by_astropy[index]  # len() would make astropy read all the headers
            except IndexError:
                raise UnreadableSpectrum(f"truncated: {self.path} has no HDU {index}") from None
            shape = getattr(hdu, "shape", None)
            if not _holds_spectra(shape):
                raise UnreadableSpectrum(
                    f"wrong shape: HDU {index} of {self.path} is {shape}, not (n, {N_GRID}) or ({N_GRID},)"
                )
            if isinstance(hdu, fits.CompImageHDU):
                check_tiles(hdu, self._file, f"HDU {index} of {self.path}")
            section = hdu.section
            return np.asarray(section[:] if len(shape) == 1 else section[0, :])


def _holds_spectra(shape: tuple[int, ...] | None) -> bool:
    return bool(shape) and len(shape) <= 2 and shape[-1] == N_GRID and shape[0] >= 1
