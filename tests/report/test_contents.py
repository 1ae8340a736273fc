"""The numbers of the report against SQL and plain Python, on both databases."""

import math
from statistics import median

import numpy as np
import pytest
from builders import a_result, a_source, a_spectrum

from astra.models import AstroNNdist, Distance
from astra.report import outliers
from astra.report.comparison import parallaxes, parts, repeats
from astra.report.contents import gather
from astra.report.rows import read_rows


def test_every_number_of_a_row_is_that_of_the_view(survey, db):
    rows = read_rows()

    order = np.argsort(rows["spectrum_pk"])
    for name in ("dist", "e_dist", "m_ks_abs", "plx", "snr", "l", "b", "A_k_mag", "result_flags", "good"):
        query = Distance.select(getattr(Distance, name)).order_by(Distance.spectrum_pk)
        expected = np.array([value for (value,) in query.tuples()], float)
        np.testing.assert_array_equal(rows[name][order].astype(float), expected)


def test_counts_are_those_of_sql(survey, db):
    contents = gather()

    counted = db.execute_sql(
        "SELECT count(*), count(DISTINCT source_pk), count(CASE WHEN good THEN 1 END), "
        "count(CASE WHEN flag_bad THEN 1 END), count(CASE WHEN flag_warn THEN 1 END) FROM distances"
    ).fetchone()
    rows = contents.rows
    found = (
        len(rows),
        contents.stars,
        *(int(rows[name].sum()) for name in ("good", "flag_bad", "flag_warn")),
    )
    assert found == tuple(counted)
    assert counted[0] > counted[2] > 40


def test_pulls_and_the_zero_point_are_those_of_plain_python(survey, db):
    rows = read_rows()
    query = (
        "SELECT dist, e_dist, plx, e_plx FROM distances WHERE good AND primary_spectrum "
        "AND plx IS NOT NULL AND e_plx > 0 AND (ruwe < 1.4 OR ruwe IS NULL)"
    )
    found = db.execute_sql(query).fetchall()
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
    for group in ("class", "S/N", "A_Ks", "telescope"):
        assert sum(part.pull.n for part in others if part.group == group) == len(found)


def test_the_parallax_with_its_zero_point_taken_off_comes_first(db):
    star = a_source(plx=0.20, e_plx=0.02, j_mag=11.0)
    given = {"nn_parallax": 0.2033, "e_nn_parallax": 0.011, "gaia_parallax": 0.24, "e_gaia_parallax": 0.02}
    a_result(a_spectrum(star), plx_zero_point=-0.04, **given)

    found = parallaxes(read_rows())

    assert (found.gaia[0], found.e_spectroscopic[0]) == (0.24, 0.011)
    assert found.corrected.all()
    assert found.full.all()


def test_spectra_of_one_star_are_paired_with_its_best_one(db):
    star = a_source()
    for snr, fakemag in ((100.0, 20.0), (300.0, 22.0), (50.0, 19.0)):
        a_result(a_spectrum(star, snr=snr), L_fakemag=fakemag)
    a_result(a_spectrum(star, snr=400.0), flag_fakemag_unreliable=True, L_fakemag=70.0)
    a_result(a_spectrum(a_source()))

    without_a_good_best = repeats(read_rows())
    AstroNNdist.update(result_flags=2**11).where(AstroNNdist.L_fakemag == 70.0).execute()
    found = repeats(read_rows())

    assert len(without_a_good_best.pull) == 0
    assert found.stars == 1
    assert sorted(found.pull) == pytest.approx([(19 - 22) / 2**0.5, (20 - 22) / 2**0.5])
    assert sorted(found.model_pull) == pytest.approx([(19 - 22) / 0.5**0.5, (20 - 22) / 0.5**0.5])


def test_outliers_begin_with_the_largest_pulls_and_show_every_flag(survey, db):
    contents = gather()

    shown = contents.outliers
    pulls = [abs(each.pull) for each in shown if each.why == outliers.PULL]
    assert pulls == sorted(np.abs(contents.parallaxes.pull))[: -len(pulls) - 1 : -1]
    assert len({each.index for each in shown}) == len(shown)
    present = np.bitwise_or.reduce(contents.rows["result_flags"])
    assert np.bitwise_or.reduce([contents.rows["result_flags"][each.index] for each in shown]) == present
    assert sum(each.why == outliers.NO_RESULT for each in shown) == 1


def test_results_of_different_weights_are_told_apart(survey, db):
    from builders import a_run

    before = gather().provenance
    other = a_run(weights_name="other", weights_sha256="ff" * 32, seed=4, n_draws=20)
    a_result(a_spectrum(a_source()), run_pk=other.pk)
    a_result(a_spectrum(a_source()))

    after = gather().provenance

    assert len(before.origins) == 1
    assert {(origin.weights, origin.rows) for origin in after.origins[1:]} == {("other", 1), (None, 1)}
