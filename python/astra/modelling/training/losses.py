"""How well two numbers, a prediction p and a log-variance s, describe the label y of a star.

Everything is in units of ``labels_std``; s is the logarithm of the variance of y, whatever the loss.
Constant terms are left out.

    logarithmic   ln y is normal about ln p: for labels that are all positive and without error, and that
                  range over factors of a thousand
    linear        y is normal about p: for labels from parallaxes, with errors, negative ones included
"""

import math

import torch
from torch import Tensor

from astra.modelling.training.request import Loss

#: Degrees of freedom of :func:`robust`.
FREEDOM = 8.0

#: Share of a normal distribution within one standard deviation.
ONE_SIGMA = 0.6827

#: Share that is wanted within so many standard deviations: a normal distribution has 0.9973, the errors of
#: stars that look like those of another kind have wider wings.
THREE_SIGMA = 0.9955, 3.0

# In quantile(): relative errors below the first are as good as none; within the second of its corner, the
# function is a parabola.
SMALLEST_ERROR, ROUNDING = 1e-4, 0.2

# Below this a prediction, a softplus, may have come out as 0.
LEAST = 1e-12


def logarithmic(prediction: Tensor, log_variance: Tensor, label: Tensor, beta: float = 0.0) -> Tensor:
    """Negative log-likelihood of ln y ~ N(ln p, exp(s) / p^2).

    Args:
        prediction: p > 0, shape (N,).
        log_variance: s, shape (N,).
        label: y > 0, shape (N,).
        beta: Exponent of the variance of ln y, the weight of each star. A network that learns its variance
            too neglects what it predicts badly at first; 0.5 helps (Seitzer et al. 2022, On the Pitfalls of
            Heteroscedastic Uncertainty Estimation with Probabilistic Neural Networks, equation 5). No weight
            exceeds 1: a star predicted near 0 would decide a step alone.

    Returns:
        Shape (N,); with ``beta`` no longer a likelihood, but least at the same prediction.
    """
    log_prediction = prediction.clamp(min=LEAST).log()
    log_variance = log_variance - 2 * log_prediction
    nll = 0.5 * (label.log() - log_prediction) ** 2 * torch.exp(-log_variance) + 0.5 * log_variance
    return nll * torch.exp(beta * log_variance.clamp(max=0.0)).detach() if beta else nll


def robust(prediction: Tensor, log_variance: Tensor, label: Tensor) -> Tensor:
    """As :func:`logarithmic`, with Student's t for the normal distribution: a few stars may be far off.

    Args:
        prediction, log_variance, label: As there.

    Returns:
        Shape (N,); ``exp(s)`` is the square of the scale of the distribution, not its variance.
    """
    log_prediction = prediction.clamp(min=LEAST).log()
    log_variance = log_variance - 2 * log_prediction
    squared = (label.log() - log_prediction) ** 2 * torch.exp(-log_variance)
    return 0.5 * (FREEDOM + 1) * torch.log1p(squared / FREEDOM) + 0.5 * log_variance


def quantile(
    prediction: Tensor, log_variance: Tensor, label: Tensor, share: float = ONE_SIGMA, width: float = 1.0
) -> Tensor:
    """A loss, least if a share of the errors is within so many standard deviations, for stars of each kind.

    The check function of quantile regression (Koenker & Bassett 1978, Econometrica 46, 33), of the logarithm
    of the error in units of the standard deviation. The likelihood would give a standard deviation that a
    few outliers decide.

    Args:
        prediction, log_variance, label: As of :func:`logarithmic`.
        share: The share; 68.27 % for one standard deviation.
        width: How many standard deviations.

    Returns:
        Shape (N,).
    """
    log_prediction = prediction.clamp(min=LEAST).log()
    error = (label.log() - log_prediction).abs()
    over = torch.log(error + SMALLEST_ERROR) - (0.5 * log_variance - log_prediction) - math.log(width)
    rounded = torch.clamp(ROUNDING - over.abs(), min=0) ** 2 / (4 * ROUNDING)
    return torch.where(over > 0, share * over, (share - 1) * over) + rounded


def linear(prediction: Tensor, log_variance: Tensor, label: Tensor, e_label: Tensor) -> Tensor:
    """Negative log-likelihood of y ~ N(p, exp(s) + e_y^2) (Leung & Bovy 2019, MNRAS 489, 2079, section 3).

    The parallax is as normal as its error says, and y is proportional to it; so no star need be left out for
    the value of its parallax, and none may, or the scale is wrong.

    Args:
        prediction: p > 0, shape (N,).
        log_variance: s, shape (N,).
        label: y, shape (N,).
        e_label: Its error, shape (N,).

    Returns:
        Shape (N,).
    """
    variance = torch.exp(log_variance) + e_label**2
    return 0.5 * (label - prediction) ** 2 / variance + 0.5 * variance.log()


def likelihood(
    loss: Loss, prediction: Tensor, log_variance: Tensor, label: Tensor, e_label: Tensor, beta: float = 0.0
) -> Tensor:
    """Negative log-likelihood of the loss of this name; arguments as of the two functions."""
    if loss == "linear":
        return linear(prediction, log_variance, label, e_label)
    return logarithmic(prediction, log_variance, label, beta)
