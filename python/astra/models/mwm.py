"""Spectra in the products of the Milky Way Mapper, which Astra itself makes for each star."""

from typing import TYPE_CHECKING

from astra.models import fields
from astra.models.apogee import ApogeeCoaddedSpectrumInApStar, ApogeeSpectrum, Spectrum
from astra.models.source import Source

if TYPE_CHECKING:
    from astra.spectra.combined import CombinedSpectrum


class ApogeeCombinedSpectrum(ApogeeSpectrum):
    """The combined spectrum of a star by APOGEE in an mwmStar file, one for each telescope."""

    # > Identifiers
    source = fields.ForeignKeyField(
        Source, null=True, column_name="source_pk", backref="apogee_combined_spectra"
    )
    spectrum_pk = fields.ForeignKeyField(Spectrum, unique=True, lazy_load=False, column_name="spectrum_pk")
    product_id = fields.TextField(unique=True)

    # > Data product
    release = fields.TextField()
    filetype = fields.TextField(default="mwmStar")
    v_astra = fields.TextField(help_text="Version of Astra that made the file")
    sdss_id = fields.BigIntegerField()
    apred = fields.TextField()
    obj = fields.TextField(index=True)
    telescope = fields.TextField()
    healpix = fields.IntegerField(null=True)
    path = fields.TextField(null=True)
    pixels_digest = fields.TextField(null=True)

    # > Quality
    n_visits = fields.IntegerField(null=True)
    n_good_visits = fields.IntegerField(null=True, help_text="Number of visits that the spectrum is made of")
    n_good_rvs = fields.IntegerField(null=True, help_text="Number of visits with a good radial velocity")
    snr = fields.FloatField()
    # Inherited, and here for its place among the columns.
    spectrum_flags = fields.BitField(default=0)

    # > Radial velocity
    v_rad = fields.FloatField()
    e_v_rad = fields.FloatField()

    created = fields.StampField()
    modified = fields.StampField()

    class Meta:
        table_name = "apogee_combined_spectrum"

    def read(self) -> "CombinedSpectrum":
        """Read the combined spectrum of this telescope from its file, at every call.

        Raises:
            SpectrumError: The file is not there, or does not hold the spectrum.
        """
        from astra.spectra.mwmstar import read_combined

        return read_combined(self.absolute_path, self.telescope, self.apred)


#: The kinds of combined spectra of APOGEE. Of one star both may be made of the same light: the first with a
#: result is preferred.
APOGEE = (ApogeeCoaddedSpectrumInApStar, ApogeeCombinedSpectrum)
