"""The SQL of the view ``distances``: its columns are those of its model."""

from astra.models.apogee import ApogeeCoaddedSpectrumInApStar
from astra.models.astronn_dist import AstroNNdist, Distance
from astra.models.fields import flags_of
from astra.models.source import Source

#: The columns that came later, in the order in which they came: a view only grows at its end.
APPENDED = (
    *("e_k_mag", "e_ebv", "e_dist_full", "dist_lo", "dist_hi"),
    *("nn_parallax", "e_nn_parallax", "e_model_nn_parallax"),
    *("plx_zero_point", "gaia_parallax", "e_gaia_parallax"),
    *("weighted_parallax", "e_weighted_parallax", "weighted_dist", "e_weighted_dist"),
)

# By their names in the query; a column is that of the first that has it.
_TABLES = {"result": AstroNNdist, "spectrum": ApogeeCoaddedSpectrumInApStar, "source": Source}

_NO_RESULT = AstroNNdist.flag_no_result.value


def _has(bits: int) -> str:
    return f"(result.result_flags & {bits}) <> 0"


_EXPRESSIONS = {
    "source_pk": "spectrum.source_pk",
    "spectrum_pk": "spectrum.spectrum_pk",
    "m_ks_abs": "CASE WHEN result.l_fakemag > 0 THEN 5 * log10(result.l_fakemag) - 10 END",
    # 5 / ln(10) = 2.1715: the error of 5 log10(x) per relative error of x.
    "e_m_ks_abs": "CASE WHEN result.l_fakemag > 0 "
    "THEN 2.171472409516259 * result.e_l_fakemag / result.l_fakemag END",
    **{name: _has(flag.value) for name, flag in flags_of(AstroNNdist).items()},
    "flag_warn": _has(AstroNNdist.WARN),
    "flag_bad": _has(AstroNNdist.BAD),
    "primary_spectrum": f"""(result.result_flags & {_NO_RESULT}) = 0 AND NOT EXISTS (
        SELECT 1 FROM apogee_coadded_spectrum_in_apstar AS other
        JOIN astro_nn_dist AS measured ON measured.spectrum_pk = other.spectrum_pk
        WHERE other.source_pk = spectrum.source_pk
          AND (measured.result_flags & {_NO_RESULT}) = 0
          AND (COALESCE(other.snr, -1) > COALESCE(spectrum.snr, -1)
               OR (COALESCE(other.snr, -1) = COALESCE(spectrum.snr, -1)
                   AND other.spectrum_pk < spectrum.spectrum_pk))
    )""",
    "good": f"((result.result_flags & {AstroNNdist.BAD}) = 0 "
    f"AND (spectrum.spectrum_flags & {Distance.NOT_GOOD}) = 0)",
}


def view_columns() -> list[str]:
    """The columns of the view, in its order."""
    names = [field.column_name for field in Distance._meta.sorted_fields]
    return [*(name for name in names if name not in APPENDED), *APPENDED]


def view_query() -> str:
    """The query that the view stands for."""
    columns = ",\n    ".join(f"{_expression(name)} AS {name}" for name in view_columns())
    return f"""
SELECT
    {columns}
FROM astro_nn_dist AS result
JOIN apogee_coadded_spectrum_in_apstar AS spectrum ON spectrum.spectrum_pk = result.spectrum_pk
LEFT JOIN source ON source.pk = spectrum.source_pk
WHERE NOT EXISTS (
    SELECT 1 FROM astro_nn_dist AS newer
    WHERE newer.spectrum_pk = result.spectrum_pk
      AND newer.v_astra_major_minor > result.v_astra_major_minor
)"""


def _expression(name: str) -> str:
    if name in _EXPRESSIONS:
        return _EXPRESSIONS[name]
    table = next(table for table, model in _TABLES.items() if name in model._meta.columns)
    return f"{table}.{name}"
