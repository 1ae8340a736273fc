"""The network on a processor: the convolutions compiled, the dense layers left to BLAS.

Dropout, the second convolution, ``relu`` and the maximum over four pixels are one pass over the pixels, of
which a few lie in the cache at a time; the draws are what the vectors of the processor hold. A unit that is 0
needs no random bits, a channel that is 0 about a pool no convolution (half of all cases for one of the two),
and what is 0 in all draws is left out of what the dense layers get.
"""

import threading
from collections.abc import Sequence

import numpy as np

from astra.pipelines.astronn_dist.network import dropout
from astra.pipelines.astronn_dist.network.dropout import DRAWS_PER_WORD, KEPT, key
from astra.pipelines.astronn_dist.weights.files import Weights
from astra.system.compiled import compiled

#: Draws that are computed together: a multiple of the vectors of a processor, little more than the usual 100.
DRAWS = 104

N_POOLS, POOL, KERNEL = 1878, 4, 8

#: Units of the first dense layer that are multiplied together.
BLOCK = 512

#: Zeros before the map and after it; one more after it than the convolution needs, to fill the last pool.
LEFT, RIGHT = 3, 5

# Pixels that a pool needs.
_WINDOW = POOL + KERNEL - 1

# Pools in the cache at a time, and the pixels that they need: with more, they leave the innermost cache.
_TILE = 4
_SPAN = POOL * _TILE + KERNEL - 1

_STEP, _STRIDE = np.uint64(dropout.GAMMA), np.uint64(dropout.STRIDE)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = map(np.uint64, dropout.MIX_SHIFTS)
_FACTOR_1, _FACTOR_2 = map(np.uint64, dropout.MIX_FACTORS)
_THRESHOLD = np.uint16(dropout.THRESHOLD)

# What may be done to the arithmetic; not to take for granted that no number is infinite.
_FAST = {"contract", "reassoc", "nsz", "arcp"}

_compiled = compiled(fastmath=_FAST)


class CpuNetwork:
    """As :class:`~astra.pipelines.astronn_dist.network.sampling.Network`; one thread at a time."""

    def __init__(self, weights: Weights) -> None:
        tensors = weights.tensors.items()
        self._tensors = {name: np.ascontiguousarray(value, np.float32) for name, value in tensors}
        self._rows = np.ascontiguousarray(self._tensors["dense_1.weight"].T)
        self._chosen = np.empty((BLOCK, self._rows.shape[1]), np.float32)
        self._product = np.empty((self._rows.shape[1], DRAWS), np.float32)
        self._units = np.empty(len(self._rows), np.int64)
        self._features = np.empty((len(self._rows), DRAWS), np.float32)
        self._alone = threading.Lock()
        self.labels_std = float(self._tensors["labels_std"].item())

    def draw(self, flux: np.ndarray, identities: Sequence[str], n_draws: int, seed: int) -> np.ndarray:
        """As in :class:`~astra.pipelines.astronn_dist.network.sampling.Network`."""
        spectra = zip(flux, identities, strict=True)
        with self._alone:
            return np.stack([self._draw(row, name, n_draws, seed) for row, name in spectra])

    def _draw(self, flux: np.ndarray, identity: str, n_draws: int, seed: int) -> np.ndarray:
        """Predictions and log-variances of one spectrum, shape (2, n_draws)."""
        map_ = self._encoded(np.asarray(flux, np.float32))
        if not np.isfinite(map_).all():
            return np.full((2, n_draws), np.nan)
        blocks = [self._decoded(map_, identity, seed, first) for first in range(0, n_draws, DRAWS)]
        return np.concatenate(blocks, axis=1)[:, :n_draws]

    def _encoded(self, flux: np.ndarray) -> np.ndarray:
        """The part before the first dropout: flux (7514,) -> map (2, 7522) with zeros at both ends."""
        tensors = self._tensors
        return encoded(flux - tensors["input_mean"], tensors["conv1.weight"], tensors["conv1.bias"])

    def _decoded(self, map_: np.ndarray, identity: str, seed: int, first: int) -> np.ndarray:
        """The part from the first dropout on, for ``DRAWS`` draws."""
        tensors = self._tensors
        keys = (np.uint64(key(layer, seed, identity)) for layer in ("conv1", "features"))
        word = np.uint64(first // DRAWS_PER_WORD)
        kernel, bias = tensors["conv2.weight"], tensors["conv2.bias"]
        count = convolved(map_, kernel, bias, *keys, word, KEPT, self._units, self._features)
        with np.errstate(over="ignore", invalid="ignore"):
            dense = _relu(self._weighted(count) + tensors["dense_1.bias"][:, None])
            drop(dense, np.uint64(key("dense_1", seed, identity)), word, KEPT)
            dense = _relu(tensors["dense_2.weight"] @ dense + tensors["dense_2.bias"][:, None])
            prediction = tensors["dense_output.weight"] @ dense + tensors["dense_output.bias"][:, None]
            log_variance = tensors["dense_var.weight"] @ dense + tensors["dense_var.bias"][:, None]
            return np.concatenate([np.logaddexp(prediction, np.float32(0)), log_variance]).astype(float)

    def _weighted(self, count: int) -> np.ndarray:
        """The product of the first dense layer with the features, (192, draws).

        A third of the units is 0 in all draws of a usual spectrum, and left out. So the weights of the
        others are copied, as many at a time as stay in the cache until they are multiplied.
        """
        found = np.zeros_like(self._product)
        for start in range(0, count, BLOCK):
            units = self._units[start : min(start + BLOCK, count)]
            rows = np.take(self._rows, units, axis=0, out=self._chosen[: len(units)], mode="clip")
            found += np.matmul(rows.T, self._features[start : start + len(units)], out=self._product)
        return found


def _relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0, out=values)


# > Compiled


@_compiled
def encoded(flux, kernel, bias):
    """The first convolution and ``relu``.

    Args:
        flux: Flux minus the mean, (7514,).
        kernel, bias: Of the convolution, (2, 1, 8) and (2,).

    Returns:
        The map, float32 of shape (2, 7522), with 3 zeros before it and 5 after it.
    """
    n_pixels = len(flux)
    padded = np.zeros(LEFT + n_pixels + RIGHT, np.float32)
    padded[LEFT : LEFT + n_pixels] = flux
    map_ = np.zeros((2, len(padded)), np.float32)
    for channel in range(2):
        k0, k1, k2, k3, k4, k5, k6, k7 = kernel[channel, 0]
        for pixel in range(n_pixels):
            left = bias[channel] + k0 * padded[pixel] + k1 * padded[pixel + 1] + k2 * padded[pixel + 2]
            middle = k3 * padded[pixel + 3] + k4 * padded[pixel + 4] + k5 * padded[pixel + 5]
            value = left + middle + k6 * padded[pixel + 6] + k7 * padded[pixel + 7]
            # Not max(): it would hide a NaN.
            map_[channel, LEFT + pixel] = np.float32(0) if value <= 0 else value
    return map_


@_compiled
def convolved(map_, kernel, bias, key_1, key_2, first, kept, units, features):
    """Compute what the first dense layer sees in each draw.

    Args:
        map_: Output of the first convolution, (2, 7522), with 3 zeros before it and 5 after it; finite.
        kernel, bias: Of the second convolution, (4, 2, 8) and (4,).
        key_1, key_2: Streams of random bits of the layers "conv1" and "features".
        first: Number of the first word of a unit, uint64.
        kept: Factor on units that stay.
        units: Filled with the numbers of the units that are not 0 in all draws, ascending; shape (7512,).
        features: Filled with these units; shape (7512, ``DRAWS``).

    Returns:
        How many these are.
    """
    rows = np.zeros((2, _SPAN, DRAWS), np.float32)
    words = np.empty(DRAWS // DRAWS_PER_WORD, np.uint64)
    bits = words.view(np.uint16)
    sums = np.empty((POOL, DRAWS), np.float32)
    count = 0
    for tile in range(0, N_POOLS, _TILE):
        known = KERNEL - 1 if tile else 0
        for channel in range(2):
            rows[channel, :known] = rows[channel, _SPAN - known :]
            for pixel in range(known, _SPAN):
                place = POOL * tile + pixel
                value = map_[channel, place] * kept if place < map_.shape[1] else np.float32(0)
                if value != 0:
                    # Units of the layer are numbered without the zeros, the channel fastest.
                    _draw_words(key_1, np.uint64(2 * (place - LEFT) + channel), first, words)
                    _drop(value, bits, rows[channel, pixel])
                else:
                    rows[channel, pixel] = 0.0
        for pool in range(min(_TILE, N_POOLS - tile)):
            pixels = slice(POOL * pool, POOL * pool + _WINDOW)
            # What comes first may be left out.
            begin = 1 if _is_zero(map_[1], POOL * (tile + pool)) else 0
            left_out = begin == 1 or _is_zero(map_[0], POOL * (tile + pool))
            for channel in range(4):
                if left_out:
                    sums[:] = bias[channel]
                else:
                    _convolve_one(kernel[channel, begin], bias[channel], rows[begin, pixels], sums)
                unit = 4 * (tile + pool) + channel
                _draw_words(key_2, np.uint64(unit), first, words)
                units[count] = unit
                count += _convolve_and_pool(
                    kernel[channel, 1 - begin], sums, rows[1 - begin, pixels], bits, kept, features[count]
                )
    return count


@_compiled
def drop(values, key, first, kept):
    """Dropout of the first dense layer, in place.

    Args:
        values: Shape (192, ``DRAWS``).
        key: Stream of random bits of the layer.
        first, kept: As of :func:`convolved`.
    """
    words = np.empty(DRAWS // DRAWS_PER_WORD, np.uint64)
    bits = words.view(np.uint16)
    for unit in range(values.shape[0]):
        _draw_words(key, np.uint64(unit), first, words)
        for draw in range(DRAWS):
            values[unit, draw] = values[unit, draw] * kept if bits[draw] < _THRESHOLD else np.float32(0)


@_compiled
def _is_zero(channel, place):
    """Whether a channel of the map is 0 in all pixels that a pool needs."""
    for value in channel[place : place + _WINDOW]:
        if value != 0:
            return False
    return True


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
def _convolve_one(kernel, bias, rows, sums):
    k0, k1, k2, k3, k4, k5, k6, k7 = kernel
    for draw in range(sums.shape[1]):
        found = _with_taps(k0, k1, k2, k3, k4, k5, k6, k7, rows, draw, (bias, bias, bias, bias))
        sums[0, draw], sums[1, draw], sums[2, draw], sums[3, draw] = found


@_compiled
def _convolve_and_pool(kernel, sums, rows, bits, kept, feature):
    """Whether the feature is more than 0 in any draw."""
    k0, k1, k2, k3, k4, k5, k6, k7 = kernel
    total = np.float32(0)
    for draw in range(sums.shape[1]):
        before = (sums[0, draw], sums[1, draw], sums[2, draw], sums[3, draw])
        s0, s1, s2, s3 = _with_taps(k0, k1, k2, k3, k4, k5, k6, k7, rows, draw, before)
        best = max(max(s0, s1), max(s2, s3))
        value = best * kept if (best > 0) & (bits[draw] < _THRESHOLD) else np.float32(0)
        feature[draw] = value
        total += value
    return total > 0


@compiled(fastmath=_FAST, inline="always")
def _with_taps(k0, k1, k2, k3, k4, k5, k6, k7, rows, draw, before):
    """The taps of one input channel, added to the sums of the four pixels of a pool in one draw.

    Written out, so that the eight coefficients and the four sums stay in registers, and each row is loaded
    once.
    """
    s0, s1, s2, s3 = before
    r0 = rows[0, draw]
    r1 = rows[1, draw]
    r2 = rows[2, draw]
    r3 = rows[3, draw]
    r4 = rows[4, draw]
    r5 = rows[5, draw]
    r6 = rows[6, draw]
    r7 = rows[7, draw]
    r8 = rows[8, draw]
    r9 = rows[9, draw]
    r10 = rows[10, draw]
    s0 = s0 + k0 * r0 + k1 * r1 + k2 * r2 + k3 * r3 + k4 * r4 + k5 * r5 + k6 * r6 + k7 * r7
    s1 = s1 + k0 * r1 + k1 * r2 + k2 * r3 + k3 * r4 + k4 * r5 + k5 * r6 + k6 * r7 + k7 * r8
    s2 = s2 + k0 * r2 + k1 * r3 + k2 * r4 + k3 * r5 + k4 * r6 + k5 * r7 + k6 * r8 + k7 * r9
    s3 = s3 + k0 * r3 + k1 * r4 + k2 * r5 + k3 * r6 + k4 * r7 + k5 * r8 + k6 * r9 + k7 * r10
    return s0, s1, s2, s3
