"""The network in torch: for training, for a GPU, and as the readable form of what is compiled.

The architecture and the names of the layers are those of the published model (Leung & Bovy 2019, MNRAS
489, 2079; ``ApogeeBCNN`` of astroNN), so that its weights fit.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from astra.pipelines.astronn_dist.network import dropout as random_bits
from astra.pipelines.astronn_dist.weights.files import Weights
from astra.spectra.grid import N_PIXELS

#: Draws of a spectrum that are computed together; always this many, for products of another size may round
#: otherwise. On a GPU, so may those of fewer spectra: to 1e-6.
DRAWS = 100

# Spectra that a GPU computes together.
_SPECTRA = 8

KERNEL = 8
POOL = 4

# "same" padding of an even kernel as in Keras: the extra zero is on the right.
PADDING = (3, 4)


class Dropout(NamedTuple):
    """Factors at the three places of dropout: 0, or 1 / (1 - rate); the default drops nothing."""

    conv1: Tensor | float = 1.0
    """After the first convolution, shape (draws, 7514, 2)."""

    features: Tensor | float = 1.0
    """Before ``dense_1``, on the flattened map, shape (draws, 7512)."""

    dense_1: Tensor | float = 1.0
    """After ``dense_1``, shape (draws, 192)."""


NO_DROPOUT = Dropout()


class ApogeeDistBCNN(nn.Module):
    """Bayesian convolutional network for the Ks pseudo-luminosity ("fakemag") of a star.

    Two convolutions (1 -> 2 -> 4 channels, 8 pixels), a maximum over 4 pixels, two dense layers (7512 ->
    192 -> 64), and two heads: the prediction (softplus) and the logarithm of its variance. The input is
    flux minus ``input_mean``; both outputs are in units of ``labels_std``, which is kept here but not
    applied.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("input_mean", torch.zeros(N_PIXELS))
        self.register_buffer("labels_std", torch.ones(1))
        self.conv1 = nn.Conv1d(1, 2, KERNEL)
        self.conv2 = nn.Conv1d(2, 4, KERNEL)
        self.dense_1 = nn.Linear(N_PIXELS // POOL * 4, 192)
        self.dense_2 = nn.Linear(192, 64)
        self.dense_output = nn.Linear(64, 1)
        self.dense_var = nn.Linear(64, 1)

    @classmethod
    def from_weights(cls, weights: Weights) -> "ApogeeDistBCNN":
        """A network with these weights; leaves torch's random numbers alone."""
        with torch.device("meta"):
            network = cls()
        tensors = {name: torch.tensor(value) for name, value in weights.tensors.items()}
        network.load_state_dict(tensors, assign=True)
        return network.eval()

    def forward(self, flux: Tensor) -> tuple[Tensor, Tensor]:
        """Predict without dropout.

        Args:
            flux: Rectified flux, shape (N, 7514).

        Returns:
            Prediction and log-variance, each of shape (N,), before scaling by ``labels_std``.
        """
        return self.decode(self.encode(flux))

    def encode(self, flux: Tensor) -> Tensor:
        """The part before the first dropout: flux (N, 7514) -> map of shape (N, 7514, 2)."""
        flux = (flux - self.input_mean).unsqueeze(1)
        return F.relu(self.conv1(F.pad(flux, PADDING))).transpose(1, 2).contiguous()

    def decode(self, encoded: Tensor, dropout: Dropout = NO_DROPOUT) -> tuple[Tensor, Tensor]:
        """The part from the first dropout on.

        Args:
            encoded: Map of shape (N, 7514, 2); N is 1 for many draws of one spectrum.
            dropout: Factors to multiply with.

        Returns:
            Prediction and log-variance, each of shape (N,) or (draws,), before scaling by ``labels_std``.
        """
        dense = self.dense(encoded, dropout)
        return F.softplus(self.dense_output(dense)).squeeze(1), self.dense_var(dense).squeeze(1)

    def dense(self, encoded: Tensor, dropout: Dropout = NO_DROPOUT) -> Tensor:
        """What the two heads see, shape (N, 64) or (draws, 64); arguments as of :meth:`decode`."""
        features = F.relu(self._convolve_and_pool(encoded * dropout.conv1)).flatten(1)
        dense = F.relu(self.dense_1(features * dropout.features))
        return F.relu(self.dense_2(dense * dropout.dense_1))

    def _convolve_and_pool(self, encoded: Tensor) -> Tensor:
        """``max_pool1d(conv2(…), 4)`` with the channel fastest, (N, 7514, 2) -> (N, 1878, 4).

        The four pixels of a pool become channels of one convolution that moves on by four pixels. Its
        kernel is a pixel longer, so that the padding is the same on both sides. All this, and a
        two-dimensional convolution because only that has a fast way for the channel fastest, takes a
        quarter of the time of the two operations.
        """
        left, right = PADDING
        shifted = [
            F.pad(self.conv2.weight, (right - left + shift, POOL - 1 - shift)) for shift in range(POOL)
        ]
        image, kernel = encoded.transpose(1, 2).unsqueeze(2), torch.cat(shifted).unsqueeze(2)
        convolved = F.conv2d(
            image, kernel, self.conv2.bias.repeat(POOL), stride=(1, POOL), padding=(0, right)
        )
        pools = convolved.squeeze(2).transpose(1, 2).unflatten(2, (POOL, -1))
        # Of a dimension this short, amax() takes five times as long.
        pairs = torch.maximum(pools[:, :, :2], pools[:, :, 2:])
        return torch.maximum(pairs[:, :, 0], pairs[:, :, 1])


class TorchNetwork:
    """As :class:`~astra.pipelines.astronn_dist.network.sampling.Network`."""

    def __init__(self, weights: Weights, device: str | torch.device = "cpu") -> None:
        self.network = ApogeeDistBCNN.from_weights(weights).to(device)
        self.labels_std = self.network.labels_std.item()
        self._device = self.network.labels_std.device

    def draw(self, flux: np.ndarray, identities: Sequence[str], n_draws: int, seed: int) -> np.ndarray:
        """As in :class:`~astra.pipelines.astronn_dist.network.sampling.Network`."""
        together = 1 if self._device.type == "cpu" else _SPECTRA
        parts = [slice(first, first + together) for first in range(0, len(identities), together)]
        return np.concatenate([self._draw(flux[part], identities[part], n_draws, seed) for part in parts])

    def _draw(self, flux: np.ndarray, identities: Sequence[str], n_draws: int, seed: int) -> np.ndarray:
        """Predictions and log-variances of a few spectra, shape (N, 2, n_draws)."""
        draws = []
        # TF32 keeps 10 bits of a float32: a GPU that uses it disagrees with a CPU in the third digit.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            encoded = self.network.encode(torch.as_tensor(flux, dtype=torch.float32, device=self._device))
            repeated = encoded.repeat_interleave(DRAWS, dim=0) if len(encoded) > 1 else encoded
            for first in range(0, n_draws, DRAWS):
                masks = (self._factors(layer, seed, identities, first) for layer in random_bits.LAYERS)
                found = torch.stack(self.network.decode(repeated, Dropout(*masks)))
                draws.append(found.unflatten(1, (len(identities), DRAWS)))
            return torch.cat(draws, dim=2)[:, :, :n_draws].transpose(0, 1).double().cpu().numpy()

    def _factors(self, layer: str, seed: int, identities: Sequence[str], first: int) -> Tensor:
        """``dropout_factors`` of ``DRAWS`` draws for some spectra, one spectrum after the other."""
        shape = random_bits.LAYERS[layer]
        keys = [_signed(random_bits.key(layer, seed, name)) for name in identities]
        keys = torch.tensor(keys, device=self._device)
        begin = first // random_bits.DRAWS_PER_WORD
        words = torch.arange(begin, begin + DRAWS // random_bits.DRAWS_PER_WORD, device=self._device)
        units = torch.arange(math.prod(shape), device=self._device) * random_bits.STRIDE
        numbers = units + words[:, None]
        state = _mixed(keys[:, None, None] + numbers * _signed(random_bits.GAMMA))
        lanes = 16 * torch.arange(random_bits.DRAWS_PER_WORD, device=self._device)
        bits = (state[:, :, None] >> lanes[:, None]) & 0xFFFF
        return (bits < random_bits.THRESHOLD).flatten(0, 2).mul(float(random_bits.KEPT)).unflatten(1, shape)


def _mixed(state: Tensor) -> Tensor:
    """``mixed`` on signed numbers, whose products have the same bits."""
    for shift, factor in zip(random_bits.MIX_SHIFTS, random_bits.MIX_FACTORS, strict=False):
        state = (state ^ _shifted(state, shift)) * _signed(factor)
    return state ^ _shifted(state, random_bits.MIX_SHIFTS[-1])


def _shifted(state: Tensor, bits: int) -> Tensor:
    """A shift to the right that brings zeros, not copies of the sign."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)


def _signed(number: int) -> int:
    """The signed number with the bits of an unsigned one of 64 bits."""
    return number - 2**64 if number >= 2**63 else number
