"""The agreement with labels that are mostly noise: honest errors give pulls of width 1, and a scale of 1."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.modelling.training.parallax_metrics import agreement


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
