"""How a network does on simulated stars that it has not learnt from."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from astra.modelling.simulator.sample import Sample
from astra.modelling.training.evaluate import LEAST_SNR, evaluate
from astra.pipelines.astronn_dist.network.sampling import network_on, sample
from astra.pipelines.astronn_dist.weights.files import Weights
from astra.pipelines.astronn_dist.weights.validity import excess, widened
from astra.spectra.rectify import rectify


@dataclass(frozen=True)
class HeldOut:
    """N simulated stars and what was found for them, named as in a report; arrays of shape (N,)."""

    true: np.ndarray
    """Pseudo-luminosity of the star and its companion together [mas]."""

    kind: np.ndarray
    """Class of the star, or of the primary."""

    snr: np.ndarray
    """Signal-to-noise ratio per pixel."""

    flux_ratio: np.ndarray
    """Ks flux of the companion divided by the star's, 0 for single stars."""

    teff: np.ndarray
    """Effective temperature [K]."""

    logg: np.ndarray
    """Logarithm of the surface gravity [dex, cgs]."""

    fakemag: np.ndarray
    """The prediction [mas]; NaN where there is none."""

    e_fakemag: np.ndarray
    """Its stated error [mas], wider for spectra unlike those of the training."""

    e_model_fakemag: np.ndarray
    """The part of it that comes from dropout [mas]."""

    excess: np.ndarray
    """Scatter beyond the noise that the training does not explain; may be infinite."""

    def __len__(self) -> int:
        return len(self.true)


def predicted(
    weights: Weights,
    samples: Iterable[Sample],
    n: int,
    *,
    device: str,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> HeldOut:
    """Predict, as ``astra run`` does, for the first ``n`` stars of samples; few of these are in memory.

    Args:
        weights: The network, with its range of validity.
        samples: Simulated stars, at least ``n`` in all.
        n: How many of them.
        device: Where the network is computed, as torch calls it.
        on_progress: Called with the number of stars done and their total.
    """
    parts, done = [], 0
    on_progress(0, n)
    for part in _parts(weights, samples, device):
        parts.append(part)
        done = min(done + len(part), n)
        on_progress(done, n)
        if done == n:
            break
    columns = [field.name for field in fields(HeldOut)]
    return HeldOut(**{name: np.concatenate([getattr(part, name) for part in parts])[:n] for name in columns})


def metrics_of(found: HeldOut) -> dict[str, Any]:
    """By class, of single stars and of those with a companion, at S/N of at least 50; plain JSON."""
    metrics = {}
    for name, chosen in (("single", found.flux_ratio == 0), ("with companion", found.flux_ratio > 0)):
        rows = chosen & (found.snr >= LEAST_SNR)
        classes = evaluate(
            found.kind[rows], found.true[rows], found.fakemag[rows], found.e_fakemag[rows], found.snr[rows]
        )
        metrics[name] = {kind: _plain(asdict(entry)) for kind, entry in classes.items()}
    return metrics


def _parts(weights: Weights, samples: Iterable[Sample], device: str) -> Iterator[HeldOut]:
    network, validity, start = network_on(device, weights), weights.validity, 0
    for seen in samples:
        flux, e_flux = rectify(seen.flux, seen.e_flux, seen.pixel_flags)
        # The names decide the draws of dropout.
        found = sample(network, flux, [f"test {start + row}" for row in range(len(seen))])
        yield HeldOut(
            true=seen.fakemag,
            kind=seen.stars.kind,
            snr=seen.snr,
            flux_ratio=seen.flux_ratio,
            teff=seen.stars.teff,
            logg=seen.stars.logg,
            **vars(widened(found, flux, e_flux, validity)),
            excess=excess(flux, e_flux, validity.mean, validity.components),
        )
        start += len(seen)


def _plain(numbers: dict[str, Any]) -> dict[str, Any]:
    """Numbers as JSON knows them, with the digits that mean something."""
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in numbers.items()
        if np.isfinite(value)
    }
