"""The network on a processor: the convolutions compiled, the dense layers left to BLAS."""

import threading
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from astra.pipelines.astronn_dist.network import kernels
from astra.pipelines.astronn_dist.network.dropout import DRAWS_PER_WORD, KEPT, key
from astra.pipelines.astronn_dist.weights.files import Weights

#: Units that are multiplied together.
BLOCK = 512


class CpuNetwork:
    """As :class:`~astra.pipelines.astronn_dist.network.sampling.Network`; one thread at a time."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        """
        Args:
            tensors: Arrays as in ``weights.SHAPES``.
        """
        self._tensors = {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}
        self._rows = np.ascontiguousarray(self._tensors["dense_1.weight"].T)
        self._chosen = np.empty((BLOCK, self._rows.shape[1]), np.float32)
        self._product = np.empty((self._rows.shape[1], kernels.DRAWS), np.float32)
        self._units = np.empty(len(self._rows), np.int64)
        self._features = np.empty((len(self._rows), kernels.DRAWS), np.float32)
        self._alone = threading.Lock()
        self.labels_std = float(self._tensors["labels_std"].item())

    @classmethod
    def from_weights(cls, weights: Weights) -> Self:
        """A network with these weights."""
        return cls(weights.tensors)

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
        firsts = range(0, n_draws, kernels.DRAWS)
        blocks = [self._decoded(map_, identity, seed, first) for first in firsts]
        return np.concatenate(blocks, axis=1)[:, :n_draws]

    def _encoded(self, flux: np.ndarray) -> np.ndarray:
        """The part before the first dropout: flux (7514,) -> map (2, 7522) with zeros at both ends."""
        tensors = self._tensors
        return kernels.encoded(flux - tensors["input_mean"], tensors["conv1.weight"], tensors["conv1.bias"])

    def _decoded(self, map_: np.ndarray, identity: str, seed: int, first: int) -> np.ndarray:
        """The part from the first dropout on, for ``kernels.DRAWS`` draws."""
        tensors = self._tensors
        keys = (np.uint64(key(layer, seed, identity)) for layer in ("conv1", "features"))
        word = np.uint64(first // DRAWS_PER_WORD)
        kernel, bias = tensors["conv2.weight"], tensors["conv2.bias"]
        count = kernels.convolved(map_, kernel, bias, *keys, word, KEPT, self._units, self._features)
        with np.errstate(over="ignore", invalid="ignore"):
            dense = _relu(self._weighted(count) + tensors["dense_1.bias"][:, None])
            kernels.drop(dense, np.uint64(key("dense_1", seed, identity)), word, KEPT)
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
