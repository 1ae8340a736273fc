"""APOGEE spectra, and what all spectra share: their identity, and pixels that are read when asked for."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from astra.models import fields
from astra.models.base import BaseModel, spectra_of
from astra.models.source import Source

if TYPE_CHECKING:
    import numpy as np

    from astra.spectra.combined import CombinedSpectrum


class Spectrum(BaseModel):
    """The identity of a spectrum of any kind; the table of its kind says the rest."""

    pk = fields.AutoField()

    def resolve(self) -> BaseModel:
        """The row of its kind.

        Raises:
            DoesNotExist: No model of spectra of an installed task has it.
        """
        for key, model in spectra_of(type(self)):
            if (row := model.get_or_none(key == self.pk)) is not None:
                return row
        raise self.DoesNotExist(f"spectrum {self.pk} is in no table of spectra of an installed task")


class SpectrumMixin:
    """Pixels of a spectrum on the grid of apStar files; arrays of shape ``(8575,)``."""

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
        """Read the combined spectrum from its file, at every call.

        Raises:
            SpectrumError: The file is not there, or does not hold the spectrum.
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


class ApogeeSpectrum(BaseModel, SpectrumMixin):
    """What combined spectra of APOGEE have in common, in whichever file they are."""

    pk = fields.AutoField()
    spectrum_flags = fields.BitField(default=0)
    flag = spectrum_flags.flag
    flag_bad_pixels = flag(2**0, "More than 20 % of the pixels are bad")
    flag_commissioning = flag(2**1, "Commissioning data of lower quality")
    flag_bright_neighbor = flag(2**2, "A neighbouring fibre is more than 10 times brighter")
    flag_very_bright_neighbor = flag(2**3, "A neighbouring fibre is more than 100 times brighter")
    flag_low_snr = flag(2**4, "Signal-to-noise ratio below 5")
    flag_persist_high = flag(2**9, "More than 20 % of the pixels in the high persistence region")
    flag_persist_med = flag(2**10, "More than 20 % of the pixels in the medium persistence region")
    flag_persist_low = flag(2**11, "More than 20 % of the pixels in the low persistence region")
    flag_persist_jump_pos = flag(2**12, "Positive jump in flux between chips, from persistence")
    flag_persist_jump_neg = flag(2**13, "Negative jump in flux between chips, from persistence")
    flag_suspect_rv_combination = flag(2**16, "Velocities from two methods differ")
    flag_suspect_broad_lines = flag(2**17, "Broader lines than the best template")
    flag_bad_rv_combination = flag(2**18, "Velocities from two methods differ by far")
    flag_rv_reject = flag(2**19, "The velocity of a visit was rejected")
    flag_rv_suspect = flag(2**20, "The velocity is doubtful")
    flag_multiple_suspect = flag(2**21, "Probably more than one star in the spectrum")
    flag_rv_failure = flag(2**22, "No velocity could be measured")
    flag_suspect_rotation = flag(2**23, "Probably a fast rotator")
    flag_mtpflux_lt_75 = flag(2**24, "Relative flux in the fibre block below 75 %")
    flag_mtpflux_lt_50 = flag(2**25, "Relative flux in the fibre block below 50 %")
    del flag


class ApogeeCoaddedSpectrumInApStar(ApogeeSpectrum):
    """The combined spectrum of a star in an apStar or asStar file."""

    # > Identifiers
    source = fields.ForeignKeyField(
        Source, null=True, column_name="source_pk", backref="apogee_coadded_spectra_in_apstar"
    )
    spectrum_pk = fields.ForeignKeyField(Spectrum, unique=True, lazy_load=False, column_name="spectrum_pk")
    product_id = fields.TextField(unique=True)

    # > Data product
    release = fields.TextField()
    filetype = fields.TextField(default="apStar")
    apred = fields.TextField()
    apstar = fields.TextField(default="stars")
    obj = fields.TextField(index=True)
    telescope = fields.TextField()
    healpix = fields.IntegerField(null=True, help_text="HEALPix pixel in the file's path (SDSS-V; nside 128)")
    field = fields.TextField(default="", index=True)
    prefix = fields.TextField(default="ap")
    reduction = fields.TextField(default="")
    commissioning = fields.BooleanField(default=False)
    path = fields.TextField(null=True)
    pixels_digest = fields.TextField(null=True)

    # > Quality
    n_visits = fields.IntegerField(null=True)
    snr = fields.FloatField()
    # Inherited, and here for its place among the columns.
    spectrum_flags = fields.BitField(default=0)

    # > Radial velocity
    v_rad = fields.FloatField()
    e_v_rad = fields.FloatField()

    created = fields.StampField()
    modified = fields.StampField()

    class Meta:
        table_name = "apogee_coadded_spectrum_in_apstar"
