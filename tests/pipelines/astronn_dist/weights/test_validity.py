"""A spectrum unlike the training's gets a larger error, by what the model's own table says."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra.pipelines.astronn_dist.estimating import Model
from astra.pipelines.astronn_dist.network.sampling import Prediction, network_on, sample, widened
from astra.pipelines.astronn_dist.weights.files import load_weights
from astra.pipelines.astronn_dist.weights.validity import Validity, excess

N_PIXELS = 7514
NOISE = 0.02


@pytest.fixture(scope="module")
def training():
    """Mean and 5 orthonormal directions of spectra."""
    random = np.random.default_rng(0)
    components = np.linalg.qr(random.normal(size=(N_PIXELS, 5)))[0].T
    return random.normal(0, 0.05, N_PIXELS), components


def spectra(training, count=6, scatter=NOISE, masked=0.25, seed=1):
    """Combinations of the components with noise, and with scatter beyond it where that is asked for."""
    random = np.random.default_rng(seed)
    mean, components = training
    flux = 1 + mean + random.normal(0, 3, (count, len(components))) @ components
    flux = flux + random.normal(0, scatter, flux.shape)
    e_flux = np.full(flux.shape, NOISE)
    hidden = random.random(flux.shape) < masked
    flux[hidden] = e_flux[hidden] = 1.0
    return flux, e_flux


def a_prediction(*fakemag):
    fakemag = np.array(fakemag)
    return Prediction(fakemag, 0.1 * fakemag, 0.05 * fakemag)


def by_hand(flux, e_flux, mean, components):
    """The definition, for one spectrum, with the least squares of numpy."""
    good = np.isfinite(e_flux) & np.isfinite(flux) & ~((flux == 1) & (e_flux == 1))
    design, target = components[:, good].T, (flux - 1 - mean)[good]
    residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    scatter = 1.4826 * np.median(np.abs(residual - np.median(residual)))
    return np.sqrt(max(0.0, scatter**2 - np.median(e_flux[good]) ** 2))


# > The excess


@pytest.mark.parametrize("masked", [0.0, 0.25, 0.64, 0.95])
def test_it_is_what_the_definition_says(training, masked):
    flux, e_flux = spectra(training, scatter=0.05, masked=masked)

    found = excess(flux, e_flux, *training)

    expected = [by_hand(*pair, *training) for pair in zip(flux, e_flux, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_spectra_like_the_trainings_have_next_to_none_and_others_have_their_own(training):
    like, unlike = spectra(training, 20), spectra(training, 20, scatter=0.1)

    assert np.median(excess(*like, *training)) < 0.004
    np.testing.assert_allclose(excess(*unlike, *training), np.sqrt(0.1**2 - NOISE**2), rtol=0.05)


def test_less_scatter_than_the_errors_say_is_no_excess(training):
    assert (excess(*spectra(training, scatter=0.01), *training) == 0).all()


def test_pixels_that_do_not_count_change_nothing(training):
    flux, e_flux = spectra(training, scatter=0.05)
    expected = excess(flux, e_flux, *training)
    hidden = (flux == 1) & (e_flux == 1)

    for value, error in ((5.0, np.inf), (np.nan, NOISE), (np.inf, NOISE), (1.0, np.inf), (0.3, np.nan)):
        changed = np.where(hidden, value, flux), np.where(hidden, error, e_flux)

        np.testing.assert_allclose(excess(*changed, *training), expected, rtol=1e-9)


@settings(max_examples=25)
@given(order=st.permutations(range(9)), cut=st.integers(1, 9))
def test_it_does_not_depend_on_what_is_computed_with_it(training, order, cut):
    flux, e_flux = spectra(training, 9, scatter=0.03)
    together = excess(flux, e_flux, *training)

    chosen = order[:cut]
    apart = excess(flux[chosen], e_flux[chosen], *training)

    np.testing.assert_allclose(apart, together[chosen], rtol=1e-7)


def test_many_spectra_are_the_same_as_a_few(training):
    flux, e_flux = spectra(training, 70, scatter=0.03)

    together = excess(flux, e_flux, *training)

    assert together.shape == (70,)
    np.testing.assert_allclose(together[60:], excess(flux[60:], e_flux[60:], *training), rtol=1e-7)
    assert excess(flux[:0], e_flux[:0], *training).shape == (0,)


def test_the_precision_of_a_file_is_precise_enough(training):
    mean, components = (array.astype(np.float16) for array in training)
    flux, e_flux = spectra(training, scatter=0.05)

    found = excess(flux.astype(np.float32), e_flux.astype(np.float32), mean, components)

    np.testing.assert_allclose(found, excess(flux, e_flux, *training), rtol=5e-3)


def test_components_that_overlap_or_are_hidden_are_no_obstacle(training):
    mean, components = training
    flux, e_flux = spectra(training, scatter=0.05)
    blue = np.zeros(N_PIXELS)
    blue[:100] = 1
    flux[:, :100] = e_flux[:, :100] = 1.0
    redundant = np.vstack([components, components[0] + components[1], blue])

    found = excess(flux, e_flux, mean, redundant)

    np.testing.assert_allclose(found, excess(flux, e_flux, mean, components), rtol=1e-6)


def test_of_too_few_pixels_nothing_is_said(training):
    flux, e_flux = spectra(training, 3, masked=0.0)
    for row, left in enumerate((49, 50, 0)):
        flux[row, left:] = e_flux[row, left:] = 1.0

    found = excess(flux, e_flux, *training)

    assert np.isinf(found).tolist() == [True, False, True]


def test_numbers_beyond_all_bounds_are_an_infinite_excess(training):
    flux, e_flux = spectra(training, 2)
    flux[0] = 1e300
    flux[0, ::2] = 0

    found = excess(flux, e_flux, *training)

    assert np.isinf(found[0])
    assert np.isfinite(found[1])


def test_it_is_fast_enough_for_a_survey():
    random = np.random.default_rng(0)
    mean, components = random.normal(0, 0.05, N_PIXELS), random.normal(0, 0.01, (24, N_PIXELS))
    flux, e_flux = spectra((mean, components), 64)
    excess(flux, e_flux, mean, components)

    start = time.process_time()
    excess(flux, e_flux, mean, components)

    # A millisecond is meant; this leaves room for a machine that is busy.
    assert (time.process_time() - start) / 64 < 0.01


# > The error


def test_the_error_grows_in_quadrature_by_what_the_table_says(training):
    flux, e_flux = spectra(training, 3, scatter=0.1)
    validity = Validity(*training, np.array([0.0, 0.2]), np.array([0.0, 0.4]))
    prediction = a_prediction(10.0, 20.0, 30.0)

    wider = widened(prediction, flux, e_flux, validity)

    relative = 2 * excess(flux, e_flux, *training)
    expected = np.sqrt(prediction.e_fakemag**2 + (relative * prediction.fakemag) ** 2)
    np.testing.assert_allclose(wider.e_fakemag, expected, rtol=1e-12)
    assert wider.fakemag is prediction.fakemag
    assert wider.e_model_fakemag is prediction.e_model_fakemag


def test_a_model_widens_what_its_draws_say_and_gives_the_draws(training, toy_weights):
    flux, e_flux = spectra(training, count=3, scatter=0.1)
    validity = Validity(*training, np.array([0, 0.05]), np.array([0, 0.3]))
    network, names = network_on("cpu", load_weights(toy_weights)), ["a", "b", "c"]

    found, draws = Model(network, validity).predict(flux, e_flux, names, n_draws=20, seed=3)

    expected = widened(sample(network, flux, names, n_draws=20, seed=3), flux, e_flux, validity)
    np.testing.assert_array_equal(found.e_fakemag, expected.e_fakemag)
    np.testing.assert_allclose(draws.mean(axis=1), found.fakemag, rtol=1e-12)
    np.testing.assert_allclose(draws.std(axis=1, ddof=1), found.e_model_fakemag, rtol=1e-9)
    plain, _ = Model(network, None).predict(flux, e_flux, names, n_draws=20, seed=3)
    assert (found.e_fakemag > plain.e_fakemag).all()


def test_beyond_its_ends_the_table_stays_as_it_is(training):
    flux, e_flux = (
        np.concatenate(arrays)
        for arrays in zip(spectra(training, 1, scatter=0.01), spectra(training, 1, scatter=0.9), strict=True)
    )
    validity = Validity(*training, np.array([0.1, 0.2]), np.array([0.5, 0.7]))
    prediction = a_prediction(10.0, 10.0)

    found = widened(prediction, flux, e_flux, validity).e_fakemag

    assert found == pytest.approx(np.hypot(1.0, [5.0, 7.0]))


def test_too_few_pixels_give_the_last_error_of_the_table(training):
    flux, e_flux = spectra(training, 1)
    flux[:, 20:] = e_flux[:, 20:] = 1.0
    validity = Validity(*training, np.array([0.0, 0.2]), np.array([0.0, 0.7]))

    assert widened(a_prediction(10.0), flux, e_flux, validity).e_fakemag == pytest.approx(np.hypot(1.0, 7.0))


def test_a_table_of_zeros_leaves_every_digit(training):
    flux, e_flux = spectra(training, 3, scatter=0.1)
    validity = Validity(*training, np.array([0.0]), np.array([0.0]))
    prediction = a_prediction(np.pi, np.e, 1 / 3)

    found = widened(prediction, flux, e_flux, validity).e_fakemag

    np.testing.assert_array_equal(found, prediction.e_fakemag)


def test_what_is_no_number_stays_none(training):
    flux, e_flux = spectra(training, 2, scatter=0.1)
    validity = Validity(*training, np.array([0.0, 0.2]), np.array([0.0, 0.4]))
    prediction = Prediction(np.array([np.nan, 10.0]), np.array([np.nan, np.nan]), np.array([np.nan, 1.0]))

    assert np.isnan(widened(prediction, flux, e_flux, validity).e_fakemag).all()
