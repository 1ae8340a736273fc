"""The pass of a batch through the network in training: dropout, and the fastest way on each device."""

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor

import torch
from torch import Tensor

from astra.modelling.training import convolution
from astra.modelling.training.batches import Batch, Batches
from astra.modelling.training.examples import Examples
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN, Dropout
from astra.pipelines.astronn_dist.network.dropout import KEPT, LAYERS

# Examples that a thread of its own computes at a time.
PART_SIZE = 64

# More would have nothing to do in the usual batch.
MOST_THREADS = 2


@contextlib.contextmanager
def torch_threads(number: int) -> Iterator[int]:
    """Let torch compute in so many threads; yields how many there were, and are again afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def compute_threads() -> Iterator[Executor]:
    """Threads that compute a part each: as many as torch may use, but two at most."""
    with torch_threads(1) as before, ThreadPoolExecutor(min(MOST_THREADS, before)) as threads:
        yield threads


def network_of(state: Mapping[str, Tensor], device: str | torch.device) -> ApogeeDistBCNN:
    """A network of these tensors, on a device; leaves torch's random numbers alone."""
    with torch.device("meta"):
        network = ApogeeDistBCNN()
    network.load_state_dict({name: value.to(device) for name, value in state.items()}, assign=True)
    return network


class Forward:
    """Predictions for batches, differentiable; in each thread for one pass and its gradients at a time."""

    def __init__(self, device: str | torch.device) -> None:
        self.device = torch.device(device)
        self._workspace = convolution.Workspace()

    def batches(
        self, examples: Examples, batch_size: int, seed: int, *, with_bits: bool | None = None
    ) -> Batches:
        """Batches of examples, in parts as this device needs them."""
        on_cpu = self.device.type == "cpu"
        return Batches(
            examples,
            batch_size,
            seed,
            part_size=PART_SIZE if on_cpu else batch_size,
            with_bits=on_cpu if with_bits is None else with_bits,
        )

    def __call__(self, network: ApogeeDistBCNN, batch: Batch) -> tuple[Tensor, Tensor]:
        """Prediction and log-variance with dropout, shape (B,) each, in units of ``labels_std``."""
        return convolution.outputs(network, self.dense_features(network, batch))

    def dense_features(self, network: ApogeeDistBCNN, batch: Batch) -> Tensor:
        """What the two heads see, with dropout, shape (B, 64)."""
        flux = torch.from_numpy(batch.flux).to(self.device)
        if self.device.type == "cpu":
            flux = flux - (network.input_mean - 1)
            return convolution.dense_features(network, flux, batch.bits, self._workspace)
        return network.dense(network.encode(flux + 1), self.dropout(batch))

    def dropout(self, batch: Batch) -> Dropout:
        """Factors that the device draws: 0 or 1 / (1 - rate)."""
        generator = torch.Generator(self.device).manual_seed(batch.seed)
        kept, size = float(KEPT), len(batch.fakemag)
        factors = (torch.empty(size, *shape, device=self.device) for shape in LAYERS.values())
        return Dropout(*(factor.bernoulli_(1 / kept, generator=generator).mul_(kept) for factor in factors))
