"""How a network does on simulated stars that it has not learnt from."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from astra.modelling.simulator.sample import Sample
from astra.modelling.training.evaluate import LEAST_SNR, evaluate
from astra.modelling.training.report.data import Columns
from astra.pipelines.astronn_dist.network.sampling import network_on, sample, widened
from astra.pipelines.astronn_dist.weights.files import Weights
from astra.pipelines.astronn_dist.weights.validity import excess
from astra.spectra.rectify import rectify


def predicted(
    weights: Weights,
    samples: Iterable[Sample],
    n: int,
    *,
    device: str,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Columns:
    """Predict, as ``astra run`` does, for the first ``n`` stars of samples; few of these are in memory.

    Args:
        weights: The network, with its range of validity.
        samples: Simulated stars, at least ``n`` in all.
        n: How many of them.
        device: Where the network is computed, as torch calls it.
        on_progress: Called with the number of stars done and their total.

    Returns:
        The stars and what was found for them. The true pseudo-luminosity is that of the star and its
        companion together; the stated error is wider for spectra unlike those of the training.
    """
    network, validity = network_on(device, weights), weights.validity
    parts, done = [], 0
    on_progress(0, n)
    for seen in samples:
        flux, e_flux = rectify(seen.flux, seen.e_flux, seen.pixel_flags)
        # The names decide the draws of dropout.
        found = sample(network, flux, [f"test {done + row}" for row in range(len(seen))])
        columns = {
            "true": seen.fakemag,
            "e_true": np.zeros(len(seen)),
            "kind": seen.stars.kind,
            "snr": seen.snr,
            "flux_ratio": seen.flux_ratio,
            "teff": seen.stars.teff,
            "logg": seen.stars.logg,
            **vars(widened(found, flux, e_flux, validity)),
            "excess": excess(flux, e_flux, validity.mean, validity.components),
        }
        parts.append(columns)
        done = min(done + len(seen), n)
        on_progress(done, n)
        if done == n:
            break
    return {name: np.concatenate([part[name] for part in parts])[:n] for name in parts[0]}


def metrics_of(found: Columns) -> dict[str, Any]:
    """By class, of single stars and of those with a companion, at S/N of at least 50; plain JSON."""
    metrics = {}
    ratio = found["flux_ratio"]
    for name, chosen in (("single", ratio == 0), ("with companion", ratio > 0)):
        rows = chosen & (found["snr"] >= LEAST_SNR)
        columns = ("kind", "true", "fakemag", "e_fakemag", "snr")
        classes = evaluate(*(found[column][rows] for column in columns))
        metrics[name] = {kind: _plain(asdict(entry)) for kind, entry in classes.items()}
    return metrics


def _plain(numbers: dict[str, Any]) -> dict[str, Any]:
    """Numbers as JSON knows them, with the digits that mean something."""
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in numbers.items()
        if np.isfinite(value)
    }
