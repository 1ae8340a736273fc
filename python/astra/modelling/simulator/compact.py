"""The simulator that comes with the package: a table of stars, and a network in place of the emulators."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from astra.errors import ConfigError
from astra.modelling.simulator.emulators.labels import TEFF
from astra.modelling.simulator.simulator import Simulator
from astra.modelling.simulator.stars import KINDS, MIX, Stars, draw_by_class

#: Made by ``fitting.py``.
FILE = Path(__file__).with_name("compact.safetensors")

#: Columns of the table of stars; the class is stored as its place in ``KINDS``.
COLUMNS = tuple(field.name for field in fields(Stars) if field.name != "kind")


@dataclass(frozen=True)
class StarTable:
    """Stars that were drawn once and for all."""

    stars: Stars

    def draw(self, n: int, rng: np.random.Generator, mix: dict[str, float] = MIX) -> Stars:
        """Choose n stars, each perhaps more than once, with these shares of the classes."""
        return self.stars.take(draw_by_class(self.stars.kind, n, rng, mix))


@dataclass(frozen=True)
class CompactEmulator:
    """A network from labels to the coefficients of principal components."""

    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    """Weight and bias of each layer; ``tanh`` between them."""

    centre: np.ndarray
    scale: np.ndarray
    """What is subtracted from the labels, and what they are divided by, shape (4,)."""

    mean: np.ndarray
    """Mean spectrum, shape (8575,)."""

    components: np.ndarray
    """Shape (K, 8575)."""

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """As in :class:`~astra.modelling.simulator.emulators.labels.Emulator`."""
        values = (network_labels(labels) - self.centre) / self.scale
        for number, (weight, bias) in enumerate(self.layers):
            values = values @ weight.T + bias
            if number < len(self.layers) - 1:
                values = np.tanh(values)
        flux = self.mean + values.astype(np.float32) @ self.components
        return np.clip(flux, 0.02, None)


def network_labels(labels: np.ndarray) -> np.ndarray:
    """Labels with the logarithm of the temperature in its place, shape (N, 4)."""
    transformed = np.array(labels, float)
    transformed[:, TEFF] = np.log10(transformed[:, TEFF])
    return transformed


def load(path: Path = FILE) -> Simulator:
    """The compact simulator.

    Raises:
        ConfigError: The file is not there, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"compact simulator: {path}: {error}; install astra again") from error
    columns = dict(zip(COLUMNS, arrays["stars"].T.astype(float), strict=True))
    stars = Stars(**columns, kind=np.array(KINDS)[arrays["kinds"]])
    count = sum(name.startswith("weight.") for name in arrays)
    layers = tuple((arrays[f"weight.{k}"], arrays[f"bias.{k}"]) for k in range(count))
    components, mean, scatter = (
        arrays[name].astype(np.float32) for name in ("components", "mean", "scatter")
    )
    emulator = CompactEmulator(layers, arrays["centre"], arrays["scale"], mean, components)
    return Simulator(StarTable(stars), emulator, scatter, "compact simulator")
