"""The network as a function that is fast to train on a CPU: its convolutions compiled, the rest torch's.

:func:`predict` gives what ``network.decode(network.encode(flux), dropout)`` gives, with the same gradients.
"""

import threading
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from astra.modelling.training import kernels
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN
from astra.pipelines.astronn_dist.network.dropout import KEPT, THRESHOLD

# Of bits read as a signed number.
SIGNED_THRESHOLD = THRESHOLD - (1 << 15)


class Bits(NamedTuple):
    """Random 16 bits for each unit that may be dropped, int16; where they are small, the unit stays."""

    conv1: np.ndarray
    """Shape (B, 2, 7514)."""

    features: np.ndarray
    """Shape (B, 7512)."""

    dense_1: np.ndarray
    """Shape (B, 192)."""


class Workspace(threading.local):
    """Memory that one training step after the other uses again; each thread has its own.

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


def predict(
    network: ApogeeDistBCNN, flux: Tensor, bits: Bits | None = None, workspace: Workspace | None = None
) -> tuple[Tensor, Tensor]:
    """Prediction and log-variance of B examples, differentiable in the parameters of the network.

    Args:
        network: The network.
        flux: Rectified flux minus ``input_mean``, shape (B, 7514).
        bits: What is dropped; ``None`` drops nothing.
        workspace: Memory to use again.

    Returns:
        Both of shape (B,), before scaling by ``labels_std``.
    """
    return outputs(network, dense_features(network, flux, bits, workspace))


def outputs(network: ApogeeDistBCNN, dense: Tensor) -> tuple[Tensor, Tensor]:
    """What the two heads make of what they see, (B, 64): as :func:`predict` returns it."""
    output, log_variance = (head(dense).squeeze(1) for head in (network.dense_output, network.dense_var))
    return F.softplus(output), log_variance


def dense_features(
    network: ApogeeDistBCNN, flux: Tensor, bits: Bits | None = None, workspace: Workspace | None = None
) -> Tensor:
    """What the two heads of the network see, (B, 64); arguments as of :func:`predict`."""
    layers: tuple[nn.Conv1d, nn.Conv1d] = (network.conv1, network.conv2)
    parameters = [parameter for layer in layers for parameter in (layer.weight, layer.bias)]
    features = Convolutions.apply(flux, bits, workspace or Workspace(), *parameters)
    dense = F.relu(network.dense_1(features))
    if bits is not None:
        dense = dense * ((torch.from_numpy(bits.dense_1) < SIGNED_THRESHOLD) * float(KEPT))
    return F.relu(network.dense_2(dense))


class Convolutions(torch.autograd.Function):
    """``relu``, dropout before and after, and the maximum over four pixels: (B, 7514) -> (B, 7512)."""

    @staticmethod
    def forward(
        ctx: Any, flux: Tensor, bits: Bits | None, workspace: Workspace, *parameters: Tensor
    ) -> Tensor:
        """See :func:`predict`."""
        values = flux.detach().contiguous().numpy()
        size, dtype = len(values), values.dtype
        kernels_and_biases = [parameter.detach().contiguous().numpy() for parameter in parameters]
        threshold, kept = np.int32(1 << 15), dtype.type(1)
        if bits is None:
            bits = Bits(np.zeros((size, 2, flux.shape[1]), np.int16), np.zeros((size, 7512), np.int16), None)
        else:
            threshold, kept = np.int32(SIGNED_THRESHOLD), dtype.type(KEPT)
        map_ = workspace.zeros("map", (size, 2, kernels.PADDED), dtype)
        features = np.empty((size, 4 * kernels.N_POOLS), dtype)
        largest = workspace.zeros("largest", features.shape, np.uint8)
        kernels.forward(
            values, *kernels_and_biases, bits.conv1, bits.features, threshold, kept, map_, features, largest
        )
        ctx.saved = values, kernels_and_biases, kept, map_, largest
        return torch.from_numpy(features)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients with respect to the kernels and biases; the flux needs none."""
        flux, parameters, kept, map_, largest = ctx.saved
        gradients = [np.zeros_like(parameter) for parameter in parameters]
        kernels.backward(flux, gradient.contiguous().numpy(), parameters[2], kept, map_, largest, *gradients)
        return None, None, None, *(torch.from_numpy(values) for values in gradients)
