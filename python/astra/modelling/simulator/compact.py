"""The simulator that comes with the package: a table of stars, and a fit to the emulators."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from astra.damage import importing
from astra.errors import UsageError
from astra.modelling.simulator.simulator import Simulator, reading
from astra.modelling.simulator.stars import KINDS, MIX, TEFF, Members, Stars, draw_by_class

#: Written by :func:`fit_compact`.
FILE = Path(__file__).with_name("compact.safetensors")

#: Columns of the table of stars; the class is stored as its place in ``KINDS``.
COLUMNS = tuple(field.name for field in fields(Stars) if field.name != "kind")


@dataclass(frozen=True)
class StarTable:
    """A table of stars that were drawn from isochrones."""

    stars: Stars
    """Stars of all classes and luminosities."""

    natural: Stars
    """Stars as a survey sees them."""

    def draw(self, n: int, rng: np.random.Generator, mix: dict[str, float] | None = MIX) -> Stars:
        """Choose n stars, each perhaps more than once: with these shares, or as a survey has them."""
        if mix is None:
            return self.natural.take(rng.integers(len(self.natural), size=n))
        rows = {kind: np.flatnonzero(self.stars.kind == kind) for kind in mix}
        members = {kind: Members(places) for kind, places in rows.items() if len(places)}
        return self.stars.take(draw_by_class(members, n, rng, mix))


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
        """As in :class:`~.simulator.Emulator`."""
        values = (network_labels(labels) - self.centre) / self.scale
        for number, (weight, bias) in enumerate(self.layers):
            values = values @ weight.T + bias
            if number < len(self.layers) - 1:
                values = np.tanh(values)
        flux = self.mean + values.astype(np.float32) @ self.components
        return np.clip(flux, 0.02, None)


def network_labels(labels: np.ndarray) -> np.ndarray:
    """Labels with the logarithm of the temperature in place of the temperature, shape (N, 4)."""
    transformed = np.array(labels, float)
    transformed[:, TEFF] = np.log10(transformed[:, TEFF])
    return transformed


def choose_simulator(
    spectra_models: Path | None, *isochrones: Path, families: Sequence[str] | None = None
) -> Simulator:
    """The simulator of the package; or, if files are named, the one from published models.

    Args:
        spectra_models, isochrones, families: As in :func:`~.published.full_simulator`.

    Raises:
        UsageError: Emulators are named without isochrones, or isochrones without emulators.
        ConfigError: A file is missing, or is not the published one.
    """
    if (spectra_models is None) != (not isochrones):
        raise UsageError("--spectra-models and --isochrones go together: give both, or none of them")
    if spectra_models is None:
        if families:
            raise UsageError("--families has a meaning with --isochrones only")
        return load()
    from astra.modelling.simulator.published import full_simulator

    return full_simulator(spectra_models, *isochrones, families=families)


def load(path: Path = FILE) -> Simulator:
    """The compact simulator.

    Raises:
        ConfigError: The file is not there, or damaged.
    """
    with importing("safetensors"):
        from safetensors.numpy import load_file

    with reading("compact simulator", path, "install astra again"):
        arrays = load_file(path)
    stars, natural = (
        Stars(
            **dict(zip(COLUMNS, arrays[name].T.astype(float), strict=True)),
            kind=np.array(KINDS)[arrays[f"{name}.kinds"]],
        )
        for name in ("stars", "natural")
    )
    count = sum(name.startswith("weight.") for name in arrays)
    layers = tuple((arrays[f"weight.{k}"], arrays[f"bias.{k}"]) for k in range(count))
    components, mean, scatter = (
        arrays[name].astype(np.float32) for name in ("components", "mean", "scatter")
    )
    emulator = CompactEmulator(layers, arrays["centre"], arrays["scale"], mean, components)
    return Simulator(StarTable(stars, natural), emulator, scatter, "compact simulator")


# > The fit

#: Share of each class in the table and among the spectra that are fitted.
FITTED_MIX = {"rgb": 0.36, "red_clump": 0.14, "subgiant": 0.16, "dwarf": 0.22, "m_dwarf": 0.07, "hot": 0.05}

HIDDEN = 128


@dataclass(frozen=True)
class Fit:
    """How well the compact simulator repeats the full one, on stars that were not fitted."""

    rms: float
    """Root mean square difference of the flux divided by the continuum."""

    worst_percent: float
    """That of the worst star in a hundred."""

    stars: int
    bytes: int


def fit_compact(
    simulator: Simulator,
    path: Path,
    *,
    seed: int = 0,
    stars: int = 12_000,
    spectra: int = 24_000,
    components: int = 48,
    epochs: int = 120,
) -> Fit:
    """Fit the compact simulator and write it.

    Args:
        simulator: The full one.
        path: Where to write the ``.safetensors`` file.
        seed: Decides the stars and the fit.
        stars: Rows of the table of stars; half as many are those that a survey sees.
        spectra: Spectra that are fitted; a tenth as many test the fit.
        components: Principal components.
        epochs: Passes of the fit of the network.
    """
    import torch
    from safetensors.numpy import save_file

    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    fitted = simulator.population.draw(spectra + spectra // 10, rng, FITTED_MIX).labels()
    # A label may be off its isochrone by what the simulation adds to it.
    fitted += rng.standard_normal(fitted.shape) * (60.0, 0.08, 0.05, 0.04)
    flux = simulator.emulator.spectra(fitted)
    mean = flux[:spectra].mean(axis=0)
    _, _, vectors = torch.svd_lowrank(torch.from_numpy(flux[:spectra] - mean), q=components + 16, niter=4)
    basis = np.ascontiguousarray(vectors[:, :components].T, np.float16).astype(np.float32)
    labels = network_labels(fitted)
    centre, scale = (of(labels[:spectra], axis=0).astype(np.float32) for of in (np.mean, np.std))
    coefficients = (flux - mean) @ np.linalg.pinv(basis)
    layers = _fit_network((labels - centre) / scale, coefficients, spectra, epochs)
    emulator = CompactEmulator(layers, centre, scale, mean, basis)
    difference = np.sqrt(((emulator.spectra(fitted[spectra:]) - flux[spectra:]) ** 2).mean(axis=1))
    arrays = {
        **_table("stars", simulator.population.draw(stars, rng, FITTED_MIX)),
        **_table("natural", simulator.population.draw(stars // 2, rng, None)),
        "centre": centre,
        "scale": scale,
        "mean": mean.astype(np.float16),
        "components": basis.astype(np.float16),
        "scatter": simulator.scatter.astype(np.float16),
    }
    for number, (weight, bias) in enumerate(layers):
        arrays |= {f"weight.{number}": weight, f"bias.{number}": bias}
    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, path)
    rms = float(np.sqrt((difference**2).mean()))
    return Fit(rms, float(np.percentile(difference, 99)), stars, path.stat().st_size)


def _table(name: str, stars: Stars) -> dict[str, np.ndarray]:
    """Stars as arrays of a file."""
    return {
        name: np.stack([getattr(stars, column) for column in COLUMNS], axis=1).astype(np.float32),
        f"{name}.kinds": np.array([KINDS.index(kind) for kind in stars.kind], np.uint8),
    }


def _fit_network(
    labels: np.ndarray, coefficients: np.ndarray, n_fitted: int, epochs: int
) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """A network with two hidden layers from labels to coefficients, by least squares of the spectra."""
    import torch
    from torch import nn

    size = coefficients[:n_fitted].std(axis=0)
    inputs, wanted = (
        torch.as_tensor(array[:n_fitted], dtype=torch.float32) for array in (labels, coefficients)
    )
    network = nn.Sequential(
        nn.Linear(4, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, len(size))
    )
    scale = torch.as_tensor(size, dtype=torch.float32)
    batch = 128
    steps = -(-n_fitted // batch) * epochs
    optimiser = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(n_fitted).split(batch):
            optimiser.zero_grad()
            loss = ((network(inputs[rows]) * scale - wanted[rows]) ** 2).sum(dim=1).mean()
            loss.backward()
            optimiser.step()
            schedule.step()
    with torch.no_grad():
        network[-1].weight *= scale[:, None]
        network[-1].bias *= scale
    return tuple((layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in network[::2])
