"""The card of a model: what its file says, with counts, and what it does not say."""

import numpy as np

from astra.pipelines.astronn_dist.weights.card import FEWEST, card
from astra.pipelines.astronn_dist.weights.files import SHAPES, Weights

TENSORS = {name: np.ones(shape, np.float32) for name, shape in SHAPES.items()}


def of(**details):
    return card(Weights("mine", "ab" * 32, TENSORS, details))


def figures(n):
    return {"n": n, "median_abs_r": 0.081, "median_r": -0.003, "half_width_r": 0.13, "flagged": 0.22}


def test_a_card_has_the_stars_their_ranges_and_the_accuracy_of_each_class_with_its_number():
    saw = {
        "training": {"stars": 1500, "spectra": 1600, "by_class": {"rgb": 1000, "hot": 500}},
        "test": {"stars": 400, "spectra": 400, "by_class": {"rgb": 380, "hot": 20}},
        "ranges": {"Teff [K]": [3500.0, 9000.0]},
    }

    text = of(saw=saw, range="red giants", metrics={"single": {"rgb": figures(380), "hot": figures(20)}})

    assert "## Range of validity\n\nred giants\n" in text
    assert "1,500 stars, 1,600 spectra; tested with 400 other stars." in text
    assert "| rgb | 1,000 | 380 |" in text
    assert "| Teff [K] | 3500 | 9000 |" in text
    assert "| rgb | 380 | 8.1% | -0.3% | 13.0% | – | 22% |" in text
    assert "| hot *(too few)* | 20 |" in text
    assert f"of fewer than {FEWEST} test stars nothing is claimed" in text


def test_a_card_from_ten_stars_says_that_they_are_too_few():
    few = {"stars": 10, "spectra": 10, "by_class": {"rgb": 10}}

    text = of(saw={"training": few, "test": few, "ranges": {}}, range="nothing can be claimed")

    assert "10 stars are too few to learn from" in text
    assert "nothing can be claimed" in text


def test_a_model_that_states_nothing_has_a_card_that_says_so():
    text = of()

    assert text.startswith("# Model mine\n\nIts maker does not describe it.\n")
    assert "## Range of validity\n\nnot stated\n" in text
    assert "The file states no figures by class." in text


def test_a_range_that_an_importer_stated_is_said_to_be_theirs_and_breaks_no_table():
    text = of(range="a | b", stated_by_importer=["range"])

    assert "a \\| b (stated by whoever imported it)" in text


def test_labels_from_parallaxes_claim_an_accuracy_only_where_enough_are_precise():
    test = {"number": 500, "scale": 1.002, "e_scale": 0.01, "pull_width": 1.03, "scatter": 0.08}

    few, enough = (of(metrics={"test": test | {"number_precise": number}}) for number in (99, 100))

    assert "labels are 1.002 ± 0.010 times the predictions" in few
    assert "99 have a precise parallax: too few to claim" in few
    assert "their labels scatter by 8.0% about the predictions" in enough
