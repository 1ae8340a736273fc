"""The network on a processor: the convolutions compiled, the dense layers left to BLAS."""

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from astra.pipelines.astronn_dist import kernels
from astra.pipelines.astronn_dist.dropout import DRAWS_PER_WORD, KEPT, dropout_factors, key
from astra.pipelines.astronn_dist.weights import Weights


class CpuNetwork:
    """As :class:`~astra.pipelines.astronn_dist.sampling.Network`; not for two threads at once."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        """
        Args:
            tensors: Arrays as in ``weights.SHAPES``.
        """
        self._tensors = {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}
        self._rows = np.ascontiguousarray(self._tensors["dense_1.weight"].T)
        self._chosen = np.empty_like(self._rows)
        self._units = np.empty(len(self._rows), np.int64)
        self._features = np.empty((len(self._rows), kernels.DRAWS), np.float32)
        self.labels_std = float(self._tensors["labels_std"].item())

    @classmethod
    def from_weights(cls, weights: Weights) -> Self:
        """A network with these weights."""
        return cls(weights.tensors)

    def draw(self, flux: np.ndarray, identities: Sequence[str], n_draws: int, seed: int) -> np.ndarray:
        """As in :class:`~astra.pipelines.astronn_dist.sampling.Network`."""
        spectra = zip(flux, identities, strict=True)
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
        # A third of the units is 0 in all draws of a usual spectrum, and of no use in the product.
        rows = np.take(self._rows, self._units[:count], axis=0, out=self._chosen[:count], mode="clip")
        with np.errstate(over="ignore", invalid="ignore"):
            dense = _relu(rows.T @ self._features[:count] + tensors["dense_1.bias"][:, None])
            dense *= dropout_factors("dense_1", seed, identity, first, kernels.DRAWS).T
            dense = _relu(tensors["dense_2.weight"] @ dense + tensors["dense_2.bias"][:, None])
            prediction = tensors["dense_output.weight"] @ dense + tensors["dense_output.bias"][:, None]
            log_variance = tensors["dense_var.weight"] @ dense + tensors["dense_var.bias"][:, None]
            return np.concatenate([np.logaddexp(prediction, np.float32(0)), log_variance]).astype(float)


def _relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0, out=values)
