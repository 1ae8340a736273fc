"""What a network learns from: spectra with labels, and how they are split into parts by star.

The part of a star follows from the seed and from the star alone. So no star is in two parts, and neither the
order of the examples nor stars that are added later move any other star to another part.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np

from astra.errors import ConfigError, UsageError
from astra.pipelines.astronn_dist.network.dropout import mixed
from astra.spectra.grid import N_PIXELS

#: Called with what is done and the total; if it raises, the work stops.
Progress = Callable[[int, int], None]

# Bytes of a pattern of masked pixels.
PACKED = -(-N_PIXELS // 8)


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
    """float32 (N,): scale of the noise that is still to be added, the error that a spectrum states relative
    to the continuum."""

    # The last field, as it is the only one without a row for each example: see take() and check().
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
        for field in fields(self)[:-1]:
            expected = (len(self), N_PIXELS) if field.name == "flux" else (len(self),)
            if (shape := getattr(self, field.name).shape) != expected:
                raise ConfigError(f"{name} examples: {field.name} has shape {shape}, not {expected}")
        if self.masks is not None and (not len(self.masks) or self.masks.shape[1:] != (PACKED,)):
            raise ConfigError(f"{name} examples: masks have shape {self.masks.shape}, not (M, {PACKED})")
        for field in ("fakemag", "e_fakemag", "noise"):
            if bad := np.count_nonzero(~np.isfinite(getattr(self, field))):
                raise ConfigError(f"{name} examples: {bad} of {field} are not finite; leave these stars out")

    def digest(self) -> str:
        """A name for these examples: sha256 of all labels, the masks, and some of the spectra."""
        digest = hashlib.sha256(repr(self.flux.shape).encode())
        some = np.unique(np.linspace(0, len(self) - 1, min(len(self), 256)).astype(int))
        arrays = [self.flux[some], self.fakemag, self.e_fakemag, self.noise]
        for array in arrays if self.masks is None else [*arrays, self.masks]:
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()


class Split(NamedTuple):
    """Indices of the examples of each part, ascending, int64."""

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(examples: Examples, seed: int, fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> Split:
    """Split examples by star.

    Args:
        examples: The examples; only ``star`` counts.
        seed: Another seed gives another split.
        fractions: Expected shares of the stars in training, validation and test; their sum is 1. The
            shares that come out scatter about these, as each star is drawn on its own.

    Raises:
        UsageError: The fractions are negative, or their sum is not 1.
    """
    if len(fractions) != len(Split._fields) or min(fractions) < 0 or not math.isclose(sum(fractions), 1):
        raise UsageError(f"fractions of the split {fractions}: give three numbers >= 0 whose sum is 1")
    edges = np.cumsum(fractions)[:-1]
    part = np.searchsorted(edges, _uniform(examples.star, seed), side="right")
    return Split(*(np.flatnonzero(part == number) for number in range(len(Split._fields))))


def _uniform(star: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for each star: a word of SplitMix64 from the star and the seed."""
    digest = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    state = np.asarray(star).astype(np.int64).view(np.uint64) ^ np.frombuffer(digest, "<u8")
    # The 53 highest bits: as many as a float holds, so that 1 is never reached.
    return (mixed(state) >> np.uint64(11)) * 2.0**-53
