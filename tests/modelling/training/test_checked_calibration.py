"""Scale and variance, fitted once more: without bias where the draws scatter, and never to mere noise."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from astra.errors import ConfigError
from astra.modelling.training.calibrate import draw_features
from astra.modelling.training.checked_calibration import N_DRAWS, calibrate_if_better
from astra.modelling.training.examples import Examples
from astra.modelling.training.network import compute_threads
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN
from astra.pipelines.astronn_dist.weights.files import load_weights

N = 160
CHANGED = {"labels_std", "dense_var.weight", "dense_var.bias"}


def examples_of(flux, fakemag, e_fakemag):
    """Examples with these labels."""
    zeros = np.zeros(len(flux), np.float32)
    labels = (np.asarray(label, np.float32) for label in (fakemag, e_fakemag))
    return Examples(flux, *labels, np.arange(len(flux)), np.full(len(flux), ""), zeros, zeros, None)


@pytest.fixture(scope="module")
def tensors(toy_weights):
    """A network whose draws scatter."""
    found = {name: tensor.copy() for name, tensor in load_weights(toy_weights).tensors.items()}
    found["dense_output.weight"] *= 10
    return found


@pytest.fixture(scope="module")
def seen(tensors):
    """Spectra, and mean and standard deviation of the predictions of their draws [mas]."""
    flux = np.random.default_rng(5).normal(0, 0.1, (N, 7514)).astype(np.float16)
    network = ApogeeDistBCNN()
    network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    blank = examples_of(flux, np.ones(N), np.ones(N))
    with compute_threads() as threads, torch.no_grad():
        features = draw_features(network, blank, threads, n_draws=N_DRAWS, seed=0)
        draws = F.softplus(network.dense_output(features)).squeeze(2).numpy() * 30
    return flux, draws.mean(axis=1), draws.std(axis=1, ddof=1)


def test_draws_that_scatter_more_than_the_labels_do_not_bias_the_scale(tensors, seen):
    flux, prediction, scatter = seen
    generator = np.random.default_rng(1)
    # The likelihood alone would find a scale too small by the square of this.
    assert 0.1 < np.median(scatter / prediction) < 0.6
    for truth in (1.0, 1.3):
        label = generator.normal(truth * prediction, 0.02 * prediction)

        found, _ = calibrate_if_better(tensors, examples_of(flux, label, 0.02 * prediction))

        assert found["labels_std"].item() == pytest.approx(30 * truth, rel=0.01)


def test_noisy_labels_give_the_scale_within_its_error_and_nothing_else_changes(tensors, seen):
    flux, prediction, _ = seen
    generator = np.random.default_rng(2)
    error = prediction * np.where(generator.random(N) < 0.5, 0.1, 3.0)
    label = generator.normal(1.5 * prediction, error)
    assert (label < 0).mean() > 0.1

    found, gain = calibrate_if_better(tensors, examples_of(flux, label, error))

    assert gain > 0
    assert found["labels_std"].item() == pytest.approx(45, rel=0.06)
    assert {name for name in tensors if not np.array_equal(found[name], tensors[name])} == CHANGED
    assert all(tensor.dtype == np.float32 for tensor in found.values())
    assert {name: tensor.shape for name, tensor in found.items()} == {
        name: tensor.shape for name, tensor in tensors.items()
    }


def test_variances_that_are_too_large_are_put_right(tensors, seen):
    flux, prediction, scatter = seen
    bold = tensors | {"dense_var.bias": np.array([3.0], np.float32)}
    label = np.random.default_rng(3).normal(prediction, scatter)

    found, gain = calibrate_if_better(bold, examples_of(flux, label, 0 * label))

    assert gain > 0.5
    assert found["dense_var.bias"].item() < 1


def test_labels_that_are_mere_noise_change_nothing(tensors, seen, caplog):
    flux, prediction, _ = seen
    label = np.random.default_rng(4).normal(prediction, 50 * prediction)[:12]

    found, gain = calibrate_if_better(tensors, examples_of(flux[:12], label, 50 * prediction[:12]))

    assert gain <= 0
    assert all(np.array_equal(found[name], tensors[name]) for name in tensors)
    assert "12 spectra do not improve them" in caplog.text


def test_a_single_star_cannot_be_halved_and_changes_nothing(tensors, seen):
    flux, prediction, _ = seen

    found, gain = calibrate_if_better(tensors, examples_of(flux[:1], prediction[:1], [0.1]))

    assert gain == 0
    assert np.array_equal(found["labels_std"], tensors["labels_std"])


def test_labels_that_are_no_numbers_are_refused(tensors, seen):
    flux, prediction, _ = seen

    with pytest.raises(ConfigError, match="calibration examples: .* not finite"):
        calibrate_if_better(tensors, examples_of(flux, np.full(N, np.nan), prediction))
