"""Monte Carlo dropout for one spectrum: as upstream draws, with torch, compiled; and the floor of arithmetic.

Upstream draws one forward pass at a time, of one spectrum, with two threads. All ways are measured in turn,
so that other work of the machine slows each of them.
"""

import functools
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from table import Table
from torch.nn import functional as F

from astra.pipelines.astronn_dist.network import on_cpu
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN, Dropout, TorchNetwork
from astra.pipelines.astronn_dist.network.dropout import DRAWS_PER_WORD, DROPOUT_RATE, KEPT, LAYERS, key
from astra.pipelines.astronn_dist.network.on_cpu import CpuNetwork
from astra.pipelines.astronn_dist.weights.files import Weights

DRAWS, ROUNDS = 100, 9
UPSTREAM_THREADS = 2

#: Operations of these draws: the second convolution, and the first dense layer.
FLOP = 386e6

SIDE = 2048


def measure(table: Table, weights: Weights, flux: np.ndarray) -> float:
    """Add the lines of sampling, for spectra of shape (N, 7514).

    Returns:
        Seconds per spectrum as upstream draws.
    """
    network = ApogeeDistBCNN.from_weights(weights)
    compiled, batched = CpuNetwork(weights), TorchNetwork(weights)
    square = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    ways: dict[str, Callable[[np.ndarray], object]] = {
        "upstream": lambda row: as_upstream(network, row),
        "torch": lambda row: batched.draw(row[None], ["spectrum"], DRAWS, 0),
        "compiled": lambda row: compiled.draw(row[None], ["spectrum"], DRAWS, 0),
        "gemm": lambda row: square @ square,
        "first": compiled._encoded,
        "masks": Masks(compiled),
        "kernel": Kernel(compiled),
    }
    seconds = in_turn(ways, flux)
    gflops = 2 * SIDE**3 / seconds["gemm"] / 1e9
    floor = FLOP / gflops / 1e9
    add = functools.partial(table.add, f"Sampling, {DRAWS} draws of one spectrum")
    upstream = f"reference as upstream runs it (one pass at a time, {UPSTREAM_THREADS} threads)"
    add(upstream, 1e3 * seconds["upstream"], "ms")
    add("reference, all draws at once (one thread)", 1e3 * seconds["torch"], "ms")
    add("compiled (one thread)", 1e3 * seconds["compiled"], "ms")
    masks = seconds["masks"] - seconds["first"]
    add("  random bits and dropout", 1e3 * masks, "ms")
    add("  convolutions and pooling", 1e3 * (seconds["kernel"] - masks), "ms")
    add("  dense layers", 1e3 * (seconds["compiled"] - seconds["kernel"]), "ms")
    add(f"float32 matrix product, {SIDE} x {SIDE}, one thread", gflops, "GFLOP/s")
    add(f"floor: {FLOP / 1e6:.0f} MFLOP at that speed", 1e3 * floor, "ms")
    add("as upstream runs it / compiled", seconds["upstream"] / seconds["compiled"], "times", ">= 12")
    add("compiled / floor", seconds["compiled"] / floor, "times", "<= 2.0")
    return seconds["upstream"]


def as_upstream(network: ApogeeDistBCNN, row: np.ndarray) -> list[torch.Tensor]:
    """``DRAWS`` forward passes of one spectrum, one after the other."""
    torch.set_num_threads(UPSTREAM_THREADS)
    found = []
    with torch.inference_mode():
        flux = torch.from_numpy(row[None])
        for _ in range(DRAWS):
            masks = (F.dropout(torch.ones(1, *shape), DROPOUT_RATE) for shape in LAYERS.values())
            found.append(torch.cat(network.decode(network.encode(flux), Dropout(*masks))))
    torch.set_num_threads(1)
    return found


class Kernel:
    """The compiled part alone, with the first convolution."""

    def __init__(self, network: CpuNetwork) -> None:
        self.network = network
        self.keys = [np.uint64(key(layer, 0, "spectrum")) for layer in ("conv1", "features")]

    def __call__(self, row: np.ndarray) -> int:
        network, tensors = self.network, self.network._tensors
        parameters = tensors["conv2.weight"], tensors["conv2.bias"]
        map_ = network._encoded(row)
        return on_cpu.convolved(
            map_, *parameters, *self.keys, np.uint64(0), KEPT, network._units, network._features
        )


class Masks(Kernel):
    """The random bits of the kernel, and the dropout of the first layer; with the first convolution."""

    def __call__(self, row: np.ndarray) -> None:
        drop_alone(self.network._encoded(row), *self.keys)


@on_cpu._compiled
def drop_alone(map_, key_1, key_2):
    """As ``on_cpu.convolved``, without the convolution."""
    words = np.empty(on_cpu.DRAWS // DRAWS_PER_WORD, np.uint64)
    bits, row = words.view(np.uint16), np.empty(on_cpu.DRAWS, np.float32)
    left = np.uint64(0)
    for unit, value in enumerate(map_.flat):
        if value != 0:
            on_cpu._draw_words(key_1, np.uint64(unit), np.uint64(0), words)
            on_cpu._drop(value, bits, row)
            left ^= _together(row.view(np.uint64))
    for unit in range(4 * on_cpu.N_POOLS):
        on_cpu._draw_words(key_2, np.uint64(unit), np.uint64(0), words)
        left ^= _together(words)
    return left


@on_cpu._compiled
def _together(words):
    """All words in one: the compiler leaves out what nothing reads."""
    found = np.uint64(0)
    for word in words:
        found ^= word
    return found


def in_turn(ways: dict[str, Callable[[np.ndarray], object]], flux: np.ndarray) -> dict[str, float]:
    """Median wall seconds of each way, over rounds in which every one has its turn."""
    torch.set_num_threads(1)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(flux[0])
    for number in range(ROUNDS):
        for name, way in ways.items():
            started = time.perf_counter()
            way(flux[number % len(flux)])
            spent[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in spent.items()}
