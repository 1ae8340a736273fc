"""APOGEE spectra, and what all spectra share: their identity, and pixels that are read when asked for."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from astra.models.base import BaseModel
from astra.models.fields import (
    AutoField,
    BitField,
    BooleanField,
    DateTimeField,
    FloatField,
    ForeignKeyField,
    IntegerField,
    TextField,
)
from astra.models.source import Source

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
        from astra.spectra.location import absolute

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


class ApogeeCoaddedSpectrumInApStar(BaseModel, SpectrumMixin):
    """The combined spectrum of a star in an apStar or asStar file."""

    pk = AutoField()

    # > Identifiers
    source = ForeignKeyField(
        Source, null=True, column_name="source_pk", backref="apogee_coadded_spectra_in_apstar"
    )
    spectrum_pk = ForeignKeyField(Spectrum, unique=True, lazy_load=False, column_name="spectrum_pk")
    product_id = TextField(unique=True)

    # > Data product
    release = TextField()
    filetype = TextField(default="apStar")
    apred = TextField()
    apstar = TextField(default="stars")
    obj = TextField(index=True)
    telescope = TextField()
    healpix = IntegerField(null=True, help_text="HEALPix pixel in the file's path (SDSS-V; nside 128)")
    field = TextField(default="", index=True)
    prefix = TextField(default="ap")
    reduction = TextField(default="")
    commissioning = BooleanField(default=False)
    path = TextField(null=True)
    pixels_digest = TextField(null=True)

    # > Quality
    n_visits = IntegerField(null=True)
    snr = FloatField()
    spectrum_flags = BitField(default=0)
    flag_bad_pixels = spectrum_flags.flag(2**0, "More than 20 % of the pixels are bad")
    flag_commissioning = spectrum_flags.flag(2**1, "Commissioning data of lower quality")
    flag_bright_neighbor = spectrum_flags.flag(2**2, "A neighbouring fibre is more than 10 times brighter")
    flag_very_bright_neighbor = spectrum_flags.flag(
        2**3, "A neighbouring fibre is more than 100 times brighter"
    )
    flag_low_snr = spectrum_flags.flag(2**4, "Signal-to-noise ratio below 5")
    flag_persist_high = spectrum_flags.flag(
        2**9, "More than 20 % of the pixels in the high persistence region"
    )
    flag_persist_med = spectrum_flags.flag(
        2**10, "More than 20 % of the pixels in the medium persistence region"
    )
    flag_persist_low = spectrum_flags.flag(
        2**11, "More than 20 % of the pixels in the low persistence region"
    )
    flag_persist_jump_pos = spectrum_flags.flag(
        2**12, "Positive jump in flux between chips, from persistence"
    )
    flag_persist_jump_neg = spectrum_flags.flag(
        2**13, "Negative jump in flux between chips, from persistence"
    )
    flag_suspect_rv_combination = spectrum_flags.flag(2**16, "Velocities from two methods differ")
    flag_suspect_broad_lines = spectrum_flags.flag(2**17, "Broader lines than the best template")
    flag_bad_rv_combination = spectrum_flags.flag(2**18, "Velocities from two methods differ by far")
    flag_rv_reject = spectrum_flags.flag(2**19, "The velocity of a visit was rejected")
    flag_rv_suspect = spectrum_flags.flag(2**20, "The velocity is doubtful")
    flag_multiple_suspect = spectrum_flags.flag(2**21, "Probably more than one star in the spectrum")
    flag_rv_failure = spectrum_flags.flag(2**22, "No velocity could be measured")
    flag_suspect_rotation = spectrum_flags.flag(2**23, "Probably a fast rotator")
    flag_mtpflux_lt_75 = spectrum_flags.flag(2**24, "Relative flux in the fibre block below 75 %")
    flag_mtpflux_lt_50 = spectrum_flags.flag(2**25, "Relative flux in the fibre block below 50 %")

    # > Radial velocity
    v_rad = FloatField()
    e_v_rad = FloatField()

    created = DateTimeField()
    modified = DateTimeField()

    class Meta:
        table_name = "apogee_coadded_spectrum_in_apstar"
