"""The stages of a spectrum in one thread, each for batches as the task has them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from table import Table

from astra.pipelines.astronn_dist.network.sampling import corrected, network_on, sample
from astra.pipelines.astronn_dist.task import BATCH
from astra.pipelines.astronn_dist.weights.files import Weights
from astra.spectra.apstar import CombinedSpectrum, read_combined
from astra.spectra.rectify import rectify, usable

ROUNDS = 5


def read(paths: list[Path]) -> list[CombinedSpectrum]:
    """The combined spectra of some files."""
    return [read_combined(path) for path in paths]


def stacked(spectra: list[CombinedSpectrum]) -> list[np.ndarray]:
    """Flux, error and flags, shape (N, 8575)."""
    return [np.stack([getattr(one, name) for one in spectra]) for name in ("flux", "e_flux", "pixel_flags")]


def rectified(spectra: list[CombinedSpectrum]) -> np.ndarray:
    """Rectified flux, float32 of shape (N, 7514)."""
    return rectify(*stacked(spectra))[0].astype(np.float32)


def measure(table: Table, weights: Weights, originals: list[Path]) -> float:
    """Add the lines of the stages.

    Returns:
        Seconds that reading and rectifying one spectrum by itself take, as upstream does both.
    """
    paths = [originals[number % len(originals)] for number in range(BATCH)]
    names, network = [str(number) for number in range(BATCH)], network_on("cpu", weights)
    spectra = read(paths)
    arrays = stacked(spectra)
    flux, e_flux = rectify(*arrays)
    found = sample(network, flux, names)
    stages: dict[str, Callable[[], Any]] = {
        "reading": lambda: read(paths),
        "rectifying": lambda: (usable(*arrays), rectify(*stacked(spectra))),
        "sampling": lambda: sample(network, flux, names),
    }
    if weights.validity is not None:
        stages["distance from the training"] = lambda: corrected(found, flux, e_flux, weights)
    seconds = {name: _median(stage) / BATCH for name, stage in stages.items()}
    for name, value in seconds.items():
        table.add("Stages of a spectrum, one thread", name, 1e3 * value, "ms")
    table.add("Stages of a spectrum, one thread", "sum", 1e3 * sum(seconds.values()), "ms")
    alone = _median(lambda: [rectify(*(array[:1] for array in arrays)) for _ in range(BATCH)]) / BATCH
    return seconds["reading"] + alone


def _median(stage: Callable[[], Any]) -> float:
    spent = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        stage()
        spent.append(time.perf_counter() - started)
    return float(np.median(spent))
