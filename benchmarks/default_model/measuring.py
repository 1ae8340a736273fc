"""Predictions for simulated spectra, by the same steps as for real ones."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astra.cli.progress import progress
from astra.config import load_settings
from astra.modelling.simulator.sample import Sample
from astra.modelling.simulator.stars import StarColumns, Stars
from astra.modelling.training.evaluate import distance_error, pulls
from astra.pipelines.astronn_dist.distances.clean import LEAST_COVERAGE
from astra.pipelines.astronn_dist.distances.distance import unreliable
from astra.pipelines.astronn_dist.network.sampling import Network, Prediction, corrected, network_on, sample
from astra.pipelines.astronn_dist.weights.files import Weights, load_weights
from astra.pipelines.astronn_dist.weights.library import find_weights
from astra.pipelines.astronn_dist.weights.missing import missing_shares
from astra.spectra.rectify import rectify

#: As in ``astra run``.
N_DRAWS = 100


@dataclass(frozen=True)
class Model:
    """The model that is measured."""

    path: Path
    weights: Weights
    network: Network

    def predict(self, spectra: Sample, name: str) -> tuple[Prediction, np.ndarray]:
        """Predict as ``astra run`` does.

        Args:
            spectra: N spectra.
            name: Identifies these spectra.

        Returns:
            The predictions; and the share of the pixels of each detector that was seen, shape (N, 3).
        """
        flux, e_flux = rectify(spectra.flux, spectra.e_flux, spectra.pixel_flags)
        identities = [f"{name}/{number}" for number in range(len(flux))]
        found = sample(self.network, flux, identities, n_draws=N_DRAWS)
        return corrected(found, flux, e_flux, self.weights), 1 - missing_shares(flux, e_flux)


def load_model(named: str | None) -> Model:
    """The model of a path or a name, or the one that ``astra run`` would take.

    Raises:
        ConfigError: There is none, or its file cannot be used.
    """
    path = find_weights(named, load_settings()).path
    weights = load_weights(path)
    return Model(path, weights, network_on("cpu", weights))


@dataclass(frozen=True)
class Measured(StarColumns):
    """N simulated stars and what the model says of them; arrays of shape (N,)."""

    stars: Stars
    flux_ratio: np.ndarray
    separation: np.ndarray
    snr: np.ndarray

    fakemag_true: np.ndarray
    """Pseudo-luminosity of the star, its companion included, or the one measured otherwise [mas]."""

    fakemag: np.ndarray
    e_fakemag: np.ndarray

    coverage: np.ndarray
    """Share of the pixels of each detector that was seen, shape (N, 3)."""

    @property
    def r(self) -> np.ndarray:
        """Relative error of each distance."""
        return distance_error(self.fakemag_true, self.fakemag)

    @property
    def pull(self) -> np.ndarray:
        """Error of each pseudo-luminosity in units of the stated one."""
        return pulls(self.fakemag_true, self.fakemag, self.e_fakemag)

    @property
    def flagged(self) -> np.ndarray:
        """Which have a stated error that makes them unreliable."""
        return unreliable(self.fakemag, self.e_fakemag)

    @property
    def whole(self) -> np.ndarray:
        """Which lack no more pixels than a clean result may."""
        return (self.coverage >= LEAST_COVERAGE).all(axis=1)

    @property
    def clean(self) -> np.ndarray:
        """Which are clean, if photometry and extinction are, and Gaia cannot look."""
        return self.whole & ~self.flagged

    @property
    def single(self) -> np.ndarray:
        """Which have no companion."""
        return self.flux_ratio == 0


def measure(model: Model, chunks: Iterator[Sample], total: int, name: str) -> Measured:
    """Predict chunk by chunk, so that few spectra are in memory at once.

    Args:
        model: The model.
        chunks: Simulated spectra; what goes beyond the total is left out.
        total: How many spectra.
        name: What they are, for the progress and the dropout masks.
    """
    parts, done = [], 0
    with progress(name) as update:
        update(0, total)
        for number, chunk in enumerate(_ahead(chunks)):
            found, coverage = model.predict(chunk, f"{name}/{number}")
            parts.append(
                Measured(
                    chunk.stars, chunk.flux_ratio, chunk.separation, chunk.snr,
                    chunk.fakemag, found.fakemag, found.e_fakemag, coverage,
                )
            )  # fmt: skip
            done += len(chunk)
            update(min(done, total), total)
    return Measured.joined(parts).take(slice(total))


def _ahead(chunks: Iterator[Sample]) -> Iterator[Sample]:
    """The same chunks, each simulated while the one before is predicted."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, chunks, None)
        while (chunk := following.result()) is not None:
            following = pool.submit(next, chunks, None)
            yield chunk
