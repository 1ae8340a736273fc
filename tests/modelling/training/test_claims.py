"""What a model may claim to be good for: what its own test shows, of enough stars, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.modelling.training.claims import range_in_words, seen
from astra.modelling.training.evaluate import half_width
from astra.pipelines.astronn_dist.weights.card import FEWEST, UNCERTAIN

SAW = {"training": {"stars": 5000}, "ranges": {"M_Ks [mag]": [-6.0, 7.0], "S/N": [20.0, 480.0]}}


def entry(n, median_abs_r=0.05):
    return {"n": n, "median_abs_r": median_abs_r}


def test_of_the_fewest_stars_a_half_width_is_known_to_a_tenth_and_a_bias_to_an_eighth():
    drawn = np.random.default_rng(1).standard_normal((4000, FEWEST))

    widths = np.array([half_width(row) for row in drawn])

    assert widths.std() / widths.mean() == pytest.approx(UNCERTAIN, rel=0.05)
    assert UNCERTAIN <= 0.1
    assert np.median(drawn, axis=1).std() == pytest.approx(1 / 8, rel=0.05)
    assert np.array([half_width(row[:25]) for row in drawn]).std() > 0.17


@given(st.lists(st.integers(0, FEWEST - 1), min_size=1, max_size=4))
def test_few_test_stars_of_every_class_claim_nothing_however_good_they_are(numbers):
    metrics = {f"kind {place}": entry(number, 0.001) for place, number in enumerate(numbers)}

    text = range_in_words(SAW, metrics | {"all": entry(sum(numbers))})

    assert text.startswith("nothing can be claimed: trained on 5,000 stars, tested with")
    assert "good for" not in text


def test_a_class_is_claimed_by_the_stars_that_were_tested_and_by_how_good_they_were():
    metrics = {"rgb": entry(100), "dwarf": entry(400, 0.3), "hot": entry(99), "all": entry(599)}

    text = range_in_words(SAW, metrics)

    assert text == (
        "good for red giants, trained on 5,000 stars: M_Ks [mag] -6 to 7, S/N 20 to 480 (1 to 99 % of them); "
        "off by 20% or more in the median for FGK dwarfs; too few tested to claim anything: hot stars"
    )


def test_a_model_that_is_good_for_none_of_what_was_tested_says_so():
    assert range_in_words(SAW, {"rgb": entry(500, 0.2)}).startswith("good for no class of stars that was")


def test_stars_are_counted_by_class_and_their_ranges_leave_out_the_outermost(make_examples):
    training = make_examples(300)
    found = {"kind": np.repeat(["rgb", "hot"], [7, 3]), "snr": np.full(10, 50.0), "teff": np.arange(10) * 1e3}

    saw = seen(training, found)

    assert saw["training"] == {"stars": 300, "spectra": 300, "by_class": {"rgb": 300}}
    assert saw["test"]["by_class"] == {"rgb": 7, "hot": 3}
    assert saw["ranges"]["S/N"] == [50, 50]
    low, high = saw["ranges"]["M_Ks [mag]"]
    magnitudes = 5 * np.log10(training.fakemag) - 10
    assert ((low <= magnitudes) & (magnitudes <= high)).mean() == pytest.approx(0.98, abs=0.01)
    assert "log g [dex]" not in saw["ranges"]
