"""The names that headers, tables of the survey and catalogues have for what we store, by our names.

Case does not matter. The first spelling that is present, and has a value, counts. The names are those of the
published files of DR10 to DR20, of the Gaia archive, of 2MASS, and of VizieR; SDSS-V writes JMAG, SDSS-IV J.
"""

import difflib
from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType

from astra.ingest.values import BAILER_JONES

Spellings = Mapping[str, tuple[str, ...]]

#: Identifiers of a star.
IDENTIFIERS: Spellings = {
    "sdss_id": ("SDSS_ID", "SDSSID"),
    "sdss4_apogee_id": ("SDSS4_APOGEE_ID",),
    "apogee_id": ("APOGEE_ID", "APOGEEID", "2MASS", "_2MASS", "2MASS_ID", "2MASS ID"),
    "obj": ("OBJ", "OBJID"),
}
STAR: Spellings = {
    "healpix": ("HEALPIX",),
    "ra": ("RA", "RA_ICRS", "RAJ2000", "RA_J2000"),
    "dec": ("DEC", "DE_ICRS", "DEJ2000", "DEC_J2000"),
    "l": ("GLON", "L"),
    "b": ("GLAT", "B"),
    "j_mag": ("J_MAG", "J", "JMAG", "J_M"),
    "e_j_mag": ("E_J_MAG", "J_ERR", "JERR", "E_JMAG", "J_MSIGCOM"),
    "h_mag": ("H_MAG", "H", "HMAG", "H_M"),
    "e_h_mag": ("E_H_MAG", "H_ERR", "HERR", "E_HMAG", "H_MSIGCOM"),
    # A catalogue of results also has the magnitude that was used, which is 0 where there is none.
    "k_mag": ("SOURCE_K_MAG", "K_MAG", "K", "KMAG", "KS_MAG", "KSMAG", "K_M", "KS_M", "KS", "K_S"),
    "e_k_mag": (
        *("E_K_MAG", "K_ERR", "KERR", "E_KMAG", "E_KS_MAG", "E_KSMAG"),
        *("K_MSIGCOM", "KS_MSIGCOM", "E_KS"),
    ),
    "ph_qual": ("PH_QUAL", "QFLG"),
    "cc_flg": ("CC_FLG", "CFLG"),
    # As Astra writes them, and DR17; what DR16 has of them is from Gaia DR2, and left out.
    **{name: (name.upper(), f"GAIAEDR3_{name.upper()}") for name in BAILER_JONES},
}
#: What E(B-V) follows from, beside H: in tables, and in headers from DR14 to DR17.
EXTINCTION: Spellings = {
    "ebv": ("SOURCE_EBV", "EBV", "E_BV", "E(B-V)"),
    "e_ebv": ("E_EBV", "EBV_ERR", "E_E_BV", "E_E(B-V)"),
    "ebv_flags": ("EBV_FLAGS",),
    "ebv_origin": ("EBV_ORIGIN",),
    "a_k": ("AK_TARG", "AKTARG"),
    "a_k_method": ("AK_TARG_METHOD", "AKMETHOD"),
    # These three only tell in which numbering the bits are.
    "ebv_zhang_2023": ("EBV_ZHANG_2023",),
    "ebv_edenhofer_2023": ("EBV_EDENHOFER_2023",),
    "ebv_bayestar_2019": ("EBV_BAYESTAR_2019",),
    # Of SDSS-V, whose magnitudes are of GLIMPSE and unWISE.
    "ebv_rjce_glimpse": ("EBV_RJCE_GLIMPSE",),
    "e_ebv_rjce_glimpse": ("E_EBV_RJCE_GLIMPSE",),
    "ebv_rjce_allwise": ("EBV_RJCE_ALLWISE",),
    "e_ebv_rjce_allwise": ("E_EBV_RJCE_ALLWISE",),
    "mag4_5": ("MAG4_5",),
    "e_mag4_5": ("D4_5M",),
    "w2_mag": ("W2_MAG",),
    "e_w2_mag": ("E_W2_MAG",),
    "ebv_sfd": ("EBV_SFD",),
    "e_ebv_sfd": ("E_EBV_SFD",),
    # Of SDSS-IV; TARG_4_5 is the one of the other two that AK_TARG is made of.
    "ak_wise": ("AK_WISE", "AKWISE"),
    "irac_4_5": ("IRAC_4_5",),
    "e_irac_4_5": ("IRAC_4_5_ERR",),
    "wise_4_5": ("WISE_4_5",),
    "e_wise_4_5": ("WISE_4_5_ERR",),
    "e_targ_4_5": ("TARG_4_5_ERR",),
    "sfd_ebv": ("SFD_EBV",),
}
#: Measurements of Gaia; ``source_id`` is of the same release as the others.
GAIA: Spellings = {
    "source_id": ("SOURCE_ID", "SOURCEID", "GSRCID"),
    "plx": ("PLX", "PARALLAX"),
    "e_plx": ("E_PLX", "EPLX", "PLX_ERROR", "PARALLAX_ERROR", "E_PARALLAX"),
    "pmra": ("PMRA",),
    "e_pmra": ("E_PMRA", "EPMRA", "PMRA_ERROR"),
    "pmde": ("PMDE", "PMDEC"),
    "e_pmde": ("E_PMDE", "EPMDEC", "PMDEC_ERROR", "E_PMDEC"),
    "g_mag": ("G_MAG", "GMAG", "PHOT_G_MEAN_MAG"),
    "bp_mag": ("BP_MAG", "BPMAG", "PHOT_BP_MEAN_MAG"),
    "rp_mag": ("RP_MAG", "RPMAG", "PHOT_RP_MEAN_MAG"),
    "bp_rp": ("BP_RP", "BP-RP"),
    "ruwe": ("RUWE",),
    "nu_eff_used_in_astrometry": ("NU_EFF_USED_IN_ASTROMETRY", "NUEFF"),
    "pseudocolour": ("PSEUDOCOLOUR", "PSCOL"),
    "astrometric_params_solved": ("ASTROMETRIC_PARAMS_SOLVED", "SOLVED"),
}
#: The release of these; an identifier with (E)DR3 in its name needs no other.
GAIA_RELEASE: Spellings = {
    "gaia_dr3_source_id": ("GAIA_DR3_SOURCE_ID", "GAIADR3_SOURCE_ID", "GAIAEDR3_SOURCE_ID", "GAIA3_ID"),
    "gaia_release": ("GAIA_RELEASE", "GRELEASE"),
    "ref_epoch": ("REF_EPOCH",),
}
SPECTRUM: Spellings = {
    "n_visits": ("NVISITS", "N_VISITS"),
    "snr": ("SNR",),
    "spectrum_flags": ("STARFLAG", "SPECTRUM_FLAGS"),
    "v_rad": ("VHELIO_AVG", "VHELIO", "VHBARY", "V_RAD"),
    "e_v_rad": ("VERR", "E_V_RAD"),
}
#: Until DR17 VRAD is the shift left in a spectrum, besides the velocity; SDSS-V writes the barycentric
#: velocity under this name only.
V_RAD_OF_SDSS5 = "VRAD"
PRODUCT: Spellings = {
    "file_name": ("FILE",),
    "obj": ("OBJID", "APOGEE_ID", "OBJ"),
    "telescope": ("TELESCOP", "TELESCOPE"),
    "location_id": ("LOCID", "LOCATION_ID"),
    "field": ("FIELD",),
    "healpix": ("HEALPIX",),
    "commissioning": ("COMMISS",),
}
#: What else a product is known by in tables that name no files.
UNNAMED: Spellings = {
    "apred": ("APRED",),
    "release": ("RELEASE",),
    "filetype": ("FILETYPE",),
    "prefix": ("PREFIX",),
}

#: Our names for the same identifier; the first that has a value counts.
APOGEE_IDS = ("sdss4_apogee_id", "apogee_id", "obj")
#: The names of ours that a table of stars can have, with their spellings.
NAMES: Spellings = IDENTIFIERS | STAR | EXTINCTION | GAIA | GAIA_RELEASE
#: Our names by each of their spellings.
NAMES_BY_SPELLING = {spelling: name for name, spellings in NAMES.items() for spelling in spellings}


def by_upper_case(names: Iterable[str], columns: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """The names of columns by their upper case.

    Of two that differ only in case, the upper case counts, but e_x is an error and E_x something else. A
    column e_bv beside a colour B-V is the error of that colour, not a reddening.

    Args:
        names: The names.
        columns: Those of them that a user names for ours, by our names: they count as if they had our name,
            and no other column as ours of that name.
    """
    others = set(names) - set(columns.values())
    by_name = {name.upper(): name for name in sorted(others, key=_last_if_it_counts)}
    if by_name.keys() & {"BV", "B_V", "B-V", "BMV"}:
        by_name.pop("E_BV", None)
    for ours in columns:
        for name in APOGEE_IDS if ours in APOGEE_IDS else (ours,):
            for spelling in NAMES[name]:
                by_name.pop(spelling, None)
    return by_name | {NAMES[ours][0]: theirs for ours, theirs in columns.items()}


def _last_if_it_counts(name: str) -> bool:
    return name.startswith("e_") or (name.isupper() and not name.startswith("E_"))


def among(there: Mapping[str, str], wanted: Spellings) -> dict[str, str]:
    """The names of columns by our names.

    Args:
        there: As by ``by_upper_case``.
        wanted: The spellings to look for.
    """
    found = {
        name: next((there[spelling] for spelling in spellings if spelling in there), None)
        for name, spellings in wanted.items()
    }
    return {name: column for name, column in found.items() if column is not None}


def is_known(name: str) -> bool:
    """Whether a column of this name, in capitals or not, is one of ours."""
    return name.upper() in NAMES_BY_SPELLING


def similar_name(name: str, found: Container[str]) -> str | None:
    """The most similar known name in lower case, or ``None``.

    Args:
        name: An unknown column.
        found: Our names of the other columns.
    """
    name = name.upper()
    known = [each for each, ours in NAMES_BY_SPELLING.items() if ours not in found and each[0] == name[:1]]
    known = [each for each in known if each not in (name, "E_BV")]
    # A name of one or two letters is similar to many others.
    alike = difflib.get_close_matches(name, known, n=1, cutoff=0.8) if len(name) > 2 else []
    return alike[0].lower() if alike else None
