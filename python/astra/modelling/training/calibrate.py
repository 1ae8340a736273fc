"""The last stage of a training on simulated stars: another fit of the heads, and the range of validity.

Inference adds the variance of the draws to the one that the network predicts. But the network learnt this
one with dropout, so that it holds the noise of dropout already: counted twice, it makes the errors too large.
Here only the 130 numbers of the two heads are fitted, on what they see in many draws of each example, to
exactly what :func:`~astra.pipelines.astronn_dist.network.sampling.summarise` says: by a likelihood that
allows for wider wings than those of a normal distribution, and then the variance so that one standard
deviation holds 68 % of the stars, and three hold nearly all. The two may learn from different stars: a
prediction is the more robust the stranger the stars that it was fitted to, but errors fitted to these would
be too large for all others.

The range of validity tells spectra unlike those of the training: it is the main directions in which these
vary, and how much a spectrum may scatter beyond them.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from astra.errors import ConfigError
from astra.modelling.training.batches import CALIBRATION, Batches, new_generator, random_bits
from astra.modelling.training.examples import Examples
from astra.modelling.training.losses import THREE_SIGMA, quantile, robust
from astra.modelling.training.network import PART_SIZE, Forward, compute_threads, network_of
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN
from astra.pipelines.astronn_dist.weights.calibration import seen_snr
from astra.pipelines.astronn_dist.weights.validity import Validity, beyond, scatter_and_noise

#: Draws of each example. ``astra run`` takes more, whose mean scatters less, by 0.3 % of the errors.
N_DRAWS = 30

ITERATIONS = 300

# Weight of the condition on three standard deviations, relative to that on one.
WINGS = 0.5

# Keeps the fit from going ever further in a direction of which the examples say nothing.
STIFFNESS = 1e-5

#: The tensors that are fitted.
HEADS = ("dense_output.weight", "dense_var.weight", "dense_output.bias", "dense_var.bias")

#: Directions of variation: this number separates real spectra in and out of the range best.
COMPONENTS = 24

#: Spectra that the directions are found from.
LARGEST_SAMPLE = 12_000

#: Doubt begins at this percentile of the excess scatter of stars like those of the training.
TRUSTED_PERCENTILE = 99.0

#: Where nothing is known any more, in units of where doubt begins.
UNKNOWN = 1.5

#: By how much noise may exceed the stated errors, at most; and what is tried.
UNDERSTATED = np.arange(1.0, 2.001, 0.02)

#: Below the first signal-to-noise ratio its noise decides the scatter of a spectrum, above the second what
#: kind of a spectrum it is.
NOISY, CLEAR = 60.0, 100.0


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
        examples: What the predictions are fitted to; each needs 7.7 kB of memory with 30 draws.
        errors: What the errors are fitted to.
        n_draws: Draws of each, at least 2.
        seed: Decides noise, masks and dropout.
        device: Where to compute.

    Returns:
        The tensors, float32, with other heads.

    Raises:
        ConfigError: The examples cannot be used, or the fit diverged.
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
    """The input of the heads in each draw, float32 (N, draws, 64) on the device of the network."""
    forward = Forward(network.labels_std.device)
    batches = Batches(examples, PART_SIZE, seed)
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
    """Heads of which the chosen ones make the mean of the objective least; weakly held where they started."""
    heads = [head.detach().to(features).clone() for head in heads]
    free = heads[chosen]
    start = [head.clone() for head in free]
    for head in free:
        head.requires_grad_()

    def value() -> Tensor:
        moved = sum(((head - before) ** 2).sum() for head, before in zip(free, start, strict=True))
        return objective(*summarised(features, heads)).mean() + STIFFNESS * moved

    minimise(value, free, max_iter=ITERATIONS, history_size=30)
    for head in free:
        head.requires_grad_(False)
    if not all(torch.isfinite(head).all() for head in heads):
        raise ConfigError("calibration diverged; the network is of no use: train it with other options")
    return heads


def minimise(value: Callable[[], Tensor], parameters: list[Tensor], **options: int) -> None:
    """Change the parameters in place such that the value is least; options are those of ``LBFGS``."""
    optimiser = torch.optim.LBFGS(parameters, line_search_fn="strong_wolfe", **options)

    def evaluate() -> Tensor:
        optimiser.zero_grad()
        found = value()
        found.backward()
        return found

    optimiser.step(evaluate)


def summarised(features: Tensor, heads: list[Tensor]) -> tuple[Tensor, Tensor]:
    """``sampling.summarise``, differentiable: mean prediction and logarithm of the total variance, (M,)."""
    weights, biases = torch.cat(heads[:2]), torch.cat(heads[2:])
    output, log_variance = F.linear(features, weights, biases).unbind(2)
    draws = F.softplus(output)
    total = torch.exp(log_variance.mean(dim=1)) + draws.var(dim=1, correction=1)
    return draws.mean(dim=1), total.log()


# > The range of validity


def fit_validity(examples: Examples, flux: np.ndarray, e_flux: np.ndarray) -> Validity:
    """The main directions of variation of spectra before noise and masks, and where doubt begins.

    Doubt begins at the excess scatter that ``TRUSTED_PERCENTILE`` per cent of the ``CLEAR`` ones of these
    spectra do not exceed. From there on the relative error that is added rises to 1, at ``UNKNOWN`` times
    that: of spectra that no star of the training resembles, the luminosity is unknown.

    A spectrum is not doubted for its noise, though this may be larger than its errors say: these are
    multiplied with the least number with which no more of the ``NOISY`` spectra are doubted than of the clear
    ones.

    Args:
        examples: The training examples.
        flux, e_flux: Spectra that the network has not seen, rectified, and their errors, shape (N, 7514).
    """
    sample = examples.flux[:LARGEST_SAMPLE].astype(np.float32)
    mean = sample.mean(axis=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, _, vectors = torch.svd_lowrank(torch.from_numpy(sample - mean), q=2 * COMPONENTS, niter=4)
    mean = mean.astype(np.float16)
    components = vectors[:, :COMPONENTS].T.contiguous().numpy().astype(np.float16)
    understated, begins = begin_of_doubt(
        *scatter_and_noise(flux, e_flux, mean, components), seen_snr(flux, e_flux)
    )
    return Validity(mean, components, np.array([begins, UNKNOWN * begins]), np.array([0.0, 1.0]), understated)


def begin_of_doubt(scatter: np.ndarray, noise: np.ndarray, snr: np.ndarray) -> tuple[float, float]:
    """What stated errors are to be multiplied with, and the excess at which doubt begins.

    Args:
        scatter, noise: As of ``validity.scatter_and_noise``, shape (N,).
        snr: Signal-to-noise ratios as the errors state them, shape (N,); if none is clear, all count as such.
    """
    noisy, clear = snr < NOISY, snr >= CLEAR
    clear = clear if clear.any() else np.ones(len(snr), bool)
    for understated in UNDERSTATED:
        excess = beyond(scatter, noise, understated)
        begins = float(np.percentile(excess[clear], TRUSTED_PERCENTILE))
        if not noisy.any() or np.mean(excess[noisy] > begins) <= 1 - TRUSTED_PERCENTILE / 100:
            break
    return float(round(understated, 2)), begins
