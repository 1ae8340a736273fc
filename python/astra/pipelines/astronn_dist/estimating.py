"""From pixels to the columns of results, with a model in memory; used by the task and by ``direct``."""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astra.pipelines.astronn_dist.distances.distance import Stars
from astra.pipelines.astronn_dist.distances.results import Columns, WeightsFrom, derive
from astra.pipelines.astronn_dist.network import sampling
from astra.pipelines.astronn_dist.network.sampling import Network, Prediction
from astra.pipelines.astronn_dist.weights.calibration import Calibration
from astra.pipelines.astronn_dist.weights.files import identify, load_weights
from astra.pipelines.astronn_dist.weights.library import chosen_weights
from astra.pipelines.astronn_dist.weights.missing import MissingPixels
from astra.pipelines.astronn_dist.weights.validity import Validity
from astra.spectra.combined import CombinedSpectrum
from astra.spectra.coverage import Coverage, coverages
from astra.spectra.rectify import rectify, usable

N_DRAWS = 100
#: Spectra read and rectified together, while those before them are sampled; the numbers do not depend on it.
BATCH = 32


@dataclass(frozen=True)
class Model:
    """Weights that were loaded, on a device.

    Attributes:
        network: Draws luminosities.
        validity: Describes its training spectra, where the weights hold that.
        missing: What missing pixels cost it, likewise.
        calibration: Corrections by luminosity and signal-to-noise ratio, likewise.
    """

    network: Network
    validity: Validity | None
    missing: MissingPixels | None = None
    calibration: Calibration | None = None

    def estimate(
        self,
        pixels: Sequence[CombinedSpectrum | None],
        identities: Sequence[str],
        stars: Stars,
        *,
        n_draws: int = N_DRAWS,
        seed: int = 0,
        backend: str = "astra",
        weights_from: WeightsFrom = "total",
        keep_draws: bool = False,
    ) -> Columns:
        """The columns and flags of the results of N spectra, as by ``derive``, and their coverage.

        Args:
            pixels: The spectra; ``None`` for one that could not be read.
            identities: Names of the spectra, the same wherever they are computed.
            stars: What is known of their stars.
            n_draws: Monte Carlo dropout draws per spectrum, at least 2.
            seed: With the identity, decides what is dropped.
            backend: Who rectifies, as in ``rectify``.
            weights_from: As in ``derive``.
            keep_draws: Whether to return the draws too, as ``draws`` of shape (N, n_draws) [mas], NaN where
                there is no result.
        """
        read = [spectrum for spectrum in pixels if spectrum is not None]
        measured = np.array([spectrum is not None for spectrum in pixels], bool)
        luminosity = np.full((3, len(pixels)), np.nan)
        coverage = np.full((len(Coverage._fields), len(pixels)), np.nan)
        draws = np.full((len(pixels), n_draws if keep_draws else 0), np.nan)
        if read:
            columns = zip(*((one.flux, one.e_flux, one.pixel_flags) for one in read), strict=True)
            arrays = [np.stack(column) for column in columns]
            measured[measured] = seen = usable(*arrays)
        if measured.any():
            names = list(itertools.compress(identities, measured))
            arrays = [array[seen] for array in arrays]
            flux, e_flux = rectify(*arrays, backend=backend)
            found, drawn = self.predict(flux, e_flux, names, n_draws=n_draws, seed=seed)
            if keep_draws:
                draws[measured] = drawn
            luminosity[:, measured] = found.fakemag, found.e_fakemag, found.e_model_fakemag
            coverage[:, measured] = coverages(*arrays).T
        covered = dict(zip(Coverage._fields, coverage, strict=True))
        found = derive(luminosity, measured, stars, weights_from, detectors=coverage[1:])
        return found | covered | ({"draws": draws} if keep_draws else {})

    def predict(
        self, flux: np.ndarray, e_flux: np.ndarray, identities: Sequence[str], *, n_draws: int, seed: int
    ) -> tuple[Prediction, np.ndarray]:
        """What the draws of N spectra say, and the draws.

        Args:
            flux, e_flux: Rectified flux and error, shape (N, 7514).
            identities: Names of the spectra, the same wherever they are computed.
            n_draws: Monte Carlo dropout draws per spectrum, at least 2.
            seed: With the identity, decides what is dropped.

        Returns:
            The pseudo-luminosities, with all that the model knows of its own errors; and the draws that they
            are the means of, moved by its calibration like these, shape (N, n_draws) [mas].
        """
        unit = self.network.labels_std
        draws = sampling.drawn(self.network, flux, identities, n_draws=n_draws, seed=seed)
        plain = sampling.summarise(draws[:, 0], draws[:, 1], unit)
        found = sampling.corrected(plain, flux, e_flux, self)
        if self.calibration is None:
            return found, unit * draws[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            return found, unit * draws[:, 0] * (found.fakemag / plain.fakemag)[:, None]


def load_model(weights: str | None, device: str) -> Model:
    """The weights in force, loaded at the first call.

    Raises:
        ConfigError: The weights cannot be used, or there is no such device.
    """
    device = sampling.choose_device(device)
    path = chosen_weights(weights).path
    # The checksum is part of the key, so that weights that were replaced on disk are loaded once more.
    _, sha256 = identify(path)
    return _loaded(path, sha256, device)


@functools.lru_cache(maxsize=1)
def _loaded(path: Path, sha256: str, device: str) -> Model:
    return model_of(path, device)


def model_of(path: Path, device: str) -> Model:
    """The model of a file of weights, on a device.

    Raises:
        ConfigError: The weights cannot be used, or there is no such device.
    """
    weights = load_weights(path)
    network = sampling.network_on(device, weights)
    return Model(network, weights.validity, weights.missing, weights.calibration)
