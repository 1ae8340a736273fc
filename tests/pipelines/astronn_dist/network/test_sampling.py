"""Monte Carlo dropout: the numbers of the reference, the same everywhere, whatever is computed together."""

import numpy as np
import plain_network
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from astra.errors import UsageError
from astra.pipelines.astronn_dist.network.bcnn import TorchNetwork
from astra.pipelines.astronn_dist.network.on_cpu import CpuNetwork
from astra.pipelines.astronn_dist.network.sampling import network_on, sample, summarise
from astra.pipelines.astronn_dist.weights.files import SHAPES, Weights, load_weights
from astra.spectra.apstar import read_combined
from astra.spectra.rectify import rectify

N_REFERENCE = 2000


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(toy_weights):
    return load_weights(toy_weights)


@pytest.fixture(scope="module")
def readable(weights):
    """The network in torch: what the fast one is compared with."""
    return TorchNetwork(weights)


@pytest.fixture(scope="module")
def network(weights):
    """The network that runs take."""
    return CpuNetwork(weights)


@pytest.fixture(scope="module")
def flux(simulated):
    """Normalised spectra, shape (16, 7514)."""
    read = [read_combined(path) for path in sorted(simulated.glob("apStar-*.fits"))]
    columns = ([getattr(one, name) for one in read] for name in ("flux", "e_flux", "pixel_flags"))
    return rectify(*map(np.array, columns))[0]


@pytest.fixture(scope="module")
def names(flux):
    return [f"apstar/dr17/dr17/apo25m/n{index}//2M0000/apstar/c" for index in range(len(flux))]


@pytest.fixture(scope="module")
def many(network, flux, names):
    """Predictions and log-variances of 2000 draws of four spectra, each (4, 2000), and their unit."""
    return many_draws(network, flux[:4], names[:4])


def many_draws(network, flux, names):
    prediction, log_variance = network.draw(flux, names, N_REFERENCE, 0).swapaxes(0, 1)
    return prediction, log_variance, network.labels_std


@pytest.fixture(
    scope="module",
    params=["torch", *(pytest.param(name, marks=pytest.mark.real) for name in ("upstream", "astronn"))],
)
def compared(request):
    """2000 draws of ours, and what others found with as many: the mean, and variances by their statistic.

    Plain torch for simulated spectra; the upstream network and astroNN for real ones.
    """
    if request.param == "torch":
        readable, flux, many = map(request.getfixturevalue, ("readable", "flux", "many"))
        theirs = [plain_network.draws(readable.network, one, N_REFERENCE) for one in flux[: len(many[0])]]
        theirs = (*np.stack(theirs, axis=1), many[2])
        variances = {each: each(*theirs) for each in (total_variance, model_variance, predictive_variance)}
        return many, summarise(*theirs).fakemag, variances
    reference = request.getfixturevalue("reference")
    if request.param == "upstream":
        weights, numbers = "astroNN_dist_model_parameter.pt", np.load(reference / "parity.npz")
        flux, mean = numbers["normalized_flux"], numbers["mc_fakemag"]
        errors = {total_variance: numbers["mc_fakemag_error"]}
    else:
        weights, numbers = "astroNN_folder", np.load(reference / "astroNN_folder_predictions.npz")
        flux, mean = numbers["spectra"], numbers["mc_prediction"][:, 0]
        names = {"mc_total": total_variance, "mc_model": model_variance, "mc_predictive": predictive_variance}
        errors = {statistic: numbers[name][:, 0] for name, statistic in names.items()}
    network = CpuNetwork(load_weights(reference / weights))
    ours = many_draws(network, flux, [f"{request.param} {index}" for index in range(len(flux))])
    return ours, mean, {statistic: error**2 for statistic, error in errors.items()}


def assert_within_5_bootstrap_errors(statistic, draws, expected):
    """Of a statistic of two samples of 2000 draws, ours and that of the reference."""
    prediction, log_variance, labels_std = draws
    random = np.random.default_rng(0)
    resampled = []
    for _ in range(200):
        chosen = random.integers(0, N_REFERENCE, N_REFERENCE)
        resampled.append(statistic(prediction[:, chosen], log_variance[:, chosen], labels_std))
    error = np.sqrt(2) * np.std(resampled, axis=0)
    assert (np.abs(statistic(*draws) - expected) < 5 * error).all(), statistic.__name__


def total_variance(prediction, log_variance, labels_std):
    return summarise(prediction, log_variance, labels_std).e_fakemag ** 2


def model_variance(prediction, log_variance, labels_std):
    return summarise(prediction, log_variance, labels_std).e_model_fakemag ** 2


def predictive_variance(prediction, log_variance, labels_std):
    return total_variance(prediction, log_variance, labels_std) - model_variance(
        prediction, log_variance, labels_std
    )


# > The numbers of the reference


def test_means_are_within_5_standard_errors_of_those_of_others(compared):
    draws, expected, _ = compared
    found = summarise(*draws)

    error = found.e_model_fakemag * np.sqrt(1 / N_REFERENCE + 1 / N_REFERENCE)
    assert (np.abs(found.fakemag - expected) < 5 * error).all()


def test_variances_and_their_parts_are_within_5_standard_errors_of_those_of_others(compared):
    draws, _, variances = compared

    for statistic, expected in variances.items():
        assert_within_5_bootstrap_errors(statistic, draws, expected)


def test_a_summary_is_mean_and_variances_in_units_of_labels_std():
    prediction, log_variance = np.array([[1.0, 2.0, 6.0]]), np.log([[1.0, 2.0, 4.0]])

    found = summarise(prediction, log_variance, 10.0)

    assert found.fakemag == pytest.approx([30])
    assert found.e_model_fakemag == pytest.approx([10 * np.sqrt(7)])
    assert found.e_fakemag == pytest.approx([10 * np.sqrt(2 + 7)])


@pytest.mark.slow
@pytest.mark.parametrize("index", range(16))
def test_means_of_100_draws_are_distributed_as_those_of_other_dropout(network, readable, flux, names, index):
    """Kolmogorov and Smirnov's test of 200 seeds against 200 means of plain torch."""
    ours = means_of_200_seeds(network, flux, names, index)

    theirs = plain_network.draws(readable.network, flux[index], 200 * 100)[0].reshape(200, 100).mean(axis=1)

    assert same_distribution(ours, theirs) > 0.001 / 16


@pytest.mark.slow
def test_the_test_of_distributions_tells_a_dropout_rate_of_four_tenths(network, readable, flux, names):
    # Of small random weights, which hardly feel one of a third: 200 means give p = 0.0015, 1200 no less.
    ours = means_of_200_seeds(network, flux, names, 0)

    theirs = plain_network.draws(readable.network, flux[0], 200 * 100, rate=0.4)[0]

    assert same_distribution(ours, theirs.reshape(200, 100).mean(axis=1)) < 0.001


def means_of_200_seeds(network, flux, names, index):
    spectrum, name = flux[[index]], names[index : index + 1]
    return [network.draw(spectrum, name, 100, seed)[0, 0].mean() for seed in range(200)]


def same_distribution(one, other):
    """The probability of a larger distance between two samples of one distribution (Smirnov 1948)."""
    both = np.sort(np.concatenate([one, other]))
    shares = [np.searchsorted(np.sort(sample), both, side="right") / len(sample) for sample in (one, other)]
    size = np.sqrt(len(one) * len(other) / (len(one) + len(other))) * np.abs(shares[0] - shares[1]).max()
    terms = np.arange(1, 101)
    return min(1.0, 2 * np.sum((-1.0) ** (terms - 1) * np.exp(-2 * (terms * size) ** 2)))


# > What a result depends on


def test_the_first_100_draws_of_2000_are_the_100_draws(network, flux, names, many):
    prediction, log_variance = network.draw(flux[:1], names[:1], 100, 0)[0]

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


def test_the_compiled_network_makes_the_draws_of_the_readable_one(network, readable, flux, names):
    np.testing.assert_allclose(
        network.draw(flux, names, 210, 5), readable.draw(flux, names, 210, 5), rtol=1e-5
    )


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 100), st.floats(-3, 3))
def test_both_agree_whatever_the_weights_and_the_flux_are(seed, size, level):
    weights = Weights("random", "", random_tensors(seed))
    flux = level + size * np.random.default_rng(seed).standard_normal((2, 7514))

    compiled = CpuNetwork(weights).draw(flux, ["a", "b"], 12, seed)

    expected = TorchNetwork(weights).draw(flux, ["a", "b"], 12, seed)
    np.testing.assert_allclose(compiled, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_both_agree_where_all_units_are_0_in_every_draw(weights, flux, names):
    tensors = weights.tensors | {"conv2.bias": np.full(4, -1e3, np.float32)}
    dead = Weights("dead", "", tensors)

    compiled = CpuNetwork(dead).draw(flux[:2], names[:2], 12, 0)

    np.testing.assert_allclose(
        compiled, TorchNetwork(dead).draw(flux[:2], names[:2], 12, 0), rtol=1e-5, atol=1e-6
    )


def random_tensors(seed):
    generator = np.random.default_rng(seed)
    return {
        name: generator.normal(0, 1 / np.sqrt(max(1, np.prod(shape[1:]))), shape).astype(np.float32)
        for name, shape in SHAPES.items()
    }


@pytest.mark.parametrize("together", [2, 7, pytest.param(16, marks=pytest.mark.slow)])
def test_spectra_that_torch_computes_together_get_what_they_get_alone(readable, flux, names, together):
    alone = readable.draw(flux, names, 100, 0)

    parts = [slice(first, first + together) for first in range(0, len(flux), together)]
    found = np.concatenate([readable._draw(flux[part], names[part], 100, 0) for part in parts])

    np.testing.assert_allclose(found, alone, rtol=1e-5)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_to_1e_5(weights, flux, names):
    cpu = sample(network_on("cpu", weights), flux, names)

    gpu = sample(network_on("cuda", weights), flux, names)

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


def test_the_state_of_torch_is_the_same_afterwards(readable, flux, names):
    def state():
        return (
            torch.random.get_rng_state().tolist(),
            torch.backends.cudnn.enabled,
            torch.backends.cudnn.allow_tf32,
            torch.get_num_threads(),
            torch.is_grad_enabled(),
        )

    before = state()

    sample(readable, flux[:1], names[:1])

    assert state() == before
