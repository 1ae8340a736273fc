"""The batches of an epoch, in an order and with random numbers that the seed and the epoch decide alone.

The next batches are made in threads of their own while the network learns from the last one.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from astra.modelling.training.convolution import Bits
from astra.modelling.training.examples import Augmenter, Examples
from astra.pipelines.astronn_dist.network.dropout import LAYERS
from astra.spectra.grid import N_PIXELS

# What random numbers are for; a part of their seed.
ORDER, POOL, TRAINING, VALIDATION, MEAN, CALIBRATION = range(1, 7)

# Batches made ahead.
AHEAD = 2


class Batch(NamedTuple):
    """B examples."""

    flux: np.ndarray
    """float32 (B, 7514): rectified flux minus 1."""

    fakemag: np.ndarray
    """float32 (B,) [mas]."""

    e_fakemag: np.ndarray
    """float32 (B,) [mas]."""

    bits: Bits | None
    """What is dropped; or, where the device draws its own numbers, nothing."""

    seed: int
    """For random numbers of the device."""


class Batches:
    """The batches of all epochs, each in parts that are computed on their own."""

    def __init__(
        self, examples: Examples, batch_size: int, seed: int, *, part_size: int, with_bits: bool
    ) -> None:
        """
        Args:
            examples: The examples.
            batch_size: Examples per batch; what is left over at the end of an epoch is left out.
            seed: Decides all.
            part_size: Examples per part of a batch; decides which random numbers an example gets, too.
            with_bits: Whether batches need :attr:`Batch.bits`.
        """
        self.size = min(batch_size, len(examples))
        self._part_size = part_size
        self._examples = examples
        self._seed = seed
        self._with_bits = with_bits
        self._augmenter = Augmenter(examples, new_generator(seed, POOL))

    def __len__(self) -> int:
        """Batches per epoch."""
        return len(self._examples) // self.size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[Batch]]:
        """The parts of each batch of an epoch, from number ``start`` on; the order differs between epochs."""
        order = new_generator(self._seed, ORDER, epoch).permutation(len(self._examples))
        waiting: deque[list[Future[Batch]]] = deque()
        with ThreadPoolExecutor(AHEAD) as threads:
            for number in range(start, len(self) + AHEAD):
                if number < len(self):
                    batch = order[number * self.size : (number + 1) * self.size]
                    parts = enumerate(np.split(batch, range(self._part_size, self.size, self._part_size)))
                    keys = ((part, TRAINING, epoch, number, i) for i, part in parts)
                    waiting.append([threads.submit(self.make, *key) for key in keys])
                if number >= start + AHEAD and waiting:
                    yield [part.result() for part in waiting.popleft()]

    def make(self, indices: np.ndarray, *key: int) -> Batch:
        """A batch of these examples, with random numbers that the seed and the key decide."""
        generator = new_generator(self._seed, *key)
        flux = self._augmenter.flux(indices, generator)
        bits = random_bits(len(indices), generator) if self._with_bits else None
        labels = (np.asarray(getattr(self._examples, name)[indices]) for name in ("fakemag", "e_fakemag"))
        return Batch(flux, *labels, bits, int(generator.integers(1 << 63)))


def new_generator(*key: int) -> np.random.Generator:
    """A generator that these numbers decide."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))


def random_bits(size: int, generator: np.random.Generator) -> Bits:
    """For so many examples."""
    shapes = ((2, N_PIXELS), LAYERS["features"], LAYERS["dense_1"])
    return Bits(*(_bits((size, *shape), generator) for shape in shapes))


def _bits(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    count = int(np.prod(shape))
    raw = generator.integers(1 << 64, size=-(-count // 4), dtype=np.uint64)
    return raw.astype("<u8", copy=False).view("<i2")[:count].reshape(shape)
