"""Which units a draw drops: random bits that can be computed anywhere, in any order.

They are those of SplitMix64 (Steele, Lea & Flood 2014, Fast Splittable Pseudorandom Number Generators): word
n of a stream is a mixture of ``key + n * GAMMA``, so that no word needs another. Each spectrum has a stream
for each layer, whose key comes from the seed, the identity of the spectrum and the name of the layer. Four
draws of a unit share a word, 16 bits for each: draw d of unit u has bits ``16 (d mod 4)`` and following of
word ``u * STRIDE + d // 4``.

This is the readable form; the compiled one and that of torch are tested against it. Compiled code that is
kept on disk notices a change of ``on_cpu.py``, not one of the constants here: change both.
"""

import hashlib
import math

import numpy as np

DROPOUT_RATE = 0.3

#: The layers with dropout and the shape of what is dropped.
LAYERS = {"conv1": (7514, 2), "features": (7512,), "dense_1": (192,)}

#: A unit stays where its 16 random bits are below this.
THRESHOLD = round((1 - DROPOUT_RATE) * 2**16)

#: What a unit that stays is multiplied with.
KEPT = np.float32(1 / (1 - DROPOUT_RATE))

#: Words from one unit to the next.
STRIDE = 2**32

DRAWS_PER_WORD = 4

#: The step between two words, and the shifts and factors that mix one: of the algorithm.
GAMMA = 0x9E3779B97F4A7C15
MIX_SHIFTS, MIX_FACTORS = (30, 27, 31), (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def key(layer: str, seed: int, identity: str) -> int:
    """Where the stream of a layer begins, for a spectrum and a seed of a run; of 64 bits."""
    name = f"{layer}:{seed}:{identity}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


def dropout_factors(layer: str, seed: int, identity: str, first: int, count: int) -> np.ndarray:
    """What dropout multiplies the units of a layer with: 0 or 1 / (1 - rate).

    Args:
        layer: One of ``LAYERS``.
        seed: Seed of the run.
        identity: Name of the spectrum.
        first: Number of the first draw.
        count: Number of draws.

    Returns:
        float32 of shape (count, *shape of the layer).
    """
    shape = LAYERS[layer]
    words = np.arange(first // DRAWS_PER_WORD, -(-(first + count) // DRAWS_PER_WORD), dtype=np.uint64)
    numbers = np.arange(math.prod(shape), dtype=np.uint64)[:, None] * np.uint64(STRIDE) + words
    bits = mixed(np.uint64(key(layer, seed, identity)) + numbers * np.uint64(GAMMA))
    kept = bits.astype("<u8", copy=False).view("<u2")[:, first % DRAWS_PER_WORD :][:, :count] < THRESHOLD
    return np.multiply(kept.T, KEPT, dtype=np.float32).reshape(count, *shape)


def mixed(state: np.ndarray) -> np.ndarray:
    """The words of SplitMix64 that belong to these states, uint64 of any shape."""
    for shift, factor in zip(MIX_SHIFTS, MIX_FACTORS, strict=False):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return state ^ (state >> np.uint64(MIX_SHIFTS[-1]))
