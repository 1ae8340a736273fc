"""The batches of an epoch, in an order and with random numbers that the seed and the epoch decide alone.

An example may still lack its noise and its masked pixels. It gets new ones each time that it is used, so
that the network sees each star under other conditions in each epoch. Threads prepare the next batches while
the network learns from the last one.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from astra.modelling.simulator.masks import COVERED
from astra.modelling.simulator.noise import draw_profiles, draw_understatement, stretches
from astra.modelling.training.convolution import Bits
from astra.modelling.training.examples import Examples
from astra.pipelines.astronn_dist.network.dropout import LAYERS
from astra.spectra.grid import CHIPS, N_PIXELS

# What random numbers are for; a part of their seed.
ORDER, POOL, TRAINING, VALIDATION, MEAN, CALIBRATION = range(1, 7)

# Batches prepared ahead.
AHEAD = 2

# Places in the pool of noise of each detector, of which each example draws one; and how many different errors
# along the pixels there are. More would not fit into the caches of processors.
NOISE_POOL, SIZES = 1 << 18, 64

# Of rectified flux minus 1. Noise makes no flux negative; and where a fitted continuum passes through zero,
# rectified flux has no bound: one such pixel would spoil all weights.
LEAST, LARGEST = np.float32(-1), np.float32(10)


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


@dataclass(eq=False)
class Batches:
    """The batches of all epochs, each in parts that are computed one by one."""

    examples: Examples
    batch_size: int
    """Examples per batch, at most all; what is left over at the end of an epoch is left out."""

    seed: int
    """Decides all random numbers."""

    part_size: int | None = None
    """Examples per part of a batch, ``None``: all; the random numbers of an example depend on it."""

    with_bits: bool = False
    """Whether batches need :attr:`Batch.bits`."""

    def __post_init__(self) -> None:
        self.batch_size = min(self.batch_size, len(self.examples))
        self.part_size = self.part_size or self.batch_size
        self._noise = FreshNoise(self.seed) if self.examples.noise.any() else None

    def __len__(self) -> int:
        """Batches per epoch."""
        return len(self.examples) // self.batch_size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[Batch]]:
        """The parts of each batch of an epoch, from number ``start`` on; the order differs between epochs."""
        order = new_generator(self.seed, ORDER, epoch).permutation(len(self.examples))
        waiting: deque[list[Future[Batch]]] = deque()
        with ThreadPoolExecutor(AHEAD) as threads:
            for number in range(start, len(self) + AHEAD):
                if number < len(self):
                    batch = order[number * self.batch_size : (number + 1) * self.batch_size]
                    parts = enumerate(np.split(batch, range(self.part_size, self.batch_size, self.part_size)))
                    keys = ((part, TRAINING, epoch, number, i) for i, part in parts)
                    waiting.append([threads.submit(self.make, *key) for key in keys])
                if number >= start + AHEAD and waiting:
                    yield [part.result() for part in waiting.popleft()]

    def make(self, indices: np.ndarray, *key: int) -> Batch:
        """A batch of these examples, with random numbers that the seed and the key decide."""
        generator = new_generator(self.seed, *key)
        flux = self.flux(indices, generator)
        bits = random_bits(len(indices), generator) if self.with_bits else None
        labels = (np.asarray(getattr(self.examples, name)[indices]) for name in ("fakemag", "e_fakemag"))
        return Batch(flux, *labels, bits, int(generator.integers(1 << 63)))

    def flux(self, indices: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Spectra as the network sees them, float32 (B, 7514): rectified flux minus 1.

        Args:
            indices: Which examples, shape (B,).
            generator: Where the noise and the masks come from.
        """
        examples = self.examples
        # torch converts float16 ten times as fast as numpy.
        flux = torch.from_numpy(examples.flux[indices]).float().numpy()
        least = -LARGEST
        if self._noise is not None:
            flux += self._noise.draw(examples.noise[indices], generator)
            least = LEAST
        np.clip(flux, least, LARGEST, out=flux)
        if examples.masks is not None:
            rows = examples.masks[generator.integers(len(examples.masks), size=len(indices))]
            flux *= np.unpackbits(~rows, axis=1, count=N_PIXELS)
        return flux


class FreshNoise:
    """Noise as :func:`~astra.modelling.simulator.observe.observe` adds it, drawn fast: from a pool.

    Args:
        seed: Decides the pool.
    """

    def __init__(self, seed: int) -> None:
        generator = new_generator(seed, POOL)
        self._sizes = draw_profiles(SIZES, generator)[:, COVERED]
        understatement = draw_understatement(SIZES, generator)
        self._pools = []
        for number, chip in enumerate(CHIPS):
            self._sizes[:, chip] *= understatement[:, number, None]
            width = chip.stop - chip.start
            pool = stretches(number, 1, NOISE_POOL + width - 1, generator)[0]
            self._pools.append(np.lib.stride_tricks.sliding_window_view(pool, width))

    def draw(self, scale: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Noise of spectra whose errors have this scale, (B,) -> float32 (B, 7514)."""
        noise = self._sizes[generator.integers(SIZES, size=len(scale))]
        noise *= scale[:, None]
        for chip, pool in zip(CHIPS, self._pools, strict=True):
            noise[:, chip] *= pool[generator.integers(NOISE_POOL, size=len(scale))]
        return noise


def new_generator(*key: int) -> np.random.Generator:
    """A generator that these numbers decide."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))


def random_bits(size: int, generator: np.random.Generator) -> Bits:
    """What is dropped of so many examples."""
    shapes = ((2, N_PIXELS), LAYERS["features"], LAYERS["dense_1"])
    return Bits(*(_bits((size, *shape), generator) for shape in shapes))


def _bits(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    count = int(np.prod(shape))
    raw = generator.integers(1 << 64, size=-(-count // 4), dtype=np.uint64)
    return raw.astype("<u8", copy=False).view("<i2")[:count].reshape(shape)
