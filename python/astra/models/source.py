"""Sources: one row per star, with the photometry and extinction that distances rest on."""

from astra.models.base import BaseModel
from astra.models.fields import (
    AutoField,
    BigIntegerField,
    BitField,
    DateTimeField,
    FloatField,
    IntegerField,
    TextField,
)


class Source(BaseModel):
    """A star: identifiers, coordinates, photometry, extinction, astrometry."""

    pk = AutoField()

    # > Identifiers
    sdss_id = BigIntegerField(null=True, unique=True)
    sdss4_apogee_id = TextField(null=True, unique=True)
    gaia_dr3_source_id = BigIntegerField(null=True, index=True)
    healpix = IntegerField(null=True)

    # > Astrometry
    ra = FloatField()
    dec = FloatField()
    l = FloatField()  # noqa: E741
    b = FloatField()

    # > 2MASS photometry
    j_mag = FloatField()
    e_j_mag = FloatField()
    h_mag = FloatField()
    e_h_mag = FloatField()
    k_mag = FloatField()
    e_k_mag = FloatField()
    ph_qual = TextField(null=True)
    cc_flg = TextField(null=True)

    # > Extinction
    ebv = FloatField()
    e_ebv = FloatField()
    ebv_flags = BitField(default=0)
    flag_ebv_upper_limit = ebv_flags.flag(2**0, "E(B-V) is an upper limit")
    flag_ebv_from_zhang_2023 = ebv_flags.flag(2**1, "E(B-V) from Zhang et al. (2023)")
    flag_ebv_from_edenhofer_2023 = ebv_flags.flag(2**2, "E(B-V) from Edenhofer et al. (2023)")
    flag_ebv_from_sfd = ebv_flags.flag(2**3, "E(B-V) from Schlegel, Finkbeiner & Davis (1998)")
    flag_ebv_from_rjce_glimpse = ebv_flags.flag(2**4, "E(B-V) from RJCE with GLIMPSE")
    flag_ebv_from_rjce_allwise = ebv_flags.flag(2**5, "E(B-V) from RJCE with AllWISE")
    flag_ebv_from_bayestar_2019 = ebv_flags.flag(2**6, "E(B-V) from Bayestar (2019)")
    ebv_origin = TextField(null=True)

    # > Gaia
    gaia_release = TextField(null=True)
    plx = FloatField()
    e_plx = FloatField()
    pmra = FloatField()
    e_pmra = FloatField()
    pmde = FloatField()
    e_pmde = FloatField()
    g_mag = FloatField()
    bp_mag = FloatField()
    rp_mag = FloatField()
    ruwe = FloatField()
    nu_eff_used_in_astrometry = FloatField()
    pseudocolour = FloatField()
    astrometric_params_solved = IntegerField(null=True)

    # > Provenance
    origins = TextField(null=True)
    created = DateTimeField()
    modified = DateTimeField()
