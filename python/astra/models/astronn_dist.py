"""Spectrophotometric distances: the results, and the view ``distances`` that joins them to their stars.

Of one star there may be an apStar coadd and an mwmStar spectrum of the same light. Both have results; the
coadd is preferred as the primary spectrum, whatever the signal-to-noise ratios.
"""

from astra.models import fields
from astra.models.apogee import ApogeeSpectrum
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

    # > Fit for single stars
    # Both have the same bits. They are NULL in results from before there were any.
    not_clean = fields.BitField(null=True, default=None)
    flag_not_clean_k_mag = not_clean.flag(
        2**0, "Ks is not fit for use: ph_qual not A or B, cc_flg not 0, or an error above 0.1 mag or unknown"
    )
    flag_not_clean_k_range = not_clean.flag(2**1, "Ks is outside the range of 2MASS, 4 to 14.3 mag")
    flag_not_clean_colour = not_clean.flag(2**2, "J - Ks and H - Ks, dereddened, are not those of a star")
    flag_not_clean_extinction = not_clean.flag(
        2**3, "The extinction is not known, and the star is not out of the plane, |b| > 30 deg"
    )
    flag_not_clean_upper_limit = not_clean.flag(2**4, "E(B-V) is an upper limit")
    flag_not_clean_sfd = not_clean.flag(
        2**5, "E(B-V) is that of all dust (SFD), and the star is not out of the plane, |b| > 30 deg"
    )
    flag_not_clean_coverage = not_clean.flag(
        2**6, "Fewer than 50 % of the pixels of the blue detector, or 30 % of another one, can be used"
    )
    flag_not_clean_gaia = not_clean.flag(2**7, "Spectrum and Gaia disagree: |parallax_pull| is 3 or more")
    flag_not_clean_ruwe = not_clean.flag(2**8, "RUWE is 1.4 or more: more than one star, or bad astrometry")

    not_checked = fields.BitField(null=True, default=None)
    flag_not_checked_k_mag = not_checked.flag(2**0, "No ph_qual or no cc_flg; the error of Ks decides")
    flag_not_checked_colour = not_checked.flag(2**2, "No J, H, Ks or E(B-V); passes")
    flag_not_checked_extinction = not_checked.flag(2**3, "No E(B-V); passes out of the plane, |b| > 30 deg")
    flag_not_checked_upper_limit = not_checked.flag(2**4, "Not known where E(B-V) comes from; passes")
    flag_not_checked_sfd = not_checked.flag(2**5, "Not known where E(B-V) comes from; passes")
    flag_not_checked_coverage = not_checked.flag(2**6, "Not known how many pixels can be used; does not pass")
    flag_not_checked_gaia = not_checked.flag(
        2**7, "No parallax of spectrum or Gaia, or RUWE is 1.4 or more; passes"
    )
    flag_not_checked_ruwe = not_checked.flag(2**8, "No RUWE; passes")

    BAD = FlaggedOutputModel.BAD | 2**0 | 2**1
    WARN = 2**2

    class Meta:
        table_name = "astro_nn_dist"
        indexes = (FlaggedOutputModel.UNIQUE, (("inputs_read",), False))

    @classmethod
    def counted_flags(cls) -> dict[str, fields.Flag]:
        """Those of ``result_flags``; the bits of ``not_clean`` are reasons."""
        return fields.flags_of(cls, "result_flags")


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
    not_clean = fields.BigIntegerField(null=True)
    not_checked = fields.BigIntegerField(null=True)
    gaia_checked = fields.BooleanField(
        help_text="Whether the parallax of Gaia could be compared with that of the spectrum for clean"
    )
    clean = fields.BooleanField(
        help_text="Fit for single stars: good, not_clean is 0, and none of the STARFLAG bits that say "
        "that the spectrum is not that of one star, taken and combined as it should be"
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


# > STARFLAG bits that keep a result from being clean

_OF_EVERY_RELEASE = (
    ApogeeSpectrum.flag_commissioning,
    ApogeeSpectrum.flag_persist_jump_pos,
    ApogeeSpectrum.flag_persist_jump_neg,
)
# Velocities from two templates are compared up to DR16 alone; since DR17 all visits are fitted together, and
# the peaks of the cross-correlation are counted (documentation of ``apogee_drp``, Radial Velocities).
_UP_TO_DR16 = (*_OF_EVERY_RELEASE, ApogeeSpectrum.flag_bad_rv_combination)
_SINCE_DR17 = (*_OF_EVERY_RELEASE, ApogeeSpectrum.flag_multiple_suspect, ApogeeSpectrum.flag_rv_failure)
_OLD_RELEASES = tuple(f"dr{number}" for number in range(10, 17))


def not_clean_starflags(release: str | None = None) -> int:
    """The bits of STARFLAG that keep a result of a release from being clean; of ``None``, those of any."""
    old, new = (sum(flag.value for flag in flags) for flags in (_UP_TO_DR16, _SINCE_DR17))
    if release is None:
        return old | new
    return old if release in _OLD_RELEASES else new


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
    *("not_clean", "not_checked", "gaia_checked", "clean"),
)

# What one kind of spectra lacks.
_ABSENT = {"field": "''", "apstar": "''", "prefix": "''", "commissioning": "FALSE"}

_NO_RESULT = AstroNNdist.flag_no_result.value


def _has(bits: int) -> str:
    return f"(result.result_flags & {bits}) <> 0"


_GOOD = f"""((result.result_flags & {AstroNNdist.BAD}) = 0
        AND (spectrum.spectrum_flags & {Distance.NOT_GOOD}) = 0)"""
_STARFLAG_CLEAN = f"""(spectrum.spectrum_flags & CASE WHEN spectrum.release IN {_OLD_RELEASES}
        THEN {not_clean_starflags(_OLD_RELEASES[0])} ELSE {not_clean_starflags("")} END) = 0"""

_EXPRESSIONS = {
    "sdss_id": "source.sdss_id",
    "source_pk": "spectrum.source_pk",
    "spectrum_pk": "spectrum.spectrum_pk",
    "m_ks_abs": "CASE WHEN result.l_fakemag > 0 THEN 5 * log10(result.l_fakemag) - 10 END",
    # 5 / ln(10) = 2.1715: the error of 5 log10(x) per relative error of x.
    "e_m_ks_abs": "CASE WHEN result.l_fakemag > 0 "
    "THEN 2.171472409516259 * result.e_l_fakemag / result.l_fakemag END",
    **{name: _has(flag.value) for name, flag in fields.flags_of(AstroNNdist, "result_flags").items()},
    "flag_warn": _has(AstroNNdist.WARN),
    "flag_bad": _has(AstroNNdist.BAD),
    "good": _GOOD,
    # A row from before there were reasons is not known to be clean.
    "gaia_checked": f"COALESCE((result.not_checked & {AstroNNdist.flag_not_checked_gaia.value}) = 0, FALSE)",
    "clean": f"COALESCE({_GOOD} AND result.not_clean = 0 AND {_STARFLAG_CLEAN}, FALSE)",
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
