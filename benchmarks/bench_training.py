"""How fast a network is trained, next to a plain step in torch, and where the time goes.

    python benchmarks/bench_training.py [--steps 30] [--device cpu]

The steps of both alternate, so that other work of the machine slows both. The table has the median of each;
on a machine that others use too, compare the processor times.
"""

import argparse
import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from astra.modelling.training.batches import TRAINING
from astra.modelling.training.examples import Examples
from astra.modelling.training.loop import train
from astra.modelling.training.losses import logarithmic
from astra.modelling.training.network import PART_SIZE, Forward, compute_threads
from astra.modelling.training.request import TrainingOptions
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN, Dropout
from astra.pipelines.astronn_dist.network.dropout import DROPOUT_RATE, LAYERS
from astra.spectra.grid import N_PIXELS

BATCH = 128


def made_up(n: int) -> Examples:
    """Examples that still lack noise and masks, as simulated ones do."""
    generator = np.random.default_rng(0)
    return Examples(
        flux=(0.1 * generator.standard_normal((n, N_PIXELS), dtype=np.float32)).astype(np.float16),
        fakemag=np.exp(generator.uniform(1, 8, n)).astype(np.float32),
        e_fakemag=np.zeros(n, np.float32),
        star=np.arange(n),
        kind=np.full(n, ""),
        snr=np.full(n, 100, np.float32),
        noise=np.full(n, 0.01, np.float32),
        masks=np.packbits(generator.random((500, N_PIXELS)) < 0.24, axis=1),
    )


def plain_step(device: str) -> Callable[[], None]:
    """A training step of torch's own operations, without noise and masks."""
    network = ApogeeDistBCNN().to(device)
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    flux, label = 0.1 * torch.randn(BATCH, N_PIXELS, device=device), torch.rand(BATCH, device=device)
    kept = 1 - DROPOUT_RATE

    def step() -> None:
        optimiser.zero_grad()
        factors = (torch.empty(BATCH, *shape, device=device).bernoulli_(kept) for shape in LAYERS.values())
        outputs = network.decode(network.encode(flux), Dropout(*(factor / kept for factor in factors)))
        logarithmic(*outputs, label).mean().backward()
        optimiser.step()

    return step


class Clock:
    """Wall and processor time of each call, in ms per example."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def time(self, function: Callable[[], object], count: int) -> None:
        """Call the function once, and note the time for each of its ``count`` examples."""
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.wall.append((time.perf_counter() - wall) / count * 1e3)
        self.cpu.append((time.process_time() - cpu) / count * 1e3)

    def __str__(self) -> str:
        return f"{statistics.median(self.wall):8.3f} {statistics.median(self.cpu):8.3f}"


def compare(examples: Examples, steps: int, device: str) -> None:
    """Take a plain step and ten of ours in turn."""
    plain, ours = Clock(), Clock()
    step = plain_step(device)
    marks: list[tuple[float, float]] = []

    def alternate(done: int, total: int) -> None:
        now = time.perf_counter(), time.process_time()
        if marks and done % 10:
            ours.wall.append((now[0] - marks[-1][0]) / BATCH * 1e3)
            ours.cpu.append((now[1] - marks[-1][1]) / BATCH * 1e3)
        if done % 10 == 0:
            torch.set_num_threads(threads)
            plain.time(step, BATCH)
            torch.set_num_threads(1)
        marks.append((time.perf_counter(), time.process_time()))

    threads = torch.get_num_threads()
    options = TrainingOptions(epochs=1, batch_size=BATCH)
    with tempfile.TemporaryDirectory() as folder:
        every = np.arange(10 * steps * BATCH) % len(examples)
        many = examples.take(every) if len(every) > len(examples) else examples
        validation = examples.take(np.arange(PART_SIZE))
        train(many, validation, options, Path(folder), device=device, progress=alternate)
    print(f"{'plain step in torch':32s} {plain}")
    print(f"{'step of astra train, all of it':32s} {ours}")
    print(
        f"{'ratio':32s} {statistics.median(plain.wall) / statistics.median(ours.wall):8.1f} "
        f"{statistics.median(plain.cpu) / statistics.median(ours.cpu):8.1f}"
    )


def parts(examples: Examples, steps: int, device: str) -> None:
    """The parts of a step, one after the other in one thread."""
    forward, network = Forward(device), ApogeeDistBCNN().to(device)
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    batches = forward.batches(examples, PART_SIZE, 0)
    parameters = list(network.parameters())
    clocks = {name: Clock() for name in ("noise, masks, random bits", "factors of dropout", "forward")}
    clocks |= {name: Clock() for name in ("forward and gradients", "clip, Adam, average")}
    average = [parameter.detach().clone() for parameter in parameters]

    def gradients() -> None:
        prediction, log_variance = forward(network, batch)
        loss = logarithmic(prediction, log_variance, torch.ones_like(prediction)).sum()
        for parameter, value in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = value

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        with torch.no_grad():
            for value, parameter in zip(average, parameters, strict=True):
                value.lerp_(parameter, 0.001)

    indices = np.arange(PART_SIZE)
    with compute_threads():
        for number in range(steps):
            batch = batches.make(indices, TRAINING, number)
            preparing, dropping, passing, learning, updating = clocks.values()
            preparing.time(functools.partial(batches.make, indices, TRAINING, number), PART_SIZE)
            dropping.time(functools.partial(forward.dropout, batch), PART_SIZE)
            passing.time(functools.partial(forward, network, batch), PART_SIZE)
            learning.time(gradients, PART_SIZE)
            updating.time(update, BATCH)
    for name, clock in clocks.items():
        print(f"  {name:30s} {clock}")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=30, help="plain steps, and measurements of each part")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    examples = made_up(3000)
    print(f"{'ms per example':32s} {'wall':>8s} {'CPU':>8s}")
    compare(examples, options.steps, options.device)
    print("in one thread:")
    parts(examples, options.steps, options.device)


if __name__ == "__main__":
    main()
