"""The last stage of a training on parallaxes: a scale and a variance that fit what inference does.

Inference takes the mean of many draws, and adds their variance to the one that the network predicts. The
training does neither: it fits single draws, whose mean square is larger than the square of their mean, so
that the mean comes out too small by the relative variance of the draws, 1 % where they scatter by 10 %; and
the variance that it learns holds the noise of dropout already. So two things are fitted again, to stars that
the network has not seen:

- The **scale** of the predictions, one factor on ``labels_std``, by least squares, each label weighted with
  the inverse of its variance, which is held fixed. The likelihood would not do: the variance of the draws
  grows with the square of the scale, and where it is larger than the true errors, a scale that is too small
  is more likely than the right one.
- The **variance head**, 65 numbers, by the likelihood.

A few hundred parallaxes, most of which are noise, may not determine these, and numbers fitted to noise are
worse than those of the training. So what is fitted to either half of the stars has to prove itself on the
other half. For the same reason the prediction head stays as it is, other than for simulated stars, whose
labels have no errors.
"""

import logging
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from astra.modelling.training.calibrate import N_DRAWS, draw_features, minimise
from astra.modelling.training.examples import Examples, split
from astra.modelling.training.losses import linear
from astra.modelling.training.network import compute_threads, network_of
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN

log = logging.getLogger("astra")

#: The fit of the scale needs the variance, and that of the variance the scale: after so many turns both hold.
TURNS = 4
ITERATIONS = 100
# Of the split into halves; another one than that of the split into parts, which would put all in one half.
HALVES_SEED = 1
HALVES = (0.5, 0.5, 0.0)


def calibrate_if_better(
    tensors: Mapping[str, np.ndarray],
    examples: Examples,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> tuple[dict[str, np.ndarray], float]:
    """Fit scale and variance to examples that the network did not learn from, if that pays.

    Args:
        tensors: Arrays as in ``weights.SHAPES``.
        examples: The examples, with labels that are linear in the parallax.
        seed: Decides the dropout.
        device: Where to compute.

    Returns:
        The tensors, and by how much the negative log-likelihood falls of a star to which they were not
        fitted. If that is not positive, the tensors are as before.

    Raises:
        ConfigError: The examples cannot be used.
    """
    examples.check("calibration")
    network = network_of({name: torch.tensor(value) for name, value in tensors.items()}, device)
    with compute_threads() as threads, torch.no_grad():
        seen = _Seen.of(network, examples, threads, seed)
        chosen = _Chosen.of(network)
        gain = _gain(chosen, [seen.take(rows) for rows in split(examples, HALVES_SEED, HALVES)[:2]])
        if gain <= 0:
            log.warning("scale and variance stay as trained: %d spectra do not improve them", len(examples))
            return dict(tensors), gain
        return dict(tensors) | _fitted(chosen, seen).tensors(tensors), gain


@dataclass(frozen=True)
class _Seen:
    """All of N examples that scale and variance are fitted to, float64, in units of ``labels_std``."""

    features: Tensor
    """The input of the heads, averaged over the draws, shape (N, 64)."""

    mean: Tensor
    """Mean prediction of the draws, shape (N,)."""

    variance: Tensor
    """Variance of the predictions of the draws, shape (N,)."""

    label: Tensor
    e_label: Tensor

    @classmethod
    def of(cls, network: ApogeeDistBCNN, examples: Examples, threads: Executor, seed: int) -> Self:
        features = draw_features(network, examples, threads, n_draws=N_DRAWS, seed=seed)
        draws = F.softplus(network.dense_output(features)).squeeze(2).double()
        labels = (
            torch.from_numpy(np.asarray(label)).to(draws) / network.labels_std
            for label in (examples.fakemag, examples.e_fakemag)
        )
        # The log-variance is linear in the features, so that its mean needs their mean only.
        return cls(features.mean(dim=1).double(), draws.mean(dim=1), draws.var(dim=1, correction=1), *labels)

    def take(self, rows: np.ndarray) -> Self:
        chosen = torch.from_numpy(rows).to(self.label.device)
        return type(self)(*(values[chosen] for values in vars(self).values()))


@dataclass(frozen=True)
class _Chosen:
    """What is fitted: the scale, and the head of the log-variance, 64 weights and then the bias."""

    scale: float
    head: Tensor

    @classmethod
    def of(cls, network: ApogeeDistBCNN) -> Self:
        return cls(1.0, torch.cat([network.dense_var.weight[0], network.dense_var.bias]).double())

    def tensors(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The tensors that change, float32."""
        head = self.head.float().cpu().numpy()
        return {
            "dense_var.weight": head[None, :-1].copy(),
            "dense_var.bias": head[-1:].copy(),
            "labels_std": (self.scale * tensors["labels_std"]).astype(np.float32),
        }

    def variance(self, seen: _Seen) -> Tensor:
        """The variance that inference states, shape (N,)."""
        log_variance = seen.features @ self.head[:-1] + self.head[-1]
        return self.scale**2 * (log_variance.exp() + seen.variance)

    def nll(self, seen: _Seen) -> Tensor:
        """Negative log-likelihood of each label given what inference states, shape (N,)."""
        return linear(self.scale * seen.mean, self.variance(seen).log(), seen.label, seen.e_label)


def _gain(chosen: _Chosen, parts: list[_Seen]) -> float:
    if not all(len(part.label) for part in parts):
        return 0.0
    gained = [chosen.nll(other) - _fitted(chosen, half).nll(other) for half, other in (parts, parts[::-1])]
    mean = torch.cat(gained).mean().item()
    return mean if np.isfinite(mean) else 0.0


def _fitted(chosen: _Chosen, seen: _Seen) -> _Chosen:
    for _ in range(TURNS):
        weight = 1 / (chosen.variance(seen) + seen.e_label**2)
        scale = (weight * seen.mean * seen.label).sum() / (weight * seen.mean**2).sum()
        if scale <= 0:  # labels that are all noise
            return chosen
        chosen = _with_fitted_head(_Chosen(scale.item(), chosen.head), seen)
    return chosen


@torch.enable_grad()
def _with_fitted_head(chosen: _Chosen, seen: _Seen) -> _Chosen:
    head = chosen.head.clone().requires_grad_()
    minimise(lambda: _Chosen(chosen.scale, head).nll(seen).mean(), [head], max_iter=ITERATIONS)
    return _Chosen(chosen.scale, head.detach())
