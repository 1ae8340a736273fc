"""Sources: one row per star, with the photometry and extinction that distances rest on."""

from astra.models import fields
from astra.models.base import BaseModel


class Source(BaseModel):
    """A star: identifiers, coordinates, photometry, extinction, astrometry."""

    pk = fields.AutoField()

    # > Identifiers
    sdss_id = fields.BigIntegerField(null=True, unique=True)
    sdss4_apogee_id = fields.TextField(null=True, unique=True)
    gaia_dr3_source_id = fields.BigIntegerField(null=True, index=True)
    healpix = fields.IntegerField(null=True)

    # > Astrometry
    ra = fields.FloatField()
    dec = fields.FloatField()
    l = fields.FloatField()  # noqa: E741
    b = fields.FloatField()

    # > 2MASS photometry
    j_mag = fields.FloatField()
    e_j_mag = fields.FloatField()
    h_mag = fields.FloatField()
    e_h_mag = fields.FloatField()
    k_mag = fields.FloatField()
    e_k_mag = fields.FloatField()
    ph_qual = fields.TextField(null=True)
    cc_flg = fields.TextField(null=True)

    # > Extinction
    ebv = fields.FloatField()
    e_ebv = fields.FloatField()
    ebv_flags = fields.BitField(default=0)
    flag_ebv_upper_limit = ebv_flags.flag(2**0, "E(B-V) is an upper limit")
    flag_ebv_from_zhang_2023 = ebv_flags.flag(2**1, "E(B-V) from Zhang et al. (2023)")
    flag_ebv_from_edenhofer_2023 = ebv_flags.flag(2**2, "E(B-V) from Edenhofer et al. (2023)")
    flag_ebv_from_sfd = ebv_flags.flag(2**3, "E(B-V) from Schlegel, Finkbeiner & Davis (1998)")
    flag_ebv_from_rjce_glimpse = ebv_flags.flag(2**4, "E(B-V) from RJCE with GLIMPSE")
    flag_ebv_from_rjce_allwise = ebv_flags.flag(2**5, "E(B-V) from RJCE with AllWISE")
    flag_ebv_from_bayestar_2019 = ebv_flags.flag(2**6, "E(B-V) from Bayestar (2019)")
    ebv_origin = fields.TextField(null=True)

    # > Gaia
    gaia_release = fields.TextField(null=True)
    plx = fields.FloatField()
    e_plx = fields.FloatField()
    pmra = fields.FloatField()
    e_pmra = fields.FloatField()
    pmde = fields.FloatField()
    e_pmde = fields.FloatField()
    g_mag = fields.FloatField()
    bp_mag = fields.FloatField()
    rp_mag = fields.FloatField()
    ruwe = fields.FloatField()
    nu_eff_used_in_astrometry = fields.FloatField()
    pseudocolour = fields.FloatField()
    astrometric_params_solved = fields.IntegerField(null=True)

    # > Provenance
    origins = fields.TextField(null=True)
    created = fields.DateTimeField()
    modified = fields.DateTimeField()
