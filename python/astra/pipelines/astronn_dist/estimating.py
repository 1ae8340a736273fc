"""From pixels to the columns of results: a model in memory, used by the task and without a database alike."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from astra.pipelines.astronn_dist.distances.results import Columns, WeightsFrom, derive
from astra.pipelines.astronn_dist.distances.stars import Stars
from astra.pipelines.astronn_dist.network.devices import choose_device
from astra.spectra.rectify import rectify, usable

if TYPE_CHECKING:
    from astra.pipelines.astronn_dist.network.sampling import Network
    from astra.pipelines.astronn_dist.prediction import Prediction
    from astra.pipelines.astronn_dist.weights.finding import Chosen
    from astra.pipelines.astronn_dist.weights.validity import Validity
    from astra.spectra.apstar import CombinedSpectrum

N_DRAWS = 100
#: Spectra read and rectified together, while those before them are sampled; the numbers do not depend on it.
BATCH = 32


@dataclass(frozen=True)
class Model:
    """Weights that were loaded, on a device.

    Attributes:
        network: Draws luminosities.
        validity: What the model knows of its training spectra, if it does.
    """

    network: "Network"
    validity: "Validity | None"

    def estimate(
        self,
        pixels: "Sequence[CombinedSpectrum | None]",
        identities: Sequence[str],
        stars: Stars,
        *,
        n_draws: int = N_DRAWS,
        seed: int = 0,
        backend: str = "astra",
        weights_from: WeightsFrom = "total",
    ) -> Columns:
        """The columns and flags of the results of N spectra, as by ``derive``.

        Args:
            pixels: The spectra; ``None`` for one that could not be read.
            identities: Names that tell the spectra apart wherever they are computed.
            stars: What is known of their stars.
            n_draws: Monte Carlo dropout draws per spectrum, at least 2.
            seed: With the identity, decides what is dropped.
            backend: Who rectifies, as in ``rectify``.
            weights_from: As in ``derive``.
        """
        measured = np.array([spectrum is not None for spectrum in pixels], bool)
        if measured.any():
            arrays = _stacked(pixels, measured)
            seen = usable(*arrays)
            arrays = tuple(array[seen] for array in arrays)
            measured[measured] = seen
        luminosity = np.full((3, len(pixels)), np.nan)
        if measured.any():
            names = [name for name, has_result in zip(identities, measured, strict=True) if has_result]
            luminosity[:, measured] = self._luminosity(arrays, names, n_draws, seed, backend)
        return derive(luminosity, measured, stars, weights_from)

    def _luminosity(
        self, arrays: tuple[np.ndarray, ...], identities: list[str], n_draws: int, seed: int, backend: str
    ) -> np.ndarray:
        flux, e_flux = rectify(*arrays, backend=backend)
        found, _ = self.predict(flux, e_flux, identities, n_draws=n_draws, seed=seed)
        return np.stack([found.fakemag, found.e_fakemag, found.e_model_fakemag])

    def predict(
        self, flux: np.ndarray, e_flux: np.ndarray, identities: Sequence[str], *, n_draws: int, seed: int
    ) -> "tuple[Prediction, np.ndarray]":
        """What the draws of N spectra say, and the draws.

        Args:
            flux, e_flux: Rectified flux and error, shape (N, 7514).
            identities: Names that tell the spectra apart wherever they are computed.
            n_draws: Monte Carlo dropout draws per spectrum, at least 2.
            seed: With the identity, decides what is dropped.

        Returns:
            The pseudo-luminosities, their errors widened by what the model knows of its training spectra; and
            the draws that they are the means of, shape (N, n_draws) [mas].
        """
        from astra.pipelines.astronn_dist.network.sampling import drawn, summarise
        from astra.pipelines.astronn_dist.weights.validity import widened

        draws, unit = (
            drawn(self.network, flux, identities, n_draws=n_draws, seed=seed),
            self.network.labels_std,
        )
        found = summarise(draws[:, 0], draws[:, 1], unit)
        if self.validity is not None:
            found = widened(found, flux, e_flux, self.validity)
        return found, unit * draws[:, 0]


def chosen_weights(weights: str | None) -> "Chosen":
    """The weights in force: those that are named, else the configured ones, else the default.

    Raises:
        ConfigError: They are not there.
    """
    from astra.config import load_settings
    from astra.pipelines.astronn_dist.weights.finding import find_weights

    return find_weights(weights, load_settings())


def check_usable(weights: str | None, device: str) -> None:
    """Whether :func:`load_model` can load them.

    Raises:
        ConfigError: The weights cannot be used, or there is no such device.
    """
    from astra.pipelines.astronn_dist.weights.files import load_weights

    choose_device(device)
    load_weights(chosen_weights(weights).path)


def load_model(weights: str | None, device: str) -> Model:
    """The weights in force, loaded at the first call.

    Raises:
        ConfigError: The weights cannot be used, or there is no such device.
    """
    from astra.pipelines.astronn_dist.weights.files import identify

    device = choose_device(device)
    path = chosen_weights(weights).path
    _, sha256 = identify(path)
    return _loaded(path, sha256, device)


@functools.lru_cache(maxsize=1)
def _loaded(path: Path, sha256: str, device: str) -> Model:
    # The checksum is part of the key: weights that were replaced on disk are loaded anew.
    return model_of(path, device)


def model_of(path: Path, device: str) -> Model:
    """The model of a file of weights, on a device.

    Raises:
        ConfigError: The weights cannot be used, or there is no such device.
    """
    from astra.pipelines.astronn_dist.network.sampling import network_on
    from astra.pipelines.astronn_dist.weights.files import load_weights

    weights = load_weights(path)
    return Model(network_on(device, weights), weights.validity)


def _stacked(pixels: "Sequence[CombinedSpectrum | None]", chosen: np.ndarray) -> tuple[np.ndarray, ...]:
    spectra = [spectrum for spectrum, is_chosen in zip(pixels, chosen, strict=True) if is_chosen]
    return tuple(np.stack([getattr(p, name) for p in spectra]) for name in ("flux", "e_flux", "pixel_flags"))
