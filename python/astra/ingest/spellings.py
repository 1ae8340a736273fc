"""How headers and tables call the same quantity, by our name for it.

The first name that is there, and has a value, gives it: SDSS-V says JMAG for J.
"""

Spellings = dict[str, tuple[str, ...]]

STAR: Spellings = {
    "sdss_id": ("SDSS_ID",),
    "healpix": ("HEALPIX",),
    "ra": ("RA",),
    "dec": ("DEC",),
    "l": ("GLON",),
    "b": ("GLAT",),
    "j_mag": ("J", "JMAG"),
    "e_j_mag": ("J_ERR", "JERR"),
    "h_mag": ("H", "HMAG"),
    "e_h_mag": ("H_ERR", "HERR"),
    "k_mag": ("K", "KMAG"),
    "e_k_mag": ("K_ERR", "KERR"),
}
SPECTRUM: Spellings = {
    "n_visits": ("NVISITS",),
    "snr": ("SNR",),
    "spectrum_flags": ("STARFLAG",),
    "e_v_rad": ("VERR",),
}
PRODUCT: Spellings = {
    "field": ("FIELD",),
    "healpix": ("HEALPIX",),
    "commissioning": ("COMMISS",),
}
