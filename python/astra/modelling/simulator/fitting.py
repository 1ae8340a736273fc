"""Fits the compact simulator to the full one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from astra.modelling.simulator.compact import COLUMNS, CompactEmulator, network_labels
from astra.modelling.simulator.simulator import Simulator
from astra.modelling.simulator.stars import KINDS

#: Share of each class in the table and among the spectra that are fitted.
MIX = {"rgb": 0.36, "red_clump": 0.14, "subgiant": 0.16, "dwarf": 0.22, "m_dwarf": 0.07, "hot": 0.05}

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
        stars: Rows of the table of stars.
        spectra: Spectra that are fitted; a tenth as many test the fit.
        components: Principal components.
        epochs: Passes of the fit of the network.
    """
    from safetensors.numpy import save_file

    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    fitted = simulator.population.draw(spectra + spectra // 10, rng, MIX).labels()
    # A label may be off its isochrone by what the simulation adds to it.
    fitted += rng.standard_normal(fitted.shape) * (60.0, 0.08, 0.05, 0.04)
    flux = simulator.emulator.spectra(fitted)
    mean, basis = _principal(flux[:spectra], components)
    basis = basis.astype(np.float16).astype(np.float32)
    centre, scale = _standard(network_labels(fitted[:spectra]))
    coefficients = (flux - mean) @ np.linalg.pinv(basis)
    layers = _fit_network((network_labels(fitted) - centre) / scale, coefficients, spectra, epochs)
    emulator = CompactEmulator(layers, centre, scale, mean, basis)
    difference = np.sqrt(((emulator.spectra(fitted[spectra:]) - flux[spectra:]) ** 2).mean(axis=1))
    table = simulator.population.draw(stars, rng, MIX)
    arrays = {
        "stars": np.stack([getattr(table, name) for name in COLUMNS], axis=1).astype(np.float32),
        "kinds": np.array([KINDS.index(kind) for kind in table.kind], np.uint8),
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


def _principal(flux: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and principal components, shapes (8575,) and (count, 8575)."""
    mean = flux.mean(axis=0)
    _, _, vectors = torch.svd_lowrank(torch.from_numpy(flux - mean), q=count + 16, niter=4)
    return mean, vectors[:, :count].T.numpy().copy()


def _standard(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return labels.mean(axis=0).astype(np.float32), labels.std(axis=0).astype(np.float32)


def _fit_network(
    labels: np.ndarray, coefficients: np.ndarray, n_fitted: int, epochs: int
) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """A network with two hidden layers from labels to coefficients, by least squares of the spectra."""
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
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    return tuple((layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in linear)
