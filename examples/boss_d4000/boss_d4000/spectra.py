"""The table of the spectra."""

from astra.fields import (
    AutoField,
    BigIntegerField,
    FloatField,
    ForeignKeyField,
    IntegerField,
    StampField,
    TextField,
)
from astra.models import BaseModel, Source, Spectrum
from astra.spectra.identity import absolute

from boss_d4000.spec_files import Pixels, read_pixels


class BossSpectrum(BaseModel):
    """The co-added BOSS spectrum of an object, in a spec file."""

    pk = AutoField()

    # > Identifiers
    source = ForeignKeyField(Source, null=True, column_name="source_pk", help_text="The source")
    spectrum_pk = ForeignKeyField(
        Spectrum,
        unique=True,
        lazy_load=False,
        column_name="spectrum_pk",
        help_text="Identity among all spectra",
    )
    product_id = TextField(unique=True, help_text="specLite/RUN2D/FIELD/MJD/CATALOGID")

    # > Data product
    run2d = TextField(help_text="Version of the reduction")
    field = IntegerField(help_text="Field; in the era of plates, the plate")
    mjd = IntegerField(help_text="Modified Julian date of the co-added spectrum")
    catalogid = BigIntegerField(help_text="Catalogue identifier of SDSS-V, in the name of the file")
    path = TextField(help_text="The file; relative to SAS_BASE_DIR if it is in there")
    pixels_digest = TextField(help_text="Checksum of the pixels")

    # > Quality
    snr = FloatField(help_text="Median signal-to-noise ratio of all good pixels")

    # > Redshift
    redshift = FloatField(help_text="Redshift of the best model")
    zwarning = IntegerField(help_text="ZWARNING: not 0 if the redshift may be wrong")

    created = StampField(help_text="When the row was made (UTC)")
    modified = StampField(help_text="When a value was last changed (UTC)")

    class Meta:
        table_name = "boss_spectrum"

    def read(self) -> Pixels:
        """Read the pixels from the file.

        Raises:
            SpectrumError: The file is not there, or does not hold a spectrum.
        """
        return read_pixels(absolute(self.path))
