"""The network up to its heads as a function that is fast to train on a CPU: its convolutions are compiled.

:func:`dense_features` gives what ``network.dense(network.encode(flux), dropout)`` gives, with the same
gradients. Both convolutions, ``relu``, dropout and the maximum over four pixels are one pass over the pixels
of one example, which stay in the cache. Of its output only the largest of four pixels has a gradient, so the
pass back is a quarter of the work.

Arrays of the compiled functions: B examples; kernels as in torch, ``kernel_1`` (2, 1, 8), ``kernel_2``
(4, 2, 8); the ``map`` between the convolutions (B, 2, 7522), with zeros beyond the ends; features (B, 7512),
the channel fastest.
"""

import threading
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN
from astra.pipelines.astronn_dist.network.dropout import KEPT, THRESHOLD
from astra.pipelines.astronn_dist.network.on_cpu import LEFT, N_POOLS, RIGHT
from astra.spectra.grid import N_PIXELS
from astra.system.compiled import compiled

# Of bits read as a signed number.
SIGNED_THRESHOLD = THRESHOLD - (1 << 15)

#: Length of a row of the map: the pixels and the zeros on both sides.
PADDED = LEFT + N_PIXELS + RIGHT

#: In ``largest``: the feature is 0.
NOTHING = 255

_compiled = compiled(fastmath=True)


class Bits(NamedTuple):
    """Random 16 bits for each unit that may be dropped, int16; where they are small, the unit stays."""

    conv1: np.ndarray
    """Shape (B, 2, 7514)."""

    features: np.ndarray
    """Shape (B, 7512)."""

    dense_1: np.ndarray
    """Shape (B, 192)."""


class Workspace(threading.local):
    """Memory that the steps of a training share; each thread has its own.

    Fresh memory of this size comes from the system each time, which has to clear it. A second forward pass
    before the first one's backward pass spoils the gradients of the first: in each thread, one workspace is
    for one step at a time.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, np.ndarray] = {}

    def zeros(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """The buffer of that name, with whatever is in it; zeros when it is new."""
        buffer = self._buffers.get(name)
        if buffer is None or buffer.shape != shape or buffer.dtype != dtype:
            buffer = self._buffers[name] = np.zeros(shape, dtype)
        return buffer


def dense_features(network: ApogeeDistBCNN, flux: Tensor, bits: Bits, workspace: Workspace) -> Tensor:
    """What the two heads of the network see, differentiable in the parameters of the network.

    Args:
        network: The network.
        flux: Rectified flux minus ``input_mean``, shape (B, 7514).
        bits: What is dropped.
        workspace: Memory to use.

    Returns:
        Shape (B, 64).
    """
    layers = (network.conv1, network.conv2)
    parameters = [parameter for layer in layers for parameter in (layer.weight, layer.bias)]
    features = Convolutions.apply(flux, bits, workspace, *parameters)
    dense = F.relu(network.dense_1(features))
    dense = dense * ((torch.from_numpy(bits.dense_1) < SIGNED_THRESHOLD) * float(KEPT))
    return F.relu(network.dense_2(dense))


class Convolutions(torch.autograd.Function):
    """``relu``, dropout before and after, and the maximum over four pixels: (B, 7514) -> (B, 7512)."""

    @staticmethod
    def forward(ctx: Any, flux: Tensor, bits: Bits, workspace: Workspace, *parameters: Tensor) -> Tensor:
        """The features; arguments as of :func:`dense_features`, and both kernels and biases."""
        values = flux.detach().contiguous().numpy()
        size, dtype = len(values), values.dtype
        kernels_and_biases = [parameter.detach().contiguous().numpy() for parameter in parameters]
        threshold, kept = np.int32(SIGNED_THRESHOLD), dtype.type(KEPT)
        map_ = workspace.zeros("map", (size, 2, PADDED), dtype)
        features = np.empty((size, 4 * N_POOLS), dtype)
        largest = workspace.zeros("largest", features.shape, np.uint8)
        _forward(
            values, *kernels_and_biases, bits.conv1, bits.features, threshold, kept, map_, features, largest
        )
        ctx.saved = values, kernels_and_biases, kept, map_, largest
        return torch.from_numpy(features)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients with respect to the kernels and biases; the flux needs none."""
        flux, parameters, kept, map_, largest = ctx.saved
        gradients = [np.zeros_like(parameter) for parameter in parameters]
        _backward(flux, gradient.contiguous().numpy(), parameters[2], kept, map_, largest, *gradients)
        return None, None, None, *(torch.from_numpy(values) for values in gradients)


@_compiled
def _forward(
    flux, kernel_1, bias_1, kernel_2, bias_2, bits, bits_features, threshold, kept, map_, features, largest
):
    """Fill ``map_``, ``features`` and ``largest`` (uint8 (B, 7512), which of the four pixels).

    Args:
        flux: Shape (B, 7514); 0 is the mean of the training set.
        bits, bits_features, threshold: int16 (B, 2, 7514) and (B, 7512); a unit below the threshold stays.
        kept: Factor on units that stay.
    """
    n_pixels = flux.shape[1]
    padded = np.zeros(PADDED, flux.dtype)
    rows = np.empty((4, 4 * N_POOLS), flux.dtype)
    for n in range(flux.shape[0]):
        padded[LEFT : LEFT + n_pixels] = flux[n]
        for channel in range(2):
            kernel, bias = kernel_1[channel, 0], bias_1[channel]
            _first(padded, kernel, bias, bits[n, channel], threshold, kept, map_[n, channel])
        for channel in range(4):
            _second(map_[n], kernel_2[channel], bias_2[channel], rows[channel])
        for channel in range(4):
            row = rows[channel]
            for pool in range(N_POOLS):
                v0, v1, v2, v3 = row[4 * pool], row[4 * pool + 1], row[4 * pool + 2], row[4 * pool + 3]
                left, right = max(v0, v1), max(v2, v3)
                best = max(left, right)
                # The first of equals, as in torch.
                where = (np.uint8(2) + np.uint8(v3 > v2)) if right > left else np.uint8(v1 > v0)
                unit = 4 * pool + channel
                stays = (best > 0) & (bits_features[n, unit] < threshold)
                features[n, unit] = best * kept if stays else 0.0
                largest[n, unit] = where if stays else NOTHING


@_compiled
def _first(padded, kernel, bias, bits, threshold, kept, row):
    k0, k1, k2, k3, k4, k5, k6, k7 = kernel
    for p in range(bits.shape[0]):
        value = bias + k0 * padded[p] + k1 * padded[p + 1] + k2 * padded[p + 2] + k3 * padded[p + 3]
        value = value + k4 * padded[p + 4] + k5 * padded[p + 5] + k6 * padded[p + 6] + k7 * padded[p + 7]
        row[p + LEFT] = max(value, 0.0) * kept if bits[p] < threshold else 0.0


@_compiled
def _second(map_, kernel, bias, row):
    k0, k1, k2, k3, k4, k5, k6, k7 = kernel[0]
    q0, q1, q2, q3, q4, q5, q6, q7 = kernel[1]
    a, b = map_[0], map_[1]
    for p in range(row.shape[0]):
        value = bias + k0 * a[p] + k1 * a[p + 1] + k2 * a[p + 2] + k3 * a[p + 3]
        value = value + k4 * a[p + 4] + k5 * a[p + 5] + k6 * a[p + 6] + k7 * a[p + 7]
        value = value + q0 * b[p] + q1 * b[p + 1] + q2 * b[p + 2] + q3 * b[p + 3]
        row[p] = value + q4 * b[p + 4] + q5 * b[p + 5] + q6 * b[p + 6] + q7 * b[p + 7]


@_compiled
def _backward(
    flux, gradient, kernel_2, kept, map_, largest, grad_kernel_1, grad_bias_1, grad_kernel_2, grad_bias_2
):
    """Add gradients to the last four, from ``gradient`` (B, 7512) with respect to the features."""
    n_pixels = flux.shape[1]
    padded = np.zeros(PADDED, flux.dtype)
    grad_map = np.empty((2, PADDED), flux.dtype)
    for n in range(flux.shape[0]):
        grad_map[:] = 0.0
        for unit in range(4 * N_POOLS):
            if largest[n, unit] != NOTHING:
                channel = unit & 3
                p = (unit - channel) + largest[n, unit]
                g = gradient[n, unit] * kept
                grad_bias_2[channel] += g
                for k in range(8):
                    grad_kernel_2[channel, 0, k] += g * map_[n, 0, p + k]
                    grad_kernel_2[channel, 1, k] += g * map_[n, 1, p + k]
                    grad_map[0, p + k] += g * kernel_2[channel, 0, k]
                    grad_map[1, p + k] += g * kernel_2[channel, 1, k]
        padded[LEFT : LEFT + n_pixels] = flux[n]
        for channel in range(2):
            row = grad_map[channel, LEFT : LEFT + n_pixels]
            for p in range(n_pixels):
                row[p] = row[p] * kept if map_[n, channel, p + LEFT] > 0 else 0.0
            grad_bias_1[channel] += row.sum()
            for k in range(8):
                total = flux.dtype.type(0.0)
                for p in range(n_pixels):
                    total += row[p] * padded[p + k]
                grad_kernel_1[channel, 0, k] += total
