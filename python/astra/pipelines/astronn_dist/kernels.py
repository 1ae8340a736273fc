"""The convolutional part of the network for many draws of one spectrum, compiled.

Dropout, the second convolution, ``relu`` and the maximum over four pixels are one pass over the pixels, of
which a few lie in the cache at a time; the draws are what the vectors of the processor hold. A unit that is 0
needs no random bits.
"""

import numba
import numpy as np

from astra.pipelines.astronn_dist.dropout import (
    DRAWS_PER_WORD,
    GAMMA,
    MIX_FACTORS,
    MIX_SHIFTS,
    STRIDE,
    THRESHOLD,
)

#: Draws that are computed together: whole vectors of a processor, and not many more than the usual 100.
DRAWS = 104

N_POOLS, POOL, KERNEL = 1878, 4, 8

# Pools in the cache at a time, and the pixels that they need.
_TILE = 8
_SPAN = POOL * _TILE + KERNEL - 1

_STEP, _STRIDE = np.uint64(GAMMA), np.uint64(STRIDE)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = map(np.uint64, MIX_SHIFTS)
_FACTOR_1, _FACTOR_2 = map(np.uint64, MIX_FACTORS)
_THRESHOLD = np.uint16(THRESHOLD)

# What may be done to the arithmetic; not to take for granted that no number is infinite.
_FAST = {"contract", "reassoc", "nsz", "arcp"}

_compiled = numba.njit(nogil=True, cache=True, fastmath=_FAST)


@_compiled
def convolved(map_, kernel, bias, key_1, key_2, first, kept, features):
    """Fill ``features``: what the first dense layer sees in each draw.

    Args:
        map_: Output of the first convolution, (2, 7522), with 3 zeros before it and 5 after it; finite.
        kernel, bias: Of the second convolution, (4, 2, 8) and (4,).
        key_1, key_2: Streams of random bits of the layers "conv1" and "features".
        first: Number of the first word of a unit, uint64.
        kept: Factor on units that stay.
        features: Shape (7512, ``DRAWS``), the channel fastest.
    """
    rows = np.zeros((2, _SPAN, DRAWS), np.float32)
    words = np.empty(DRAWS // DRAWS_PER_WORD, np.uint64)
    bits = words.view(np.uint16)
    values = np.empty((4, POOL, DRAWS), np.float32)
    for tile in range(0, N_POOLS, _TILE):
        known = KERNEL - 1 if tile else 0
        for channel in range(2):
            rows[channel, :known] = rows[channel, _SPAN - known :]
            for pixel in range(known, _SPAN):
                place = POOL * tile + pixel
                value = map_[channel, place] * kept if place < map_.shape[1] else np.float32(0)
                if value != 0:
                    # Units of the layer are numbered without the 3 zeros, the channel fastest.
                    _draw_words(key_1, np.uint64(2 * (place - 3) + channel), first, words)
                    _drop(value, bits, rows[channel, pixel])
                else:
                    rows[channel, pixel] = 0.0
        for pool in range(min(_TILE, N_POOLS - tile)):
            for channel in range(4):
                for pixel in range(POOL):
                    place = POOL * pool + pixel
                    _convolve(kernel[channel], bias[channel], rows, place, values[channel, pixel])
                unit = 4 * (tile + pool) + channel
                _draw_words(key_2, np.uint64(unit), first, words)
                _pool(values[channel], bits, kept, features[unit])


@_compiled
def _draw_words(key, unit, first, words):
    start = key + (unit * _STRIDE + first) * _STEP
    for number in range(words.shape[0]):
        word = start + np.uint64(number) * _STEP
        word = (word ^ (word >> _SHIFT_1)) * _FACTOR_1
        word = (word ^ (word >> _SHIFT_2)) * _FACTOR_2
        words[number] = word ^ (word >> _SHIFT_3)


@_compiled
def _drop(value, bits, row):
    for draw in range(row.shape[0]):
        row[draw] = value if bits[draw] < _THRESHOLD else np.float32(0)


@_compiled
def _convolve(kernel, bias, rows, pixel, values):
    k0, k1, k2, k3, k4, k5, k6, k7 = kernel[0]
    q0, q1, q2, q3, q4, q5, q6, q7 = kernel[1]
    a, b = rows[0, pixel : pixel + KERNEL], rows[1, pixel : pixel + KERNEL]
    for draw in range(values.shape[0]):
        values[draw] = (
            bias
            + k0 * a[0, draw]
            + k1 * a[1, draw]
            + k2 * a[2, draw]
            + k3 * a[3, draw]
            + k4 * a[4, draw]
            + k5 * a[5, draw]
            + k6 * a[6, draw]
            + k7 * a[7, draw]
            + q0 * b[0, draw]
            + q1 * b[1, draw]
            + q2 * b[2, draw]
            + q3 * b[3, draw]
            + q4 * b[4, draw]
            + q5 * b[5, draw]
            + q6 * b[6, draw]
            + q7 * b[7, draw]
        )


@_compiled
def _pool(values, bits, kept, feature):
    for draw in range(feature.shape[0]):
        best = max(max(values[0, draw], values[1, draw]), max(values[2, draw], values[3, draw]))
        feature[draw] = best * kept if (best > 0) & (bits[draw] < _THRESHOLD) else np.float32(0)
