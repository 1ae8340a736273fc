"""Spectrophotometric distances: the results, and the view ``distances`` that joins them to their stars.

Of one star there may be an apStar coadd and an mwmStar spectrum of the same light. Both have results; the
coadd is preferred as the primary spectrum, whatever the signal-to-noise ratios.
"""

from astra.models import fields
from astra.models.base import BaseModel
from astra.models.mwm import APOGEE
from astra.models.pipeline import FlaggedOutputModel
from astra.models.source import Source


class AstroNNdist(FlaggedOutputModel):
    """One distance for one spectrum under one minor version of Astra."""

    # > Photometry and extinction
    k_mag = fields.FloatField(help_text="2MASS Ks-band apparent magnitude used, 0 where there is none [mag]")
    ebv = fields.FloatField(help_text="Reddening E(B-V) used, 0 where there is none [mag]")
    A_k_mag = fields.FloatField()

    # > Luminosity
    L_fakemag, e_L_fakemag, e_model_L_fakemag = fields.floats(3)

    # > Distance
    dist, e_dist, e_model_dist, e_dist_full, dist_lo, dist_hi = fields.floats(6)

    # > Parallax
    nn_parallax, e_nn_parallax, e_model_nn_parallax = fields.floats(3)
    plx_zero_point = fields.FloatField()
    plx_zero_point_origin = fields.TextField(null=True)
    gaia_parallax, e_gaia_parallax, parallax_pull = fields.floats(3)

    # > Spectrum and Gaia together
    weighted_parallax, e_weighted_parallax, weighted_dist, e_weighted_dist = fields.floats(4)

    # > The distance to use
    best_dist, best_dist_lo, best_dist_hi = fields.floats(3)
    best_dist_from = fields.TextField(null=True)

    # > Coverage
    coverage, coverage_blue, coverage_green, coverage_red = fields.floats(4)

    # > Quality
    # These two are inherited, and stand here for their place among the columns.
    result_flags = fields.BitField(default=0)
    flag_fakemag_unreliable = result_flags.flag(
        2**0, "Predicted fakemag is unreliable (e_L_fakemag / L_fakemag >= 0.2)"
    )
    flag_missing_photometry = result_flags.flag(2**1, "Missing Ks-band apparent magnitude; k_mag taken as 0")
    flag_missing_extinction = result_flags.flag(2**2, "Missing extinction (E(B-V)); A_k_mag taken as 0")
    # Bits 3-10 stay free, and 11 is flag_no_result: published bits are never renumbered.
    no_result_reason = fields.TextField(null=True)

    BAD = FlaggedOutputModel.BAD | 2**0 | 2**1
    WARN = 2**2

    class Meta:
        table_name = "astro_nn_dist"
        indexes = (FlaggedOutputModel.UNIQUE, (("inputs_read",), False))


class Distance(BaseModel):
    """The view ``distances``: the newest result of every spectrum, with its star and its flags. Read only."""

    # > Identifiers
    sdss_id = fields.BigIntegerField(null=True)
    sdss4_apogee_id = fields.TextField(null=True)
    gaia_dr3_source_id = fields.BigIntegerField(null=True)
    source_pk = fields.BigIntegerField(null=True)
    spectrum_pk = fields.BigIntegerField()
    product_id = fields.TextField()
    release = fields.TextField()
    telescope = fields.TextField()
    field = fields.TextField()
    filetype = fields.TextField()
    apred = fields.TextField()
    apstar = fields.TextField()
    obj = fields.TextField()
    prefix = fields.TextField()
    commissioning = fields.BooleanField()

    # > Coordinates and parallax
    ra, dec, l, b = fields.floats(4)  # noqa: E741
    gaia_release = fields.TextField(null=True)
    plx, e_plx, ruwe = fields.floats(3)

    # > Quality of the inputs
    n_visits = fields.IntegerField(null=True)
    snr = fields.FloatField()
    spectrum_flags = fields.BigIntegerField()
    v_rad, e_v_rad = fields.floats(2)
    e_k_mag = fields.FloatField()
    ph_qual = fields.TextField(null=True)
    cc_flg = fields.TextField(null=True)
    e_ebv = fields.FloatField()
    ebv_flags = fields.BigIntegerField(null=True)

    # > Results
    k_mag = fields.FloatField(help_text=AstroNNdist.k_mag.help_text)
    ebv = fields.FloatField(help_text=AstroNNdist.ebv.help_text)
    A_k_mag, L_fakemag, e_L_fakemag, e_model_L_fakemag = fields.floats(4)
    m_ks_abs = fields.FloatField(help_text="Absolute Ks-band magnitude, 5 log10(L_fakemag) - 10 [mag]")
    e_m_ks_abs = fields.FloatField(help_text="Error on m_ks_abs, from e_L_fakemag [mag]")
    dist, e_dist, e_model_dist, e_dist_full, dist_lo, dist_hi = fields.floats(6)

    # > Parallax
    nn_parallax, e_nn_parallax, e_model_nn_parallax = fields.floats(3)
    plx_zero_point = fields.FloatField()
    plx_zero_point_origin = fields.TextField(null=True)
    gaia_parallax, e_gaia_parallax, parallax_pull = fields.floats(3)

    # > Spectrum and Gaia together
    weighted_parallax, e_weighted_parallax, weighted_dist, e_weighted_dist = fields.floats(4)

    # > The distance to use
    best_dist, best_dist_lo, best_dist_hi = fields.floats(3)
    best_dist_from = fields.TextField(null=True)

    # > Coverage
    coverage, coverage_blue, coverage_green, coverage_red = fields.floats(4)

    # > Quality
    result_flags = fields.BigIntegerField()
    no_result_reason = fields.TextField(null=True)
    flag_fakemag_unreliable = fields.BooleanField(help_text=AstroNNdist.flag_fakemag_unreliable.help_text)
    flag_missing_photometry = fields.BooleanField(help_text=AstroNNdist.flag_missing_photometry.help_text)
    flag_missing_extinction = fields.BooleanField(help_text=AstroNNdist.flag_missing_extinction.help_text)
    flag_no_result = fields.BooleanField(help_text=AstroNNdist.flag_no_result.help_text)
    flag_warn = fields.BooleanField(help_text="Look twice: the extinction is missing")
    flag_bad = fields.BooleanField(help_text="Discard: unreliable, without photometry, or no result")
    primary_spectrum = fields.BooleanField(
        help_text="Whether it has the best signal-to-noise ratio of the spectra of its star with a result; "
        "an mwmStar spectrum is only where there is no apStar or asStar spectrum with one"
    )
    good = fields.BooleanField(
        help_text="Fit for science: not flag_bad, and STARFLAG bits 0, 3 and 4 are not set"
    )

    # > Provenance
    task_pk = fields.BigIntegerField()
    run_pk = fields.BigIntegerField(null=True)
    v_astra = fields.IntegerField()
    v_astra_major_minor = fields.BigIntegerField()
    created = fields.DateTimeField()
    modified = fields.DateTimeField()
    tag = fields.TextField(null=True)

    NOT_GOOD = 2**0 | 2**3 | 2**4  # bits of spectrum_flags that keep a result from being good

    class Meta:
        table_name = "distances"
        primary_key = False


# > The SQL of the view

#: The columns that came later, in the order in which they came: a view only grows at its end.
APPENDED = (
    *("e_k_mag", "e_ebv", "e_dist_full", "dist_lo", "dist_hi"),
    *("nn_parallax", "e_nn_parallax", "e_model_nn_parallax"),
    *("plx_zero_point", "gaia_parallax", "e_gaia_parallax"),
    *("weighted_parallax", "e_weighted_parallax", "weighted_dist", "e_weighted_dist"),
    *("filetype", "apred", "apstar", "obj", "prefix", "commissioning", "n_visits", "v_rad", "e_v_rad"),
    *("coverage", "coverage_blue", "coverage_green", "coverage_red"),
    *("plx_zero_point_origin", "parallax_pull"),
    *("best_dist", "best_dist_lo", "best_dist_hi", "best_dist_from"),
)

# What one kind of spectra lacks.
_ABSENT = {"field": "''", "apstar": "''", "prefix": "''", "commissioning": "FALSE"}

_NO_RESULT = AstroNNdist.flag_no_result.value


def _has(bits: int) -> str:
    return f"(result.result_flags & {bits}) <> 0"


_EXPRESSIONS = {
    "sdss_id": "source.sdss_id",
    "source_pk": "spectrum.source_pk",
    "spectrum_pk": "spectrum.spectrum_pk",
    "m_ks_abs": "CASE WHEN result.l_fakemag > 0 THEN 5 * log10(result.l_fakemag) - 10 END",
    # 5 / ln(10) = 2.1715: the error of 5 log10(x) per relative error of x.
    "e_m_ks_abs": "CASE WHEN result.l_fakemag > 0 "
    "THEN 2.171472409516259 * result.e_l_fakemag / result.l_fakemag END",
    **{name: _has(flag.value) for name, flag in fields.flags_of(AstroNNdist).items()},
    "flag_warn": _has(AstroNNdist.WARN),
    "flag_bad": _has(AstroNNdist.BAD),
    "good": f"((result.result_flags & {AstroNNdist.BAD}) = 0 "
    f"AND (spectrum.spectrum_flags & {Distance.NOT_GOOD}) = 0)",
}


def view_columns() -> list[str]:
    """The columns of the view, in its order."""
    names = [field.column_name for field in Distance._meta.sorted_fields]
    return [*(name for name in names if name not in APPENDED), *APPENDED]


def view_query() -> str:
    """The query that the view stands for."""
    return "\nUNION ALL\n".join(map(_query, APOGEE))


def _query(spectra: type[BaseModel]) -> str:
    """The results of one kind of spectra."""
    special = _EXPRESSIONS | {"primary_spectrum": _is_primary(spectra)}
    columns = ",\n    ".join(f"{_expression(name, spectra, special)} AS {name}" for name in view_columns())
    return f"""
SELECT
    {columns}
FROM astro_nn_dist AS result
JOIN {spectra._meta.table_name} AS spectrum ON spectrum.spectrum_pk = result.spectrum_pk
LEFT JOIN source ON source.pk = spectrum.source_pk
WHERE NOT EXISTS (
    SELECT 1 FROM astro_nn_dist AS newer
    WHERE newer.spectrum_pk = result.spectrum_pk
      AND newer.v_astra_major_minor > result.v_astra_major_minor
)"""


def _expression(name: str, spectra: type[BaseModel], special: dict[str, str]) -> str:
    if name in special:
        return special[name]
    # A column is that of the first table that has it.
    tables = {"result": AstroNNdist, "spectrum": spectra, "source": Source}
    found = (f"{table}.{name}" for table, model in tables.items() if name in model._meta.columns)
    return next(found, None) or _ABSENT[name]


def _is_primary(spectra: type[BaseModel]) -> str:
    """Whether a result is that of the best spectrum of its star with one."""
    better = """AND (COALESCE(other.snr, -1) > COALESCE(spectrum.snr, -1)
               OR (COALESCE(other.snr, -1) = COALESCE(spectrum.snr, -1)
                   AND other.spectrum_pk < spectrum.spectrum_pk))"""
    preferred = APOGEE[: APOGEE.index(spectra)]
    conditions = [(model, "") for model in preferred] + [(spectra, better)]
    return " AND ".join(
        [f"(result.result_flags & {_NO_RESULT}) = 0", *(_no_other(*each) for each in conditions)]
    )


def _no_other(spectra: type[BaseModel], condition: str) -> str:
    """Whether no other spectrum of the star, of one kind, has a result and meets a condition."""
    return f"""NOT EXISTS (
        SELECT 1 FROM {spectra._meta.table_name} AS other
        JOIN astro_nn_dist AS measured ON measured.spectrum_pk = other.spectrum_pk
        WHERE other.source_pk = spectrum.source_pk
          AND (measured.result_flags & {_NO_RESULT}) = 0
          {condition}
    )"""
