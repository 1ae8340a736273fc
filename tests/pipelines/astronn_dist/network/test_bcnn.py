"""The network computes what the published one does, and leaves torch as it was."""

import numpy as np
import pytest
import torch
from plain_network import outputs

from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN, Dropout
from astra.pipelines.astronn_dist.weights.files import SHAPES, Weights, load_weights


@pytest.fixture(scope="module")
def parity(reference):
    return np.load(reference / "parity.npz")


@pytest.fixture
def a_network():
    """With random weights, so that a pixel or a channel out of place shows."""
    random = np.random.default_rng(1)
    tensors = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in SHAPES.items()}
    return ApogeeDistBCNN.from_weights(Weights("random", "", tensors))


@pytest.fixture
def flux():
    return torch.tensor(np.random.default_rng(2).normal(1, 0.5, (3, 7514)), dtype=torch.float32)


def test_deterministic_outputs_for_real_spectra_agree_with_the_upstream_network(parity, reference_weights):
    network = ApogeeDistBCNN.from_weights(load_weights(reference_weights))

    with torch.inference_mode():
        output, log_variance = network(torch.tensor(parity["normalized_flux"], dtype=torch.float32))

    np.testing.assert_allclose(output, parity["deterministic_output"], atol=1e-4)
    np.testing.assert_allclose(log_variance, parity["deterministic_log_variance"], atol=1e-4)


def test_deterministic_outputs_agree_with_those_of_astronn_for_its_folder(reference):
    network = ApogeeDistBCNN.from_weights(load_weights(reference / "astroNN_folder"))
    astronn = np.load(reference / "astroNN_folder_predictions.npz")

    with torch.inference_mode():
        outputs = torch.stack(network(torch.tensor(astronn["spectra"])), dim=1)

    np.testing.assert_allclose(outputs, astronn["deterministic_output"], atol=1e-4)


def test_tensors_are_named_and_shaped_as_in_the_checkpoint():
    state = ApogeeDistBCNN().state_dict()

    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == SHAPES


def test_the_network_does_the_steps_of_the_specification(a_network, flux):
    with torch.inference_mode():
        for found, expected in zip(a_network(flux), outputs(a_network, flux), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_dropout_acts_after_conv1_before_dense_1_and_after_it(a_network, flux):
    random = torch.Generator().manual_seed(3)
    shapes = ((3, 7514, 2), (3, 7512), (3, 192))
    dropout = Dropout(*((torch.rand(shape, generator=random) < 0.7) / 0.7 for shape in shapes))

    with torch.inference_mode():
        found = a_network.decode(a_network.encode(flux), dropout)
        without = a_network(flux)
        for ours, expected, undropped in zip(found, outputs(a_network, flux, dropout), without, strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)
            assert (ours != undropped).all()


def test_one_spectrum_serves_many_draws(a_network, flux):
    factors = torch.ones(5, 7514, 2)

    with torch.inference_mode():
        output, log_variance = a_network.decode(a_network.encode(flux[:1]), Dropout(conv1=factors))

    assert output.shape == log_variance.shape == (5,)
    torch.testing.assert_close(output, a_network(flux[:1])[0].expand(5), rtol=1e-5, atol=0)


def test_the_prediction_is_never_negative(a_network, flux):
    with torch.inference_mode():
        a_network.dense_output.bias.fill_(-30)
        output, _ = a_network(flux)

    assert (output >= 0).all()
    assert (output < 1e-6).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pixel_that_is_no_number_shows_in_the_result(a_network, flux, value):
    flux[1, 4000] = value

    with torch.inference_mode():
        output, _ = a_network(flux)

    assert torch.isfinite(output).tolist() == [True, False, True]


def test_building_a_network_from_weights_leaves_torchs_random_numbers_alone(toy_weights):
    weights = load_weights(toy_weights)
    before = torch.random.get_rng_state()

    ApogeeDistBCNN.from_weights(weights)

    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_network_does_not_share_its_numbers_with_the_weights(toy_weights):
    weights = load_weights(toy_weights)
    network = ApogeeDistBCNN.from_weights(weights)

    with torch.no_grad():
        network.dense_1.weight.zero_()

    assert weights.tensors["dense_1.weight"].any()


def test_a_gradient_reaches_every_parameter(a_network, flux):
    output, log_variance = a_network(flux)

    (output + log_variance).sum().backward()

    for name, parameter in a_network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
