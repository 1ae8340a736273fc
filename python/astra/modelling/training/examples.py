"""What a network learns from: spectra with labels, and how a batch of them is made.

An example may still lack its noise and its masked pixels. It gets them anew each time that it is used, so
that the network sees each star under other conditions in each epoch.
"""

import hashlib
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch

from astra.errors import ConfigError
from astra.spectra.grid import N_PIXELS

# Numbers of the pool of noise; where in it an example starts is drawn.
NOISE_POOL = 1 << 21

# Bytes of a pattern of masked pixels.
PACKED = -(-N_PIXELS // 8)

# What the noise cannot reach: there is no negative flux.
LEAST = np.float32(-1)


@dataclass(frozen=True, eq=False)
class Examples:
    """N spectra with the pseudo-luminosities of their stars."""

    flux: np.ndarray
    """float16 (N, 7514), an array or a memory-mapped file: rectified flux minus 1, 0 where masked already."""

    fakemag: np.ndarray
    """float32 (N,): label [mas]; one from a parallax may be negative."""

    e_fakemag: np.ndarray
    """float32 (N,): error of the label [mas], 0 for simulated stars."""

    star: np.ndarray
    """int64 (N,): spectra of one star share it."""

    kind: np.ndarray
    """str (N,): a name for stars of one kind, "" where unknown."""

    snr: np.ndarray
    """float32 (N,): signal-to-noise ratio per pixel."""

    noise: np.ndarray
    """float32 (N,): sigma of the white noise that is still to be added, relative to the continuum."""

    masks: np.ndarray | None = None
    """uint8 (M, 940): patterns of masked pixels (1, as ``numpy.packbits`` packs 7514 of them), of which each
    example gets one each time it is used; ``None`` if spectra carry their masks already."""

    def __len__(self) -> int:
        return len(self.fakemag)

    def take(self, indices: np.ndarray) -> Self:
        """These examples alone, copied into memory."""
        per_example = {field.name: getattr(self, field.name)[indices] for field in fields(self)[:-1]}
        return type(self)(**per_example, masks=self.masks)

    def check(self, name: str) -> None:
        """Refuse what cannot be learnt from.

        Args:
            name: What these examples are, for the message.

        Raises:
            ConfigError: There are none, or an array is of another shape, or a label is not finite.
        """
        if not len(self):
            raise ConfigError(f"{name} examples: there are none; simulate or select more stars")
        if self.flux.shape != (len(self), N_PIXELS):
            raise ConfigError(f"{name} examples: flux has shape {self.flux.shape}, not {len(self), N_PIXELS}")
        for field in fields(self)[1:-1]:
            if (shape := getattr(self, field.name).shape) != (len(self),):
                raise ConfigError(f"{name} examples: {field.name} has shape {shape}, not {(len(self),)}")
        if self.masks is not None and (not len(self.masks) or self.masks.shape[1:] != (PACKED,)):
            raise ConfigError(f"{name} examples: masks have shape {self.masks.shape}, not (M, {PACKED})")
        for field in ("fakemag", "e_fakemag", "noise"):
            bad = np.count_nonzero(~np.isfinite(getattr(self, field)))
            if bad:
                raise ConfigError(f"{name} examples: {bad} of {field} are not finite; leave these stars out")

    def digest(self) -> str:
        """A name for these examples: sha256 of all labels, the masks, and some of the spectra."""
        digest = hashlib.sha256(repr(self.flux.shape).encode())
        some = np.unique(np.linspace(0, len(self) - 1, min(len(self), 256)).astype(int))
        arrays = [self.flux[some], self.fakemag, self.e_fakemag, self.noise]
        for array in arrays if self.masks is None else [*arrays, self.masks]:
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()


class Augmenter:
    """Makes batches of examples, with noise and masks that a generator decides."""

    def __init__(self, examples: Examples, generator: np.random.Generator) -> None:
        """
        Args:
            examples: The examples.
            generator: Where the pool of noise comes from.
        """
        self._examples = examples
        self._pool = None
        if examples.noise.any():
            pool = generator.standard_normal(NOISE_POOL + N_PIXELS, dtype=np.float32)
            self._pool = np.lib.stride_tricks.sliding_window_view(pool, N_PIXELS)

    def flux(self, indices: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Spectra as the network sees them, float32 (B, 7514): rectified flux minus 1.

        Args:
            indices: Which examples, shape (B,).
            generator: Where noise and masks come from.
        """
        examples = self._examples
        # torch converts ten times as fast.
        flux = torch.from_numpy(examples.flux[indices]).float().numpy()
        if self._pool is not None:
            starts = generator.integers(len(self._pool), size=len(indices))
            noise = self._pool[starts]
            noise *= examples.noise[indices, None]
            flux += noise
            np.maximum(flux, LEAST, out=flux)
        if examples.masks is not None:
            rows = examples.masks[generator.integers(len(examples.masks), size=len(indices))]
            flux *= np.unpackbits(~rows, axis=1, count=N_PIXELS)
        return flux
