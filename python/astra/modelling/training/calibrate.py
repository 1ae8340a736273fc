"""The last stage of a training: the two heads once more, for what inference makes of them.

Inference adds the variance of the draws to the one that the network predicts. But this one was learnt with
dropout, and so holds the noise of dropout already: counted twice, it makes the errors too large. Here only
the 130 numbers of the two heads are fitted, on what they see in many draws of each example, to exactly what
:func:`~astra.pipelines.astronn_dist.network.sampling.summarise` says: by a likelihood that allows for wider
wings than those of a normal distribution, and then the variance so that one standard deviation holds 68 % of
the stars, and three hold nearly all. The two may learn from different stars: a prediction is the more robust
the stranger the stars that it was fitted to, but errors fitted to these would be too large for all others.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from astra.errors import ConfigError
from astra.modelling.training.batches import CALIBRATION, new_generator, random_bits
from astra.modelling.training.examples import Examples
from astra.modelling.training.forward import PART_SIZE, Forward, compute_threads, network_of
from astra.modelling.training.losses import THREE_SIGMA, quantile, robust
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN

#: Of each example. ``astra run`` makes more, whose mean scatters less: by 0.3 % of the errors.
N_DRAWS = 30

ITERATIONS = 300

# Weight of the condition on three standard deviations, relative to that on one.
WINGS = 0.5

# Where the examples say nothing of a direction, it is not to be followed for ever.
STIFFNESS = 1e-5

#: The tensors that are fitted.
HEADS = ("dense_output.weight", "dense_var.weight", "dense_output.bias", "dense_var.bias")


def calibrate(
    tensors: Mapping[str, np.ndarray],
    examples: Examples,
    errors: Examples,
    *,
    n_draws: int = N_DRAWS,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> dict[str, np.ndarray]:
    """Fit the two heads to simulated examples that the network did not learn from.

    Args:
        tensors: Arrays as in ``weights.SHAPES``.
        examples: What the predictions are fitted to; 7.7 kB of memory are needed for each with 30 draws.
        errors: What the errors are fitted to.
        n_draws: Draws of each, at least 2.
        seed: Decides noise, masks and dropout.
        device: Where to compute.

    Returns:
        The tensors, float32, with other heads.

    Raises:
        ConfigError: The examples are of no use, or the fit diverged.
    """
    for each in (examples, errors):
        each.check("calibration")
    network = network_of({name: torch.tensor(value) for name, value in tensors.items()}, device)
    state = network.state_dict()
    heads = [state[name] for name in HEADS]

    def seen(stars: Examples) -> tuple[Tensor, Tensor]:
        features = draw_features(network, stars, threads, n_draws=n_draws, seed=seed)
        return features, torch.from_numpy(stars.fakemag).to(features) / network.labels_std

    with compute_threads() as threads:
        heads = fit_prediction(*seen(examples), heads=heads)
        heads = fit_errors(*seen(errors), heads=heads)
    state.update(zip(HEADS, heads, strict=True))
    return {name: value.float().cpu().numpy().copy() for name, value in state.items()}


def draw_features(
    network: ApogeeDistBCNN, examples: Examples, threads: Executor, *, n_draws: int, seed: int
) -> Tensor:
    """What the heads see in each draw, float32 (N, draws, 64) on the device of the network."""
    forward = Forward(network.labels_std.device)
    batches = forward.batches(examples, PART_SIZE, seed, with_bits=False)
    features = torch.empty(len(examples), n_draws, 64, device=forward.device)

    def fill(start: int) -> None:
        indices = np.arange(start, min(start + PART_SIZE, len(examples)))
        batch = batches.make(indices, CALIBRATION, 0, start)
        generator = new_generator(seed, CALIBRATION, 0, start, 1)
        with torch.no_grad():
            for draw in range(n_draws):
                bits = random_bits(len(indices), generator) if forward.device.type == "cpu" else None
                drawn = batch._replace(bits=bits, seed=batch.seed + draw)
                features[start : start + PART_SIZE, draw] = forward.dense_features(network, drawn)

    list(threads.map(fill, range(0, len(examples), PART_SIZE)))
    return features


def fit_prediction(features: Tensor, label: Tensor, *, heads: list[Tensor]) -> list[Tensor]:
    """The heads that make all labels most likely.

    Args:
        features: What the heads see, shape (M, draws, 64).
        label: y, shape (M,), in units of ``labels_std``.
        heads: Where to start: both weights (1, 64), both biases (1,), that of the prediction first.

    Returns:
        As ``heads``.

    Raises:
        ConfigError: The fit diverged.
    """
    return _minimise(heads, slice(None), features, lambda p, s: robust(p, s, label))


def fit_errors(features: Tensor, label: Tensor, *, heads: list[Tensor]) -> list[Tensor]:
    """Another variance head, whose standard deviations hold the right shares of the stars.

    Args:
        features, label, heads: As of :func:`fit_prediction`.

    Returns:
        As ``heads``; the predictions are the same.

    Raises:
        ConfigError: The fit diverged.
    """

    def objective(p: Tensor, s: Tensor) -> Tensor:
        return quantile(p, s, label) + WINGS * quantile(p, s, label, *THREE_SIGMA)

    return _minimise(heads, slice(1, None, 2), features, objective)


def _minimise(
    heads: list[Tensor], chosen: slice, features: Tensor, objective: Callable[[Tensor, Tensor], Tensor]
) -> list[Tensor]:
    """Other heads, the chosen ones such that the mean of the objective is least, and they stay near."""
    heads = [head.detach().to(features).clone() for head in heads]
    free = heads[chosen]
    start = [head.clone() for head in free]
    for head in free:
        head.requires_grad_()
    optimiser = torch.optim.LBFGS(free, max_iter=ITERATIONS, history_size=30, line_search_fn="strong_wolfe")

    def evaluate() -> Tensor:
        optimiser.zero_grad()
        moved = sum(((head - before) ** 2).sum() for head, before in zip(free, start, strict=True))
        value = objective(*summarised(features, heads)).mean() + STIFFNESS * moved
        value.backward()
        return value

    optimiser.step(evaluate)
    for head in free:
        head.requires_grad_(False)
    if not all(torch.isfinite(head).all() for head in heads):
        raise ConfigError("calibration diverged; the network is of no use: train it with other options")
    return heads


def summarised(features: Tensor, heads: list[Tensor]) -> tuple[Tensor, Tensor]:
    """``sampling.summarise``, differentiable: mean prediction and logarithm of the total variance, (M,)."""
    weights, biases = torch.cat(heads[:2]), torch.cat(heads[2:])
    output, log_variance = F.linear(features, weights, biases).unbind(2)
    draws = F.softplus(output)
    total = torch.exp(log_variance.mean(dim=1)) + draws.var(dim=1, correction=1)
    return draws.mean(dim=1), total.log()
