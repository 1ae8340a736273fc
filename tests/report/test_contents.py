"""The numbers of the report against SQL and plain Python, on both databases."""

import math
import re
from collections import Counter
from datetime import datetime
from statistics import median

import numpy as np
import pytest
from builders import a_combined_spectrum, a_result, a_run, a_source, a_spectrum

from astra import __version__
from astra.catalogue.columns import columns
from astra.catalogue.query import Rows as CatalogueRows
from astra.database.connection import database
from astra.database.sql import snapshot
from astra.models import AstroNNdist, Distance, TaskRun
from astra.pipelines.astronn_dist import astronn_dist
from astra.report import agreement
from astra.report.agreement import parallaxes, parts, repeats
from astra.report.contents import gather
from astra.report.result_arrays import read_rows
from astra.report.uncertainties import gaia
from astra.system.version import V_ASTRA


def now(read, *arguments):
    """What is read at this moment."""
    with snapshot(database):
        return read(*arguments)


def test_every_number_of_a_row_is_that_of_the_view(survey):
    rows = now(read_rows)

    order = np.argsort(rows["spectrum_pk"])
    for name in ("dist", "e_dist", "m_ks_abs", "plx", "snr", "l", "b", "A_k_mag", "result_flags", "good"):
        query = Distance.select(getattr(Distance, name)).order_by(Distance.spectrum_pk)
        expected = np.array([value for (value,) in query.tuples()], float)
        np.testing.assert_array_equal(rows[name][order].astype(float), expected)


def test_counts_are_those_of_sql(survey):
    contents = now(gather)

    counted = survey.execute_sql(
        "SELECT count(*), count(DISTINCT source_pk), count(CASE WHEN good THEN 1 END), "
        "count(CASE WHEN clean THEN 1 END), "
        "count(CASE WHEN flag_bad THEN 1 END), count(CASE WHEN flag_warn THEN 1 END) FROM distances"
    ).fetchone()
    rows = contents.rows
    found = (
        len(rows),
        contents.stars,
        *(int(rows[name].sum()) for name in ("good", "clean", "flag_bad", "flag_warn")),
    )
    assert found == tuple(counted)
    assert counted[0] > counted[2] > 40
    assert counted[2] > counted[3] > 0


def test_pulls_and_the_zero_point_are_those_of_plain_python(survey):
    rows = now(read_rows)
    query = (
        "SELECT dist, e_dist, plx, e_plx FROM distances WHERE good AND primary_spectrum "
        "AND plx IS NOT NULL AND e_plx > 0 AND (ruwe < 1.4 OR ruwe IS NULL)"
    )
    found = survey.execute_sql(query).fetchall()
    differences = [1000 / dist - plx for dist, _, plx, _ in found]
    pulls = [
        difference / math.hypot(1000 * e_dist / dist**2, e_plx)
        for difference, (dist, e_dist, _, e_plx) in zip(differences, found, strict=True)
    ]

    compared = parallaxes(rows)

    assert len(found) > 20
    np.testing.assert_allclose(sorted(compared.pull), sorted(pulls), rtol=1e-12)
    whole, *others = parts(rows, compared)
    assert whole.difference.median == pytest.approx(median(differences))
    for group in ("class", "M_Ks", "S/N", "A_Ks", "telescope"):
        assert sum(part.pull.n for part in others if part.group == group) == len(found)


def test_the_parallax_with_its_zero_point_taken_off_comes_first(db):
    star = a_source(plx=0.20, e_plx=0.02, j_mag=11.0)
    given = {"nn_parallax": 0.2033, "e_nn_parallax": 0.011, "gaia_parallax": 0.24, "e_gaia_parallax": 0.02}
    a_result(a_spectrum(star), plx_zero_point=-0.04, **given)

    found = parallaxes(now(read_rows))

    assert (found.gaia[0], found.e_spectroscopic[0]) == (0.24, 0.011)
    assert found.corrected.all()
    assert found.full.all()


def test_the_section_on_gaia_says_where_there_is_no_zero_point_and_weighted_distances_leave_gaia_out(db):
    raw = {"gaia_parallax": 0.24, "e_gaia_parallax": 0.02}
    a_result(a_spectrum(a_source(j_mag=11.0)), plx_zero_point=-0.04, **raw)
    corrected = gaia(now(gather))
    a_result(a_spectrum(a_source(j_mag=11.0)), **raw)

    both = gaia(now(gather))

    assert "as published" not in corrected
    assert "For 1 of them, Gaia's parallax has its zero-point taken off" in both
    assert (
        "Where the zero-point is not known (1 star), it is as published, and\n<code>weighted_parallax</code>"
        in both
    )


def test_the_section_on_gaia_counts_origins_distances_to_use_and_large_pulls(db):
    rows = (
        ("bp_rp", "weighted", 0.5),
        ("bp_rp", None, -6.0),
        ("dr2", "spectrum", 3.5),
        (None, "gaia", math.nan),
    )
    for origin, best_dist_from, pull in rows:
        gaia_columns = {"gaia_parallax": 0.24, "e_gaia_parallax": 0.02, "plx_zero_point_origin": origin}
        a_result(a_spectrum(a_source()), **gaia_columns, best_dist_from=best_dist_from, parallax_pull=pull)

    counted, shown = agreement.choices(now(read_rows)), gaia(now(gather))

    assert counted.origins == {"bp_rp": 2, "dr2": 1, "": 1}
    assert counted.chosen == {"weighted": 1, "": 1, "spectrum": 1, "gaia": 1}
    assert (counted.pulls, counted.beyond) == (3, (2, 1))
    assert "3 good stars have one, 2 beyond ±3,\n1 beyond ±5" in shown


def test_spectra_of_one_star_are_paired_with_its_best_one(db):
    star = a_source()
    for snr, fakemag in ((100.0, 20.0), (300.0, 22.0), (50.0, 19.0)):
        a_result(a_spectrum(star, snr=snr), L_fakemag=fakemag)
    a_result(a_spectrum(star, snr=400.0), flag_fakemag_unreliable=True, L_fakemag=70.0)
    a_result(a_spectrum(a_source()))

    without_a_good_best = repeats(now(read_rows))
    AstroNNdist.update(result_flags=2**11).where(AstroNNdist.L_fakemag == 70.0).execute()
    found = repeats(now(read_rows))

    assert len(without_a_good_best.pull) == 0
    assert found.stars == 1
    assert sorted(found.pull) == pytest.approx([(19 - 22) / 2**0.5, (20 - 22) / 2**0.5])
    assert sorted(found.model_pull) == pytest.approx([(19 - 22) / 0.5**0.5, (20 - 22) / 0.5**0.5])


def test_spectra_of_two_kinds_are_no_pair_for_both_may_be_of_the_same_light(db):
    star, other = a_source(), a_source()
    for spectrum in (a_spectrum(star), a_combined_spectrum(star), a_combined_spectrum(star, snr=900.0)):
        a_result(spectrum)
    for snr, fakemag in ((100.0, 20.0), (300.0, 22.0)):
        a_result(a_combined_spectrum(other, snr=snr), L_fakemag=fakemag)

    found = repeats(now(read_rows))

    assert (found.stars, list(found.pull)) == (1, [pytest.approx((20 - 22) / 2**0.5)])


def test_outliers_begin_with_the_largest_pulls_and_show_every_flag(survey):
    contents = now(gather)

    shown = contents.outliers
    keys = contents.rows["spectrum_pk"]
    pulls = [abs(contents.pull_of(keys[index])) for index, why in shown.items() if why == agreement.PULL]
    assert pulls == sorted(np.abs(contents.parallaxes.pull))[: -len(pulls) - 1 : -1]
    present = np.bitwise_or.reduce(contents.rows["result_flags"])
    assert np.bitwise_or.reduce([contents.rows["result_flags"][index] for index in shown]) == present
    assert list(shown.values()).count(agreement.NO_RESULT) == 1


# > Where they come from


def test_the_report_and_the_catalogue_agree_on_what_a_mixture_is(survey):
    same = TaskRun.select().first()
    like_it = {name: getattr(same, name) for name in ("weights_sha256", "seed", "n_draws", "precision")}
    renamed = a_run(weights_name="renamed", weights_range="giants", version="0.1.1", **like_it)
    a_result(a_spectrum(a_source()), run_pk=renamed.pk, v_astra=V_ASTRA + 1)
    # Options that are not recorded are the defaults.
    recorded = a_run(weights_name="toy", options='{"backend": "astra"}', **like_it)
    a_result(a_spectrum(a_source()), run_pk=recorded.pk)
    void = a_run(weights_name="no result", weights_sha256="ee" * 32)
    a_result(a_spectrum(a_source()), run_pk=void.pk, flag_no_result=True)

    alone = now(gather).kinds
    other = a_run(weights_name="other", weights_sha256="ff" * 32, seed=4, n_draws=20)
    a_result(a_spectrum(a_source()), run_pk=other.pk)
    a_result(a_spectrum(a_source()))
    a_result(a_spectrum(a_source()), run_pk=renamed.pk, v_astra=V_ASTRA + 1000)
    elsewhere = a_run(weights_name="toy", options='{"backend": "astronn"}', **like_it)
    a_result(a_spectrum(a_source()), run_pk=elsewhere.pk)
    mixed = now(gather).kinds

    assert [(kind.origin.weights_name, kind.good_for) for kind in alone] == [("toy", "giants")]
    in_catalogue = Counter()
    for origin in CatalogueRows(survey, astronn_dist, columns(astronn_dist), None).origins():
        in_catalogue[origin.identity] += origin.rows
    assert len(mixed) == 5
    assert sorted(kind.origin.settings for kind in mixed)[-1] == "backend astronn"
    assert {kind.origin.identity: kind.origin.rows for kind in mixed} == in_catalogue


def test_without_a_result_there_is_no_kind_and_without_rows_no_moment(db):
    empty = now(gather)
    a_result(a_spectrum(), flag_no_result=True)

    found = now(gather)

    assert (empty.kinds, empty.versions, empty.newest) == ([], [], None)
    assert (found.kinds, found.versions) == ([], [re.match(r"\d+\.\d+\.\d+", __version__)[0]])


def test_the_newest_result_is_one_of_those_that_are_shown(db):
    spectrum = a_spectrum()
    moments = {V_ASTRA: datetime(2026, 3, 1, 12), V_ASTRA - 1000: datetime(2026, 5, 1)}
    for version, moment in moments.items():
        a_result(spectrum, v_astra=version)
        AstroNNdist.update(modified=moment).where(AstroNNdist.v_astra == version).execute()
    later = datetime(2026, 4, 1, 0, 0, 0, 5)
    other = a_result(a_spectrum())
    AstroNNdist.update(modified=later).where(AstroNNdist.task_pk == other.task_pk).execute()

    assert now(gather, [spectrum.spectrum_pk_id]).newest == moments[V_ASTRA]
    assert now(gather).newest == later


def test_the_reasons_are_those_of_the_rows_that_are_shown(db):
    spectrum, old = a_spectrum(), a_spectrum()
    given = {"flag_no_result": True}
    a_result(old, no_result_reason="not there: a.fits", v_astra=V_ASTRA - 1000, **given)
    a_result(spectrum, no_result_reason="superseded", v_astra=V_ASTRA - 1000, **given)
    a_result(spectrum, no_result_reason="no usable pixel: b.fits", **given)

    assert now(gather).reasons == {"not there": 1, "no usable pixel": 1}
    assert now(gather, [spectrum.spectrum_pk_id]).reasons == {"no usable pixel": 1}
