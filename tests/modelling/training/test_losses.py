"""The two likelihoods."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from astra.modelling.training.losses import likelihood, linear, logarithmic

positive = st.floats(1e-3, 1e3)
log_variances = st.floats(-8, 8)


def of(*values: float) -> list[torch.Tensor]:
    return [torch.tensor([value], dtype=torch.float64) for value in values]


def normal_nll(value: float, mean: float, variance: float) -> float:
    """Without the constant."""
    return 0.5 * (value - mean) ** 2 / variance + 0.5 * math.log(variance)


@given(positive, log_variances, positive)
def test_the_logarithmic_loss_is_the_normal_likelihood_of_the_logarithm(p, s, y):
    expected = normal_nll(math.log(y), math.log(p), math.exp(s) / p**2)

    assert logarithmic(*of(p, s, y)).item() == pytest.approx(expected)


@given(positive, log_variances, st.floats(-1e3, 1e3), st.floats(0, 1e3))
def test_the_linear_loss_is_the_normal_likelihood_with_both_variances(p, s, y, e_y):
    expected = normal_nll(y, p, math.exp(s) + e_y**2)

    assert linear(*of(p, s, y, e_y)).item() == pytest.approx(expected)


@given(positive, log_variances, positive, st.floats(0.1, 0.9))
def test_beta_weighs_a_star_with_the_power_of_its_variance_up_to_1_and_moves_no_minimum(p, s, y, beta):
    plain, weighted = of(p, s), of(p, s)
    for values, exponent in ((plain, 0.0), (weighted, beta)):
        for value in values:
            value.requires_grad_()
        logarithmic(*values, *of(y), exponent).backward()

    weight = min(1.0, math.exp(s) / p**2) ** beta
    for one, other in zip(plain, weighted, strict=True):
        assert other.grad.item() == pytest.approx(weight * one.grad.item())


def test_a_prediction_that_underflowed_to_zero_gives_a_finite_loss():
    assert math.isfinite(logarithmic(*of(0.0, -10.0, 1.0)).item())


def test_each_loss_is_found_by_its_name():
    values = of(1.5, -1.0, 2.0, 0.5)

    assert likelihood("linear", *values).item() == linear(*values).item()
    assert likelihood("logarithmic", *values, 0.5).item() == logarithmic(*values[:3], 0.5).item()


@pytest.fixture(scope="module")
def parallax_sample() -> dict[str, torch.Tensor]:
    """Stars whose shape of the prediction is known but for its scale; of the labels 30 % are negative."""
    generator = np.random.default_rng(7)
    truth = np.exp(generator.normal(0, 1, 400_000))
    e_label = truth * np.exp(generator.normal(0.8, 0.7, len(truth)))
    label = truth * np.exp(generator.normal(0, 0.1, len(truth))) * math.exp(-0.005)
    label += e_label * generator.standard_normal(len(truth))
    return {"truth": torch.tensor(truth), "label": torch.tensor(label), "e_label": torch.tensor(e_label)}


def fitted_scale(truth: torch.Tensor, label: torch.Tensor, e_label: torch.Tensor) -> float:
    """The maximum-likelihood scale, with a relative scatter fitted along with it."""
    parameters = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe")

    def objective() -> torch.Tensor:
        optimiser.zero_grad()
        prediction = parameters[0].exp() * truth
        value = linear(prediction, 2 * (parameters[1] + truth.log()), label, e_label).mean()
        value.backward()
        return value

    optimiser.step(objective)
    return parameters[0].exp().item()


def test_with_30_percent_of_negative_parallaxes_the_scale_is_right_to_1_percent(parallax_sample):
    negative = (parallax_sample["label"] < 0).double().mean().item()
    assert 0.27 < negative < 0.33

    assert fitted_scale(**parallax_sample) == pytest.approx(1, abs=0.01)


def test_without_the_negative_parallaxes_it_would_be_wrong(parallax_sample):
    kept = parallax_sample["label"] > 0

    assert fitted_scale(**{name: value[kept] for name, value in parallax_sample.items()}) > 1.03
