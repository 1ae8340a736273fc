"""Full errors of a distance, and its parallax beside that of Gaia; when the star of a result was read.

The results so far stay as they are: their stars were read when their spectra were, and the new columns are
NULL until they are made again.
"""

from peewee import PostgresqlDatabase

COLUMNS = (
    *("e_dist_full", "dist_lo", "dist_hi"),
    *("nn_parallax", "e_nn_parallax", "e_model_nn_parallax"),
    *("plx_zero_point", "gaia_parallax", "e_gaia_parallax"),
    *("weighted_parallax", "e_weighted_parallax", "weighted_dist", "e_weighted_dist"),
)

# 5 / ln(10) = 2.1715: the error of 5 log10(x) per relative error of x.
VIEW = """
CREATE VIEW distances AS
SELECT
    source.sdss_id, source.sdss4_apogee_id, source.gaia_dr3_source_id,
    spectrum.source_pk, spectrum.spectrum_pk,
    spectrum.product_id, spectrum.release, spectrum.telescope, spectrum.field,
    source.ra, source.dec, source.l, source.b,
    source.gaia_release, source.plx, source.e_plx, source.ruwe,
    spectrum.snr, spectrum.spectrum_flags, source.ph_qual, source.cc_flg, source.ebv_flags,
    result.k_mag, result.ebv, result.a_k_mag,
    result.l_fakemag, result.e_l_fakemag, result.e_model_l_fakemag,
    CASE WHEN result.l_fakemag > 0 THEN 5 * log10(result.l_fakemag) - 10 END AS m_ks_abs,
    CASE WHEN result.l_fakemag > 0
         THEN 2.171472409516259 * result.e_l_fakemag / result.l_fakemag END AS e_m_ks_abs,
    result.dist, result.e_dist, result.e_model_dist,
    result.result_flags, result.no_result_reason,
    (result.result_flags & 1) <> 0 AS flag_fakemag_unreliable,
    (result.result_flags & 2) <> 0 AS flag_missing_photometry,
    (result.result_flags & 4) <> 0 AS flag_missing_extinction,
    (result.result_flags & 2048) <> 0 AS flag_no_result,
    (result.result_flags & 4) <> 0 AS flag_warn,
    (result.result_flags & 2051) <> 0 AS flag_bad,
    (result.result_flags & 2048) = 0 AND NOT EXISTS (
        SELECT 1 FROM apogee_coadded_spectrum_in_apstar AS other
        JOIN astro_nn_dist AS measured ON measured.spectrum_pk = other.spectrum_pk
        WHERE other.source_pk = spectrum.source_pk
          AND (measured.result_flags & 2048) = 0
          AND (COALESCE(other.snr, -1) > COALESCE(spectrum.snr, -1)
               OR (COALESCE(other.snr, -1) = COALESCE(spectrum.snr, -1)
                   AND other.spectrum_pk < spectrum.spectrum_pk))
    ) AS primary_spectrum,
    ((result.result_flags & 2051) = 0 AND (spectrum.spectrum_flags & 25) = 0) AS good,
    result.task_pk, result.run_pk, result.v_astra, result.v_astra_major_minor,
    result.created, result.modified, result.tag{added}
FROM astro_nn_dist AS result
JOIN apogee_coadded_spectrum_in_apstar AS spectrum ON spectrum.spectrum_pk = result.spectrum_pk
LEFT JOIN source ON source.pk = spectrum.source_pk
WHERE NOT EXISTS (
    SELECT 1 FROM astro_nn_dist AS newer
    WHERE newer.spectrum_pk = result.spectrum_pk
      AND newer.v_astra_major_minor > result.v_astra_major_minor
)
"""


# What the view has more than before: at its end, so that it can be replaced.
ADDED = ("source.e_k_mag", "source.e_ebv", *(f"result.{column}" for column in COLUMNS))


def up(migrator, db):
    """Add the columns, also to the view: on PostgreSQL who was granted it keeps it, and views on it stay."""
    is_postgresql = isinstance(db, PostgresqlDatabase)
    real, time = ("DOUBLE PRECISION", "TIMESTAMP") if is_postgresql else ("REAL", "DATETIME")
    for column, kind in {**dict.fromkeys(COLUMNS, real), "source_read": time}.items():
        db.execute_sql(f"ALTER TABLE astro_nn_dist ADD COLUMN {column} {kind}")
    view = VIEW.format(added="".join(f", {column}" for column in ADDED))
    if is_postgresql:
        db.execute_sql(view.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
    else:
        db.execute_sql("DROP VIEW distances")
        db.execute_sql(view)


def down(migrator, db):
    """Drop the columns with what they hold, and make the view anew without them."""
    db.execute_sql("DROP VIEW distances")
    for column in ("source_read", *reversed(COLUMNS)):
        db.execute_sql(f"ALTER TABLE astro_nn_dist DROP COLUMN {column}")
    db.execute_sql(VIEW.format(added=""))
