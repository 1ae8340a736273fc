"""How others name our columns: the published catalogue of DR19, and the Virtual Observatory.

The words for people are in the glossary; the catalogue writes these and the UCDs.
"""

#: Names in astraAllStarAstroNNdist-0.6.0.fits by those in the database. The other columns have the same name
#: there, or are not there at all. Source: the data model of SDSS, https://github.com/sdss/datamodel.
PUBLISHED = {
    "source_k_mag": "k_mag",
    "source_ebv": "ebv",
    "l_fakemag": "L_fakemag",
    "e_l_fakemag": "L_fakemag_err",
    "e_model_l_fakemag": "L_fakemag_model_err",
    "dist": "nn_dist",
    "e_dist": "nn_dist_err",
    "e_model_dist": "nn_dist_model_err",
    "e_nn_parallax": "nn_parallax_err",
    "e_model_nn_parallax": "nn_parallax_model_err",
    "plx_zero_point": "gdr3_zeropoint",
    "gaia_parallax": "gdr3_parallax_w_zp",
    "e_gaia_parallax": "gdr3_parallax_err",
    "e_weighted_parallax": "weighted_parallax_err",
    "e_weighted_dist": "weighted_dist_err",
    # Not published; the published k_mag and ebv are those of the source, so these need other names.
    "k_mag": "k_mag_used",
    "ebv": "ebv_used",
}

_DISTANCE = "pos.distance"
_ERROR = "stat.error"
_PARALLAX = "pos.parallax"
_FLAG = "meta.code.qual"
_VERSION = "meta.version"

#: UCDs (UCD1+, controlled vocabulary, https://www.ivoa.net/documents/UCD1+/) by the name of the column in the
#: database, without the flags of one bit each (see ``ucd_of``).
UCDS = {
    # > Identifiers
    "sdss_id": "meta.id;meta.main",
    "sdss4_apogee_id": "meta.id",
    "gaia_dr3_source_id": "meta.id.cross",
    "healpix": "pos.healpix",
    "source_pk": "meta.id.assoc",
    "spectrum_pk": "meta.id",
    "product_id": "meta.id;meta.dataset",
    # > Data product
    "release": f"{_VERSION};meta.dataset",
    "filetype": "meta.code.class",
    "apred": f"{_VERSION};meta.software",
    "apstar": f"{_VERSION};meta.software",
    "obj": "meta.id",
    "telescope": "instr.tel",
    "field": "meta.id;obs.field",
    "prefix": "meta.code",
    "commissioning": _FLAG,
    "n_visits": "meta.number;obs",
    "snr": "stat.snr",
    "spectrum_flags": _FLAG,
    "v_rad": "spect.dopplerVeloc;pos.barycenter",
    "e_v_rad": f"{_ERROR};spect.dopplerVeloc",
    # > Astrometry
    "ra": "pos.eq.ra;meta.main",
    "dec": "pos.eq.dec;meta.main",
    "l": "pos.galactic.lon",
    "b": "pos.galactic.lat",
    "gaia_release": f"{_VERSION};meta.table",
    "plx": _PARALLAX,
    "e_plx": f"{_ERROR};{_PARALLAX}",
    "pmra": "pos.pm;pos.eq.ra",
    "e_pmra": f"{_ERROR};pos.pm;pos.eq.ra",
    "pmde": "pos.pm;pos.eq.dec",
    "e_pmde": f"{_ERROR};pos.pm;pos.eq.dec",
    "ruwe": "stat.error;pos",
    "nu_eff_used_in_astrometry": "em.wavenumber",
    "pseudocolour": "em.wavenumber",
    "astrometric_params_solved": "meta.number",
    # > Photometry
    "g_mag": "phot.mag;em.opt",
    "bp_mag": "phot.mag;em.opt.B",
    "rp_mag": "phot.mag;em.opt.R",
    "j_mag": "phot.mag;em.IR.J",
    "e_j_mag": f"{_ERROR};phot.mag;em.IR.J",
    "h_mag": "phot.mag;em.IR.H",
    "e_h_mag": f"{_ERROR};phot.mag;em.IR.H",
    "k_mag": "phot.mag;em.IR.K",
    "source_k_mag": "phot.mag;em.IR.K",
    "e_k_mag": f"{_ERROR};phot.mag;em.IR.K",
    "ph_qual": _FLAG,
    "cc_flg": _FLAG,
    # > Extinction
    "ebv": "phot.color.excess",
    "source_ebv": "phot.color.excess",
    "e_ebv": f"{_ERROR};phot.color.excess",
    "ebv_flags": "meta.code",
    "ebv_origin": "meta.ref",
    "a_k_mag": "phys.absorption;em.IR.K",
    # > Luminosity
    "l_fakemag": "phys.luminosity;em.IR.K",
    "e_l_fakemag": f"{_ERROR};phys.luminosity;em.IR.K",
    "e_model_l_fakemag": f"{_ERROR};phys.luminosity;em.IR.K",
    "m_ks_abs": "phys.magAbs;em.IR.K",
    "e_m_ks_abs": f"{_ERROR};phys.magAbs;em.IR.K",
    # > Distance
    "dist": f"{_DISTANCE};meta.main",
    "e_dist": f"{_ERROR};{_DISTANCE}",
    "e_model_dist": f"{_ERROR};{_DISTANCE}",
    "e_dist_full": f"{_ERROR};{_DISTANCE}",
    "dist_lo": f"{_DISTANCE};stat.min",
    "dist_hi": f"{_DISTANCE};stat.max",
    "nn_parallax": _PARALLAX,
    "e_nn_parallax": f"{_ERROR};{_PARALLAX}",
    "e_model_nn_parallax": f"{_ERROR};{_PARALLAX}",
    "plx_zero_point": f"arith.zp;{_PARALLAX}",
    "gaia_parallax": _PARALLAX,
    "e_gaia_parallax": f"{_ERROR};{_PARALLAX}",
    "weighted_parallax": f"{_PARALLAX};stat.mean",
    "e_weighted_parallax": f"{_ERROR};{_PARALLAX}",
    "weighted_dist": f"{_DISTANCE};stat.mean",
    "e_weighted_dist": f"{_ERROR};{_DISTANCE}",
    # > Quality
    "result_flags": _FLAG,
    "no_result_reason": "meta.note",
    "primary_spectrum": "meta.code",
    "good": _FLAG,
    # > Provenance
    "task_pk": "meta.record",
    "run_pk": "meta.id.assoc",
    "v_astra": f"{_VERSION};meta.software",
    "created": "time.creation",
    "modified": "time.processing",
    "tag": "meta.note",
    "weights_name": "meta.id;meta.modelled",
    "weights_sha256": "meta.checksum;meta.modelled",
    "seed": "meta.number",
    "n_draws": "meta.number",
    "precision": "meta.code",
}


def ucd_of(name: str) -> str:
    """The UCD of a column.

    Args:
        name: Its name in the database.

    Raises:
        KeyError: The column has none yet: add it above.
    """
    return _FLAG if name.startswith("flag_") else UCDS[name]
