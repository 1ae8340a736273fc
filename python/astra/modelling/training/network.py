"""The network in training: its weights before the first step, and the fast pass of a batch on each device."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from astra.modelling.training.batches import MEAN, Batch, Batches
from astra.modelling.training.convolution import Workspace, dense_features
from astra.modelling.training.examples import Examples
from astra.modelling.training.request import Loss
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN, Dropout
from astra.pipelines.astronn_dist.network.dropout import KEPT, LAYERS
from astra.pipelines.astronn_dist.weights.files import SHAPES
from astra.spectra.grid import N_PIXELS

# Examples that one thread computes at a time.
PART_SIZE = 64

# More would have nothing to do in the usual batch.
MOST_THREADS = 2

# The mean spectrum of so many examples is known ten times better than one pixel's noise.
EXAMPLES_OF_MEAN = 20_000

# Percentiles between which labels count for their scale: a star beyond is a rare one, or its parallax bad.
CLIP = (1, 99)


@contextlib.contextmanager
def torch_threads(number: int) -> Iterator[int]:
    """Let torch compute in so many threads; yields the number from before, which is restored at the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def compute_threads() -> Iterator[Executor]:
    """Threads that compute one part each: as many as torch may use, but two at most."""
    with torch_threads(1) as before, ThreadPoolExecutor(min(MOST_THREADS, before)) as threads:
        yield threads


def network_of(state: Mapping[str, Tensor], device: str | torch.device) -> ApogeeDistBCNN:
    """A network of these tensors, on a device; leaves torch's random numbers alone."""
    with torch.device("meta"):
        network = ApogeeDistBCNN()
    network.load_state_dict({name: value.to(device) for name, value in state.items()}, assign=True)
    return network


# > Before the first step


@torch.no_grad()
def initial_network(examples: Examples, loss: Loss, seed: int) -> ApogeeDistBCNN:
    """A network with random weights.

    Args:
        examples: Those of the training: their mean spectrum and the scale of their labels are kept with the
            weights.
        loss: The loss of the training, which decides what prediction suits all labels at the start.
        seed: Decides the weights.
    """
    network = network_of({name: torch.zeros(shape) for name, shape in SHAPES.items()}, "cpu")
    generator = torch.Generator().manual_seed(seed)
    for module in network.children():
        is_head = module in (network.dense_output, network.dense_var)
        # He et al. 2015 (arXiv:1502.01852, equation 10) before a relu; the heads start near their biases.
        gain = 0.1 if is_head else math.sqrt(2)
        nn.init.normal_(module.weight, std=gain / math.sqrt(module.weight[0].numel()), generator=generator)
    network.input_mean.copy_(torch.from_numpy(mean_spectrum(examples, seed)))
    scale = np.clip(examples.fakemag, *np.percentile(examples.fakemag, CLIP)).std() or 1.0
    network.labels_std.fill_(float(scale))
    value, variance = _typical(examples.fakemag / scale, loss)
    # The inverse of softplus.
    network.dense_output.bias.fill_(value + math.log(-math.expm1(-value)))
    network.dense_var.bias.fill_(math.log(variance))
    return network


def _typical(labels: np.ndarray, loss: Loss) -> tuple[float, float]:
    """A positive value and a variance that suit all labels."""
    if loss == "logarithmic":
        logs = np.log(labels)
        value = math.exp(logs.mean())
        return value, value**2 * max(logs.var(), 1e-6)
    clipped = np.clip(labels, *np.percentile(labels, CLIP))
    return max(float(np.median(labels)), 1e-3), max(float(clipped.var()), 1e-6)


def mean_spectrum(examples: Examples, seed: int) -> np.ndarray:
    """The mean of rectified flux as the network sees it, noise and masks included; float32 (7514,)."""
    batches = Batches(examples, 1, seed)
    some = np.sort(np.random.default_rng(seed).permutation(len(examples))[:EXAMPLES_OF_MEAN])
    total = np.zeros(N_PIXELS)
    for number, indices in enumerate(np.array_split(some, -(-len(some) // 512))):
        total += batches.make(indices, MEAN, number).flux.sum(axis=0, dtype=np.float64)
    return (1 + total / len(some)).astype(np.float32)


# > One pass


class Forward:
    """Predictions for batches, differentiable; in each thread for one pass and its gradients at a time."""

    def __init__(self, device: str | torch.device) -> None:
        self.device = torch.device(device)
        self._workspace = Workspace()

    def batches(self, examples: Examples, batch_size: int, seed: int) -> Batches:
        """Batches of examples, in parts as this device needs them."""
        on_cpu = self.device.type == "cpu"
        part_size = PART_SIZE if on_cpu else None
        return Batches(examples, batch_size, seed, part_size=part_size, with_bits=on_cpu)

    def __call__(self, network: ApogeeDistBCNN, batch: Batch) -> tuple[Tensor, Tensor]:
        """Prediction and log-variance with dropout, shape (B,) each, in units of ``labels_std``."""
        dense = self.dense_features(network, batch)
        output, log_variance = (head(dense).squeeze(1) for head in (network.dense_output, network.dense_var))
        return F.softplus(output), log_variance

    def dense_features(self, network: ApogeeDistBCNN, batch: Batch) -> Tensor:
        """What the two heads see, with dropout, shape (B, 64)."""
        flux = torch.from_numpy(batch.flux).to(self.device)
        if self.device.type == "cpu":
            flux = flux - (network.input_mean - 1)
            return dense_features(network, flux, batch.bits, self._workspace)
        return network.dense(network.encode(flux + 1), self.dropout(batch))

    def dropout(self, batch: Batch) -> Dropout:
        """Factors that the device draws: 0 or 1 / (1 - rate)."""
        generator = torch.Generator(self.device).manual_seed(batch.seed)
        kept, size = float(KEPT), len(batch.fakemag)
        factors = (torch.empty(size, *shape, device=self.device) for shape in LAYERS.values())
        return Dropout(*(factor.bernoulli_(1 / kept, generator=generator).mul_(kept) for factor in factors))
