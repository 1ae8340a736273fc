"""Sources: one row per star, with the photometry and extinction that distances rest on."""

from collections.abc import Iterator

from astra.models import fields
from astra.models.base import BaseModel, spectra_of


class Source(BaseModel):
    """A star: identifiers, coordinates, photometry, extinction, astrometry."""

    pk = fields.AutoField()

    # > Identifiers
    sdss_id = fields.BigIntegerField(null=True, unique=True)
    sdss4_apogee_id = fields.TextField(null=True, unique=True)
    gaia_dr3_source_id = fields.BigIntegerField(null=True, index=True)
    healpix = fields.IntegerField(null=True)

    # > Astrometry
    ra, dec, l, b = fields.floats(4)  # noqa: E741

    # > 2MASS photometry
    j_mag, e_j_mag, h_mag, e_h_mag, k_mag, e_k_mag = fields.floats(6)
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
    plx, e_plx, pmra, e_pmra, pmde, e_pmde = fields.floats(6)
    g_mag, bp_mag, rp_mag, ruwe, nu_eff_used_in_astrometry, pseudocolour = fields.floats(6)
    astrometric_params_solved = fields.IntegerField(null=True)

    # > Distances of Bailer-Jones et al. (2021), from Gaia EDR3 and a prior
    r_med_geo, r_lo_geo, r_hi_geo, r_med_photogeo, r_lo_photogeo, r_hi_photogeo = fields.floats(6)

    # > Provenance
    origins = fields.TextField(null=True)
    created = fields.StampField()
    modified = fields.StampField()

    @property
    def spectra(self) -> Iterator[BaseModel]:
        """All spectra of this star, of every kind that an installed task takes."""
        for key, model in spectra_of(type(self)):
            yield from model.select().where(key == self.pk).order_by(model.spectrum_pk)
