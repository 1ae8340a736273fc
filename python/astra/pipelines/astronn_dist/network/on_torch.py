"""The network in torch, with the same random bits: for a GPU, and the readable form of what is compiled."""

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN, Dropout
from astra.pipelines.astronn_dist.network.dropout import (
    DRAWS_PER_WORD,
    GAMMA,
    KEPT,
    LAYERS,
    MIX_FACTORS,
    MIX_SHIFTS,
    STRIDE,
    THRESHOLD,
    key,
)
from astra.pipelines.astronn_dist.weights.files import Weights

#: Draws of a spectrum that are computed together; always this many, for products of another size may round
#: otherwise. On a GPU, so may those of fewer spectra: to 1e-6.
DRAWS = 100

# Spectra that a GPU computes together.
_SPECTRA = 8


class TorchNetwork:
    """As :class:`~astra.pipelines.astronn_dist.network.sampling.Network`."""

    def __init__(self, network: ApogeeDistBCNN, device: str | torch.device = "cpu") -> None:
        self.network = network.to(device)
        self.labels_std = network.labels_std.item()

    @classmethod
    def from_weights(cls, weights: Weights, device: str | torch.device = "cpu") -> Self:
        """A network with these weights, on a device."""
        return cls(ApogeeDistBCNN.from_weights(weights), device)

    def draw(self, flux: np.ndarray, identities: Sequence[str], n_draws: int, seed: int) -> np.ndarray:
        """As in :class:`~astra.pipelines.astronn_dist.network.sampling.Network`."""
        together = 1 if self._device.type == "cpu" else _SPECTRA
        parts = [slice(first, first + together) for first in range(0, len(identities), together)]
        return np.concatenate([self._draw(flux[part], identities[part], n_draws, seed) for part in parts])

    @property
    def _device(self) -> torch.device:
        return self.network.labels_std.device

    def _draw(self, flux: np.ndarray, identities: Sequence[str], n_draws: int, seed: int) -> np.ndarray:
        """Predictions and log-variances of a few spectra, shape (N, 2, n_draws)."""
        draws = []
        # TF32 keeps 10 bits of a float32: a GPU that uses it disagrees with a CPU in the third digit.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            encoded = self.network.encode(torch.as_tensor(flux, dtype=torch.float32, device=self._device))
            repeated = encoded.repeat_interleave(DRAWS, dim=0) if len(encoded) > 1 else encoded
            for first in range(0, n_draws, DRAWS):
                masks = (self._factors(layer, seed, identities, first) for layer in LAYERS)
                found = torch.stack(self.network.decode(repeated, Dropout(*masks)))
                draws.append(found.unflatten(1, (len(identities), DRAWS)))
            return torch.cat(draws, dim=2)[:, :, :n_draws].transpose(0, 1).double().cpu().numpy()

    def _factors(self, layer: str, seed: int, identities: Sequence[str], first: int) -> Tensor:
        """``dropout.dropout_factors`` of ``DRAWS`` draws for some spectra, one spectrum after the other."""
        shape = LAYERS[layer]
        keys = torch.tensor([_signed(key(layer, seed, name)) for name in identities], device=self._device)
        begin = first // DRAWS_PER_WORD
        words = torch.arange(begin, begin + DRAWS // DRAWS_PER_WORD, device=self._device)
        units = torch.arange(math.prod(shape), device=self._device) * STRIDE
        numbers = units + words[:, None]
        state = _mixed(keys[:, None, None] + numbers * _signed(GAMMA))
        lanes = 16 * torch.arange(DRAWS_PER_WORD, device=self._device)
        bits = (state[:, :, None] >> lanes[:, None]) & 0xFFFF
        return (bits < THRESHOLD).flatten(0, 2).mul(float(KEPT)).unflatten(1, shape)


def _mixed(state: Tensor) -> Tensor:
    """``dropout.mixed`` on signed numbers, whose products have the same bits."""
    for shift, factor in zip(MIX_SHIFTS, MIX_FACTORS, strict=False):
        state = (state ^ _shifted(state, shift)) * _signed(factor)
    return state ^ _shifted(state, MIX_SHIFTS[-1])


def _shifted(state: Tensor, bits: int) -> Tensor:
    """A shift to the right that brings zeros, not copies of the sign."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)


def _signed(number: int) -> int:
    """The signed number with the bits of an unsigned one of 64 bits."""
    return number - 2**64 if number >= 2**63 else number
