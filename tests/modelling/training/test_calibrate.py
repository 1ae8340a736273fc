"""The heads, fitted once more."""

import numpy as np
import pytest
import torch

from astra.errors import ConfigError
from astra.modelling.training import calibrate as calibrate_module
from astra.modelling.training.calibrate import (
    HEADS,
    begin_of_doubt,
    calibrate,
    fit_errors,
    fit_prediction,
    summarised,
)
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN
from astra.pipelines.astronn_dist.network.sampling import summarise
from astra.pipelines.astronn_dist.weights.validity import beyond


def simulated(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Features of draws, the true pseudo-luminosities, and the heads that know them."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(n, 1, 64, generator=generator)
    noise = torch.randn(n, 3, 64, generator=generator)
    features = torch.relu(1 + 0.5 * truth + 0.1 * noise)
    weight = torch.linspace(-0.3, 0.3, 64)[None]
    heads = [weight, torch.zeros(1, 64), torch.zeros(1), torch.full((1,), 0.0)]
    return features, summarised(features, heads)[0], heads


def pulls(features, label, heads) -> np.ndarray:
    """Errors of the logarithm of the prediction, over those that are stated."""
    prediction, log_variance = summarised(features, heads)
    return (torch.log(label / prediction) * prediction * torch.exp(-log_variance / 2)).numpy()


def test_errors_that_counted_dropout_twice_become_right():
    features, truth, heads = simulated(22_000, 1)
    generator = torch.Generator().manual_seed(2)
    scatter = torch.randn(len(truth), generator=generator)
    label = truth * torch.exp(0.15 * scatter)
    before = pulls(features, label, heads)
    learnt, held_out = slice(12_000), slice(12_000, None)

    fitted = fit_prediction(features[learnt], label[learnt], heads=heads)
    fitted = fit_errors(features[learnt], label[learnt], heads=fitted)

    after = pulls(features[held_out], label[held_out], fitted)
    assert before.std() < 0.8
    assert after.std() == pytest.approx(1, abs=0.03)
    assert abs(after.mean()) < 0.05


def test_errors_allow_for_stars_that_the_predictions_do_not_care_for():
    features, truth, heads = simulated(12_000, 6)
    scatter = 0.15 * torch.randn(len(truth), generator=torch.Generator().manual_seed(7))
    single = truth * torch.exp(scatter)
    brighter = torch.arange(len(truth)) % 4 == 0
    with_pairs = torch.where(brighter, single * 1.4, single)

    prediction = fit_prediction(features, single, heads=heads)
    fitted = fit_errors(features, with_pairs, heads=prediction)

    for index in (0, 2):  # weight and bias of the prediction
        torch.testing.assert_close(fitted[index], prediction[index], rtol=0, atol=0)
    assert abs(np.median(pulls(features, single, fitted))) < 0.05
    assert np.mean(np.abs(pulls(features, with_pairs, fitted)) < 1) == pytest.approx(0.68, abs=0.02)


def test_the_condition_on_three_sigma_makes_errors_larger_so_that_fewer_stars_are_far_off(monkeypatch):
    features, truth, heads = simulated(12_000, 8)
    generator = torch.Generator().manual_seed(9)
    scatter = torch.randn(len(truth), generator=generator)
    is_far = torch.rand(len(truth), generator=generator) < 0.05
    label = truth * torch.exp(0.15 * torch.where(is_far, 4 * scatter, scatter))
    far_off = []

    for weight in (0.0, 1.5):
        monkeypatch.setattr(calibrate_module, "WINGS", weight)
        fitted = fit_errors(features, label, heads=heads)
        far_off.append(np.mean(np.abs(pulls(features, label, fitted)) > 3))

    assert far_off[1] < 0.95 * far_off[0]


def test_what_is_fitted_is_what_inference_says():
    features, _, heads = simulated(20, 3)
    weights, biases = torch.cat(heads[:2]), torch.cat(heads[2:])
    output, log_variance = (features @ weights.T + biases).unbind(2)
    expected = summarise(torch.nn.functional.softplus(output).numpy(), log_variance.numpy(), 1.0)

    prediction, total = summarised(features, heads)

    np.testing.assert_allclose(prediction, expected.fakemag, rtol=1e-5)
    np.testing.assert_allclose(total.exp().sqrt(), expected.e_fakemag, rtol=1e-5)


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    torch.manual_seed(5)
    state = ApogeeDistBCNN().state_dict()
    state["input_mean"] += 1
    state["labels_std"] *= 100
    return {name: value.numpy() for name, value in state.items()}


def test_only_the_heads_change_and_always_in_the_same_way(make_examples, tensors):
    examples = make_examples(70, noise=0.02, masked=0.2)

    once, again = (calibrate(tensors, examples, examples, n_draws=3, seed=4) for _ in range(2))

    for name, value in tensors.items():
        assert once[name].dtype == np.float32
        assert (once[name] == value).all() == (name not in HEADS), name
        np.testing.assert_array_equal(once[name], again[name])


def test_the_errors_may_be_fitted_to_other_stars(make_examples, tensors):
    some, others = make_examples(70, noise=0.02), make_examples(50, noise=0.1)

    alone, both = (calibrate(tensors, some, errors, n_draws=3) for errors in (some, others))

    np.testing.assert_array_equal(alone["dense_output.weight"], both["dense_output.weight"])
    assert (alone["dense_var.weight"] != both["dense_var.weight"]).any()


def test_examples_that_cannot_be_used_are_refused(make_examples, tensors):
    examples = make_examples(3)
    examples.fakemag[0] = np.nan

    with pytest.raises(ConfigError, match="calibration examples: 1 of fakemag"):
        calibrate(tensors, examples, examples)


# > Where doubt begins


def scatters(understated: float, seed: int, n: int = 6_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scatter, stated noise and S/N of spectra that differ by 0.01 or so from what the components give."""
    random = np.random.default_rng(seed)
    snr = np.exp(random.uniform(*np.log((20, 500)), n))
    own = 0.01 * random.lognormal(0, 0.3, n)
    noise = understated / snr * random.uniform(0.97, 1.03, n)
    return np.hypot(own, noise), 1 / snr, snr


@pytest.mark.parametrize("truly", [1.0, 1.3])
def test_noise_larger_than_its_errors_is_no_doubt(truly):
    understated, begins = begin_of_doubt(*scatters(truly, 0))

    scatter, noise, snr = scatters(truly, 1)
    doubted = beyond(scatter, noise, understated) > begins
    assert truly - 0.03 < understated < truly + 0.1
    assert doubted[snr < 60].mean() < 0.02
    assert 0.005 < doubted[snr > 100].mean() < 0.02


def test_a_spectrum_unlike_the_training_is_doubted_all_the_same():
    understated, begins = begin_of_doubt(*scatters(1.3, 0))

    scatter, noise, snr = scatters(1.3, 1)
    assert (beyond(np.hypot(scatter, 0.06), noise, understated) > begins)[snr > 25].all()
