"""Predictions for simulated stars that were not learnt from: as `astra run` makes them, a chunk at a time."""

import numpy as np
import pytest
from toy_simulator import a_sample

from astra.modelling.simulator.sample import Sample
from astra.modelling.training.held_out import metrics_of, predicted
from astra.pipelines.astronn_dist.network.sampling import network_on, sample, widened
from astra.pipelines.astronn_dist.weights.files import load_weights
from astra.pipelines.astronn_dist.weights.library import embedded_default
from astra.pipelines.astronn_dist.weights.validity import excess
from astra.spectra.rectify import rectify

from tolerances import FLOAT32, FLOAT64

N = 20


@pytest.fixture(scope="module")
def weights():
    return load_weights(embedded_default())


@pytest.fixture(scope="module")
def chunks():
    """Two times 16 stars, of which 20 are asked for, and 16 that are not needed."""
    return [a_sample(16, seed) for seed in range(3)]


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def found(weights, chunks, told):
    return predicted(weights, chunks, N, device="cpu", on_progress=lambda *numbers: told.append(numbers))


def test_they_are_those_of_the_network_with_what_the_model_adds_for_strange_spectra(weights, chunks, found):
    stars = Sample.joined(chunks).take(slice(N))
    flux, e_flux = rectify(stars.flux, stars.e_flux, stars.pixel_flags)
    plain = sample(network_on("cpu", weights), flux, [f"test {number}" for number in range(N)])
    expected = widened(plain, flux, e_flux, weights.validity)

    for name in ("fakemag", "e_fakemag", "e_model_fakemag"):
        np.testing.assert_allclose(found[name], getattr(expected, name), rtol=FLOAT32)
    assert (found["e_fakemag"] > plain.e_fakemag).any()
    strange = excess(flux, e_flux, weights.validity.mean, weights.validity.components)
    np.testing.assert_allclose(found["excess"], strange, rtol=FLOAT64)


def test_every_star_keeps_its_own_truth_and_none_beyond_the_number_is_taken(chunks, found):
    stars = Sample.joined(chunks).take(slice(N))

    assert len(found["true"]) == N
    np.testing.assert_array_equal(found["true"], stars.fakemag)
    for name in ("snr", "flux_ratio"):
        np.testing.assert_array_equal(found[name], getattr(stars, name))
    for name in ("kind", "teff", "logg"):
        np.testing.assert_array_equal(found[name], getattr(stars.stars, name))


def test_progress_ends_at_the_number_of_stars(found, told):
    assert told == [(0, N), (16, N), (N, N)]


def test_figures_are_of_single_stars_and_of_pairs_apart_with_enough_signal(found):
    figures = metrics_of(found)

    bright = found["snr"] >= 50
    assert 0 < bright.sum() < N
    assert figures["single"]["all"]["n"] == (bright & (found["flux_ratio"] == 0)).sum()
    assert figures["with companion"]["all"]["n"] == (bright & (found["flux_ratio"] > 0)).sum()
