"""How good predictions are, against the truth and against labels that are mostly noise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.modelling.training.evaluate import (
    ALL,
    agreement,
    coverage,
    distance_error,
    evaluate,
    flagged_by_error,
    pulls,
)
from astra.pipelines.astronn_dist.distances.distance import distance


def gaussian(n=20_000, relative=0.1, stated=0.1):
    """Predictions with a normal error, and what is stated of it."""
    generator = np.random.default_rng(4)
    true = 10 ** generator.uniform(0, 2, n)
    return true, true * (1 + relative * generator.standard_normal(n)), stated * true


@given(true=st.floats(0.1, 1e4), fakemag=st.floats(0.1, 1e4), k_mag=st.floats(3, 15), a_k_mag=st.floats(0, 2))
def test_the_error_of_a_distance_is_that_of_the_distances(true, fakemag, k_mag, a_k_mag):
    measured, correct = (distance(value, 0.0, k_mag, a_k_mag)[0] for value in (fakemag, true))

    assert distance_error(np.array([true]), np.array([fakemag]))[0] == pytest.approx(
        measured / correct - 1, rel=1e-9, abs=1e-9
    )


def test_too_bright_a_prediction_is_too_far_a_star():
    assert distance_error(np.array([10.0]), np.array([8.0]))[0] == pytest.approx(0.25)
    assert pulls(np.array([10.0]), np.array([8.0]), np.array([1.0]))[0] == pytest.approx(-2)


def test_right_errors_have_pulls_of_width_one_and_three_in_a_thousand_outliers():
    found = evaluate(np.full(20_000, "rgb"), *gaussian(), np.full(20_000, 80.0))["rgb"]

    assert found.pull_width == pytest.approx(1, abs=0.02)
    assert found.pull_outliers == pytest.approx(0.0027, abs=0.001)
    assert found.median_r == pytest.approx(0, abs=0.005)
    assert found.median_abs_r == pytest.approx(0.0674, abs=0.002)
    assert found.half_width_r == pytest.approx(0.1, abs=0.005)


def test_errors_stated_too_small_show_in_the_pulls_alone():
    modest, bold = (
        evaluate(np.full(20_000, ""), *gaussian(stated=stated), np.full(20_000, 80.0))[""]
        for stated in (0.1, 0.05)
    )

    assert bold.pull_width == pytest.approx(2 * modest.pull_width)
    assert bold.half_width_r == modest.half_width_r


def test_the_error_of_a_parallax_belongs_to_the_pull():
    true, fakemag, e_fakemag = gaussian(stated=0.0)

    found = evaluate(
        np.full(len(true), ""), true, fakemag, e_fakemag, np.full(len(true), 80.0), e_true=0.1 * true
    )

    assert found[ALL].pull_width == pytest.approx(1, abs=0.02)


def test_each_class_is_measured_alone_and_all_together_last():
    kind = np.array(["rgb", "dwarf", "rgb"])
    found = evaluate(kind, np.full(3, 10.0), np.array([10.0, 5.0, 10.0]), np.full(3, 0.5), np.full(3, 80.0))

    assert list(found) == ["dwarf", "rgb", ALL]
    assert (found["rgb"].n, found["dwarf"].n, found[ALL].n) == (2, 1, 3)
    assert (found["rgb"].median_r, found["dwarf"].median_r) == (0, 1)
    assert found[ALL].pull_outliers == pytest.approx(1 / 3)


def test_flags_are_counted_among_all_and_among_bright_spectra():
    e_fakemag = np.array([0.5, 3.0, 2.0, 1.9])
    found = evaluate(
        np.full(4, "rgb"), np.full(4, 10.0), np.full(4, 10.0), e_fakemag, np.array([200, 200, 50, 50])
    )

    assert found["rgb"].flagged == 0.5
    assert (found["rgb"].n_bright, found["rgb"].flagged_bright) == (2, 0.5)


def test_a_star_without_a_prediction_is_flagged_and_an_outlier_but_has_no_error():
    nothing = np.array([math.nan, 10.0])
    found = evaluate(np.full(2, "rgb"), np.full(2, 10.0), nothing, np.full(2, 1.0), np.full(2, 200.0))["rgb"]

    assert (found.flagged, found.pull_outliers, found.median_r) == (0.5, 0.5, 0)


def test_what_no_star_decides_is_nan():
    found = evaluate(*(np.array([]) for _ in range(5)))[ALL]

    assert found.n == 0
    assert math.isnan(found.median_abs_r)
    assert math.isnan(found.flagged_bright)


def test_the_share_of_flagged_stars_is_that_of_each_interval_of_the_error():
    r = np.array([0.01, -0.02, 0.3, -0.4, math.nan])
    flagged = np.array([False, True, True, True, True])

    shares = flagged_by_error(r, flagged, np.array([0, 0.1, 0.2, 0.5]))

    np.testing.assert_array_equal(shares, [0.5, math.nan, 1.0])


@given(limits=st.lists(st.floats(0, 1), min_size=1, max_size=8).map(sorted))
def test_a_wider_limit_keeps_no_fewer_stars(limits):
    generator = np.random.default_rng(1)
    relative = generator.uniform(0, 0.5, 300)

    kept, medians = coverage(relative * generator.standard_normal(300), relative, np.array(limits))

    assert (np.diff(kept) >= 0).all()
    assert (np.isnan(medians) == (kept == 0)).all()


# > Labels from parallaxes: honest errors give pulls of width 1, and a scale of 1


def stars(number=20_000, seed=3):
    """Predictions with honest errors, and labels of which many are negative."""
    generator = np.random.default_rng(seed)
    prediction = 10 ** generator.uniform(0.5, 2.5, number)
    e_prediction = 0.1 * prediction
    e_label = prediction * 10 ** generator.uniform(-2, 1, number)
    label = prediction + generator.normal(0, np.hypot(e_prediction, e_label))
    return prediction, e_prediction, label, e_label


def test_honest_predictions_have_the_scale_1_and_pulls_of_width_1():
    found = agreement(*stars(), 100.0)

    assert found["number"] == 20_000
    assert found["scale"] == pytest.approx(1, abs=4 * found["e_scale"])
    assert found["e_scale"] < 0.003
    assert found["pull_width"] == pytest.approx(1, abs=0.03)
    # 10 % of the prediction, and up to 5 % of the label.
    assert found["scatter"] == pytest.approx(0.104, abs=0.004)
    assert found["number_precise"] == pytest.approx(20_000 * 0.2330, rel=0.05)


def test_predictions_that_are_too_large_show_in_the_scale():
    prediction, e_prediction, label, e_label = stars()

    found = agreement(1.1 * prediction, 1.1 * e_prediction, label, e_label, 100.0)

    assert found["scale"] == pytest.approx(1 / 1.1, abs=0.01)


def test_errors_that_are_too_small_show_in_the_pulls_and_in_the_likelihood():
    prediction, e_prediction, label, e_label = stars()

    honest, bold = (agreement(prediction, factor * e_prediction, label, e_label, 1.0) for factor in (1, 0.2))

    assert bold["pull_width"] > honest["pull_width"]
    assert bold["nll"] > honest["nll"]


@given(st.floats(1e-3, 1e3))
def test_the_unit_of_the_labels_changes_nothing(factor):
    numbers = stars(50)

    one, other = agreement(*numbers, 10.0), agreement(*(factor * array for array in numbers), factor * 10.0)

    assert other == pytest.approx(one, rel=1e-6, abs=1e-9)


def test_without_a_precise_label_there_is_no_scatter():
    prediction, e_prediction, label, _ = stars(100)

    found = agreement(prediction, e_prediction, label, prediction, 1.0)

    assert (found["scatter"], found["number_precise"]) == (None, 0)
