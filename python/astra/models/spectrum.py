"""What all spectra share: one identity across all kinds, and pixels that are read when asked for."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from astra.models.base import BaseModel
from astra.models.fields import AutoField

if TYPE_CHECKING:
    import numpy as np

    from astra.spectra.apstar import CombinedSpectrum


class Spectrum(BaseModel):
    """The identity of a spectrum of any kind; the table of its kind says the rest."""

    pk = AutoField()


class SpectrumMixin:
    """Pixels of a spectrum that lives in an apStar file; arrays of shape ``(8575,)``."""

    path: str | None

    @property
    def absolute_path(self) -> Path:
        """Where the file is; relative paths start from ``SAS_BASE_DIR``.

        Raises:
            UnreadableSpectrum: No path is known.
            ConfigError: The path is relative, and ``SAS_BASE_DIR`` is not set.
        """
        from astra.spectra.identity import absolute

        return absolute(self.path)

    def read(self) -> "CombinedSpectrum":
        """Read the combined spectrum from its file, anew at every call.

        Raises:
            SpectrumError: The file is not there, or does not hold an apStar spectrum.
        """
        from astra.spectra.apstar import read_combined

        return read_combined(self.absolute_path)

    @cached_property
    def _pixels(self) -> "CombinedSpectrum":
        return self.read()

    @property
    def flux(self) -> "np.ndarray":
        """Flux [10^-17 erg / (s cm2 Angstrom)]."""
        return self._pixels.flux

    @property
    def e_flux(self) -> "np.ndarray":
        """Error on the flux, infinite where there is none [10^-17 erg / (s cm2 Angstrom)]."""
        return self._pixels.e_flux

    @property
    def ivar(self) -> "np.ndarray":
        """Inverse variance of the flux, zero where there is no error [1 / flux^2]."""
        return self._pixels.e_flux**-2.0

    @property
    def pixel_flags(self) -> "np.ndarray":
        """APOGEE pixel mask (APSTAR bits)."""
        return self._pixels.pixel_flags

    @property
    def wavelength(self) -> "np.ndarray":
        """Vacuum wavelength in the rest frame of the star [Angstrom]."""
        from astra.spectra.grid import wavelength

        return wavelength()
