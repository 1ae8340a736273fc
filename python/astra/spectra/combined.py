"""Combined spectra of APOGEE, and what the files that hold them have in common: their safe opening."""

import hashlib
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np

from astra.damage import damage
from astra.errors import MissingSpectrum, UnreadableSpectrum
from astra.spectra.content import content_of
from astra.spectra.fits_structure import Hdu, cards_among, structure_of
from astra.system.processes import silenced

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
        content = b"".join(array.tobytes() for array in (self.flux, self.e_flux, self.pixel_flags))
        return hashlib.blake2b(content, digest_size=16).hexdigest()


@dataclass(frozen=True)
class SpectrumFile:
    """An open and complete FITS file; its methods raise as :func:`SpectrumFile.opened` does."""

    path: str | Path
    _file: BinaryIO
    _hdus: list[Hdu]

    @classmethod
    @contextmanager
    def opened(cls, path: str | Path) -> Iterator[Self]:
        """Open a file once for all that is read of it.

        Raises:
            MissingSpectrum: The operating system refuses the file, or there is no memory to read it.
            UnreadableSpectrum: The file is damaged, or is not a FITS file.
        """
        with ExitStack() as stack:
            with faults_of(path):
                file = stack.enter_context(content_of(Path(path)))
                hdus = structure_of(file, str(path))
            yield cls(path, file, hdus)

    def header(self, keywords: Collection[str] | None = None) -> "Header":
        """The primary header.

        Args:
            keywords: Which cards are wanted, in capitals: astropy takes 6 µs for each card, and the survey
                writes 170. A header in another form than the survey's has all of them.
        """
        from astropy.io.fits import Header

        with faults_of(self.path), silenced():
            primary = self._hdus[0]
            if primary.shape is None:
                return self._by_astropy[0].header.copy()
            self._file.seek(0)
            text = self._file.read(primary.start)
            return Header.fromstring(text if keywords is None else cards_among(text, keywords))

    @cached_property
    def _by_astropy(self) -> "HDUList":
        from astropy.io import fits

        self._file.seek(0)
        return fits.open(self._file, memmap=False)


@contextmanager
def faults_of(path: str | Path) -> Iterator[None]:
    """Turn whatever goes wrong with a file into one of the two errors of a spectrum."""
    with damage(lambda why: UnreadableSpectrum(f"not a readable FITS file: {path} ({why})")):
        try:
            yield
        except MemoryError as error:  # the checks bound what a file asks for: the machine has nothing left
            raise MissingSpectrum(f"no memory to read it: {path}") from error
