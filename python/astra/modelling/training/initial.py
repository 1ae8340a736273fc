"""The network before the first step: scales from the examples, weights at random."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from astra.modelling.training.batches import MEAN, Batches
from astra.modelling.training.examples import Examples
from astra.modelling.training.forward import network_of
from astra.modelling.training.options import TrainingOptions
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN
from astra.pipelines.astronn_dist.weights.files import SHAPES
from astra.spectra.grid import N_PIXELS

# The mean spectrum of so many examples is known ten times better than one pixel's noise.
EXAMPLES_OF_MEAN = 20_000

# Percentiles between which labels count for their scale: a star beyond is a rare one, or its parallax bad.
CLIP = (1, 99)


def initial_network(
    examples: Examples, options: TrainingOptions, seed: int, state: dict[str, Tensor] | None = None
) -> ApogeeDistBCNN:
    """The network to start from.

    Args:
        examples: Those of the training: their mean spectrum and the scale of their labels are kept with the
            weights.
        options: Options of the training.
        seed: Decides the weights.
        state: Tensors by name, to go on from; then the rest is of no matter.
    """
    network = network_of(state or {name: torch.zeros(shape) for name, shape in SHAPES.items()}, "cpu")
    if state is None:
        _initialise(network, examples, options, seed)
    return network.train()


@torch.no_grad()
def _initialise(network: ApogeeDistBCNN, examples: Examples, options: TrainingOptions, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for module in network.children():
        is_head = module in (network.dense_output, network.dense_var)
        # He et al. 2015 for the layers before a relu; the heads start near their biases.
        gain = 0.1 if is_head else math.sqrt(2)
        nn.init.normal_(module.weight, std=gain / math.sqrt(module.weight[0].numel()), generator=generator)
        nn.init.zeros_(module.bias)
    network.input_mean.copy_(torch.from_numpy(mean_spectrum(examples, seed)))
    scale = np.clip(examples.fakemag, *np.percentile(examples.fakemag, CLIP)).std() or 1.0
    network.labels_std.fill_(float(scale))
    value, variance = _typical(examples.fakemag / scale, options.loss == "logarithmic")
    # The inverse of softplus.
    network.dense_output.bias.fill_(value + math.log(-math.expm1(-value)))
    network.dense_var.bias.fill_(math.log(variance))


def _typical(labels: np.ndarray, logarithmic: bool) -> tuple[float, float]:
    """A positive value and a variance that suit all labels."""
    if logarithmic:
        logs = np.log(labels)
        value = math.exp(logs.mean())
        return value, value**2 * max(logs.var(), 1e-6)
    clipped = np.clip(labels, *np.percentile(labels, CLIP))
    return max(float(np.median(labels)), 1e-3), max(float(clipped.var()), 1e-6)


def mean_spectrum(examples: Examples, seed: int) -> np.ndarray:
    """The mean of rectified flux as the network sees it, noise and masks included; float32 (7514,)."""
    batches = Batches(examples, 1, seed, part_size=1, with_bits=False)
    some = np.sort(np.random.default_rng(seed).permutation(len(examples))[:EXAMPLES_OF_MEAN])
    total = np.zeros(N_PIXELS)
    for number, indices in enumerate(np.array_split(some, -(-len(some) // 512))):
        total += batches.make(indices, MEAN, number).flux.sum(axis=0, dtype=np.float64)
    return (1 + total / len(some)).astype(np.float32)
