"""How the columns are called in astraAllStarAstroNNdist-0.6.0.fits, the catalogue of DR19.

Its columns are listed in the data model of SDSS: https://github.com/sdss/datamodel, product
astraAllStarAstroNNdist. Columns that are not named here have the same name there, or are not there at all.
"""

#: From the name in the database to the published one.
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
