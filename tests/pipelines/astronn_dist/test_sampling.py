"""Monte Carlo dropout: the numbers of the reference, whatever is computed together, and fair masks."""

import hashlib

import numpy as np
import pytest
import torch

from astra.errors import UsageError
from astra.pipelines.astronn_dist.network import ApogeeDistBCNN
from astra.pipelines.astronn_dist.sampling import (
    DROPOUT_RATE,
    LAYERS,
    THRESHOLD,
    draw,
    dropout_factors,
    sample,
    summarise,
)
from astra.pipelines.astronn_dist.weights import load_weights

N_REFERENCE = 2000


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network(reference_weights):
    return ApogeeDistBCNN.from_weights(load_weights(reference_weights))


@pytest.fixture(scope="module")
def parity(reference):
    return dict(np.load(reference / "parity.npz"))


@pytest.fixture(scope="module")
def flux(parity):
    return parity["normalized_flux"]


@pytest.fixture(scope="module")
def names(flux):
    return [f"apstar/dr17/dr17/apo25m/n{index}//2M0000/apstar/c" for index in range(len(flux))]


@pytest.fixture(scope="module")
def many(network, flux, names):
    """Predictions and log-variances of 2000 draws of the 22 real spectra, each (22, 2000), and their unit."""
    return many_draws(network, flux, names)


@pytest.fixture(scope="module")
def many_of_the_folder(network, reference):
    """The same for the 16 spectra that astroNN itself made draws of."""
    spectra = np.load(reference / "astroNN_folder_predictions.npz")["spectra"]
    return many_draws(network, spectra, [f"folder {index}" for index in range(len(spectra))])


def many_draws(network, flux, names):
    draws = [draw(network, row, name, N_REFERENCE, 0) for row, name in zip(flux, names, strict=True)]
    prediction, log_variance = np.swapaxes(draws, 0, 1)
    return prediction, log_variance, network.labels_std.item()


def assert_within_5_bootstrap_errors(statistic, draws, expected):
    """Of a statistic of two samples of 2000 draws, ours and that of the reference."""
    prediction, log_variance, labels_std = draws
    random = np.random.default_rng(0)
    resampled = []
    for _ in range(200):
        chosen = random.integers(0, N_REFERENCE, N_REFERENCE)
        resampled.append(statistic(prediction[:, chosen], log_variance[:, chosen], labels_std))
    error = np.sqrt(2) * np.std(resampled, axis=0)
    assert (np.abs(statistic(*draws) - expected) < 5 * error).all()


def total_variance(prediction, log_variance, labels_std):
    return summarise(prediction, log_variance, labels_std).e_fakemag ** 2


def model_variance(prediction, log_variance, labels_std):
    return summarise(prediction, log_variance, labels_std).e_model_fakemag ** 2


def predictive_variance(prediction, log_variance, labels_std):
    return total_variance(prediction, log_variance, labels_std) - model_variance(
        prediction, log_variance, labels_std
    )


# > The numbers of the reference


def test_means_for_real_spectra_are_within_5_standard_errors_of_the_upstream_network(many, parity):
    found = summarise(*many)

    error = found.e_model_fakemag * np.sqrt(1 / N_REFERENCE + 1 / N_REFERENCE)
    assert (np.abs(found.fakemag - parity["mc_fakemag"]) < 5 * error).all()


def test_total_variances_for_real_spectra_are_within_5_standard_errors_of_the_upstream_network(many, parity):
    assert_within_5_bootstrap_errors(total_variance, many, parity["mc_fakemag_error"] ** 2)


def test_means_are_within_5_standard_errors_of_astronn(many_of_the_folder, reference):
    astronn = np.load(reference / "astroNN_folder_predictions.npz")
    found = summarise(*many_of_the_folder)

    error = found.e_model_fakemag * np.sqrt(1 / N_REFERENCE + 1 / N_REFERENCE)
    assert (np.abs(found.fakemag - astronn["mc_prediction"][:, 0]) < 5 * error).all()


@pytest.mark.parametrize(
    ("statistic", "name"),
    [(total_variance, "mc_total"), (model_variance, "mc_model"), (predictive_variance, "mc_predictive")],
)
def test_variances_and_their_parts_are_within_5_standard_errors_of_astronn(
    many_of_the_folder, reference, statistic, name
):
    astronn = np.load(reference / "astroNN_folder_predictions.npz")

    assert_within_5_bootstrap_errors(statistic, many_of_the_folder, astronn[name][:, 0] ** 2)


def test_a_summary_is_mean_and_variances_in_units_of_labels_std():
    prediction, log_variance = np.array([[1.0, 2.0, 6.0]]), np.log([[1.0, 2.0, 4.0]])

    found = summarise(prediction, log_variance, 10.0)

    assert found.fakemag == pytest.approx([30])
    assert found.e_model_fakemag == pytest.approx([10 * np.sqrt(7)])
    assert found.e_fakemag == pytest.approx([10 * np.sqrt(2 + 7)])


# > What a result depends on


def test_the_first_100_draws_of_2000_are_the_100_draws(network, flux, names, many):
    prediction, log_variance = draw(network, flux[0], names[0], 100, 0)

    np.testing.assert_array_equal(prediction, many[0][0, :100])
    np.testing.assert_array_equal(log_variance, many[1][0, :100])


@pytest.mark.parametrize("n_draws", [2, 30, 70])
def test_any_number_of_draws_is_the_beginning_of_more(network, flux, names, many, n_draws):
    found = sample(network, flux[:1], names[:1], n_draws=n_draws)

    expected = summarise(many[0][:1, :n_draws], many[1][:1, :n_draws], many[2])
    assert (found.fakemag, found.e_fakemag) == (expected.fakemag, expected.e_fakemag)


def test_results_depend_neither_on_the_batch_nor_on_the_order(network, flux, names):
    together = sample(network, flux, names)

    order = np.random.default_rng(0).permutation(len(flux))
    shuffled = sample(network, flux[order], [names[index] for index in order])
    alone = sample(network, flux[7:8], names[7:8])

    for array, other, single in zip(columns(together), columns(shuffled), columns(alone), strict=True):
        np.testing.assert_array_equal(other, array[order])
        np.testing.assert_array_equal(single, array[7:8])


def test_100_draws_are_the_default(network, flux, names, many):
    found = sample(network, flux[:1], names[:1])

    assert found.fakemag == summarise(many[0][:1, :100], many[1][:1, :100], many[2]).fakemag


def test_another_seed_or_another_name_gives_another_result_and_the_same_ones_the_same(network, flux, names):
    results = [
        sample(network, flux[:1], [name], seed=seed).fakemag.item()
        for name, seed in ((names[0], 0), (names[0], 0), (names[0], 1), (names[1], 0))
    ]

    assert results[0] == results[1]
    assert len(set(results)) == 3


def test_two_threads_give_the_same_to_1e_5(network, flux, names):
    one = sample(network, flux[:2], names[:2])
    torch.set_num_threads(2)
    try:
        two = sample(network, flux[:2], names[:2])
    finally:
        torch.set_num_threads(1)

    for array, other in zip(columns(one), columns(two), strict=True):
        np.testing.assert_allclose(other, array, rtol=1e-5)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_to_1e_5(reference_weights, flux, names):
    network = ApogeeDistBCNN.from_weights(load_weights(reference_weights))
    cpu = sample(network, flux, names)

    gpu = sample(network, flux, names, device="cuda")

    for array, other in zip(columns(cpu), columns(gpu), strict=True):
        np.testing.assert_allclose(other, array, rtol=1e-5)


def test_float32_and_float64_flux_give_the_same_to_1e_5(network, flux, names):
    wide = sample(network, flux[:3], names[:3])
    narrow = sample(network, flux[:3].astype(np.float32), names[:3])

    for array, other in zip(columns(wide), columns(narrow), strict=True):
        np.testing.assert_allclose(other, array, rtol=1e-5)


def columns(prediction):
    return prediction.fakemag, prediction.e_fakemag, prediction.e_model_fakemag


# > Odd input


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_spectrum_without_a_prediction_is_nan_and_its_neighbours_do_not_notice(network, flux, names, value):
    expected = sample(network, flux[:3], names[:3])
    spoilt = flux[:3].copy()
    spoilt[1, 100] = value

    found = sample(network, spoilt, names[:3])

    for array, before in zip(columns(found), columns(expected), strict=True):
        assert np.isnan(array[1])
        np.testing.assert_array_equal(array[[0, 2]], before[[0, 2]])


def test_a_variance_beyond_all_numbers_leaves_the_prediction():
    found = summarise(np.array([[1.0, 2.0]]), np.array([[1e4, 1e4]]), 10.0)

    assert found.fakemag == [15]
    assert np.isnan(found.e_fakemag)


def test_no_spectra_give_no_predictions(network):
    found = sample(network, np.zeros((0, 7514)), [])

    assert [array.shape for array in columns(found)] == [(0,)] * 3


@pytest.mark.parametrize("n_draws", [1, 0, -5])
def test_fewer_than_two_draws_are_refused(network, flux, names, n_draws):
    with pytest.raises(UsageError, match=f"{n_draws} draws"):
        sample(network, flux[:1], names[:1], n_draws=n_draws)


def test_flux_of_another_shape_or_without_names_is_refused(network, flux, names):
    for wrong, its_names in ((flux[0], names[:1]), (flux[:, :-1], names), (flux, names[:-1])):
        with pytest.raises(ValueError, match="flux has shape"):
            sample(network, wrong, its_names)


def test_the_state_of_torch_is_the_same_afterwards(network, flux, names):
    def state():
        return (
            torch.random.get_rng_state().tolist(),
            torch.backends.cudnn.enabled,
            torch.backends.cudnn.allow_tf32,
            torch.get_num_threads(),
            torch.is_grad_enabled(),
        )

    before = state()

    sample(network, flux[:1], names[:1])

    assert state() == before


# > Masks


@pytest.fixture(scope="module")
def kept():
    """For each layer, which units 400 draws of a spectrum keep: bool of shape (400, units)."""
    return {layer: (dropout_factors(layer, 0, "a star", 0, 400) > 0).reshape(400, -1) for layer in LAYERS}


def assert_uncorrelated(one, other):
    correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(one.size)


def test_a_factor_is_0_or_makes_up_for_those_that_are():
    for layer, shape in LAYERS.items():
        factors = dropout_factors(layer, 0, "a star", 0, 3)

        assert factors.shape == (3, *shape)
        assert factors.dtype == np.float32
        assert set(np.unique(factors)) == {np.float32(0), np.float32(1 / (1 - DROPOUT_RATE))}


def test_the_threshold_is_the_rate_to_16_bits():
    assert abs(THRESHOLD / 2**16 - (1 - DROPOUT_RATE)) < 2**-17


@pytest.mark.parametrize("layer", LAYERS)
def test_units_are_kept_at_the_rate_in_all_in_each_draw_and_each_of_them(kept, layer):
    share = 1 - DROPOUT_RATE
    for axis in (None, 0, 1):
        rate = kept[layer].mean(axis=axis)
        size = kept[layer].size // rate.size

        deviation = (rate - share) / np.sqrt(share * DROPOUT_RATE / size)
        # Of 15,028 units, one in 600 such arrays goes beyond 5.5.
        assert (np.abs(deviation) < 5.5).all()
        if rate.size > 1:
            assert np.std(deviation) == pytest.approx(1, abs=5 / np.sqrt(2 * rate.size))


@pytest.mark.parametrize("layer", LAYERS)
def test_draws_neighbouring_units_and_blocks_of_random_bits_are_independent(kept, layer):
    assert_uncorrelated(kept[layer][1:], kept[layer][:-1])
    for distance in (1, 2, 4, 16):
        assert_uncorrelated(kept[layer][:, distance:], kept[layer][:, :-distance])


def test_layers_are_independent(kept):
    for one, other in (("conv1", "features"), ("features", "dense_1"), ("conv1", "dense_1")):
        units = min(kept[one].shape[1], kept[other].shape[1])
        assert_uncorrelated(kept[one][:, :units], kept[other][:, :units])


@pytest.mark.parametrize("layer", LAYERS)
def test_stars_and_seeds_are_independent(kept, layer):
    for seed, name in ((0, "another star"), (1, "a star"), (-1, "a star"), (0, "a star "), (0, "")):
        other = (dropout_factors(layer, seed, name, 0, 400) > 0).reshape(400, -1)
        assert_uncorrelated(kept[layer], other)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_draw_is_the_same_wherever_one_starts(layer):
    whole = dropout_factors(layer, 5, "a star", 0, 20)

    np.testing.assert_array_equal(dropout_factors(layer, 5, "a star", 7, 3), whole[7:10])


def test_masks_are_for_ever():
    """Other masks would move every published distance; they come with a new version of the pipeline only."""
    digest = hashlib.sha256()
    for layer in LAYERS:
        digest.update(
            np.packbits(dropout_factors(layer, 0, "apstar/…/2M00000068+5710233", 98, 4) > 0).tobytes()
        )

    assert digest.hexdigest() == "d357e908238c188c368cee4d5048992e01763fb33bae5871045da927ff5e8b71"
