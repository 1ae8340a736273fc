"""Monte Carlo dropout: many draws of the network for each spectrum, and their mean and variance.

The prediction is the mean of the draws (Gal & Ghahramani 2016, Dropout as a Bayesian Approximation,
equation 6); its variance is that of the draws plus the one that the network predicts (Kendall & Gal 2017,
What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?, equation 9; with the mean of
the log-variance, as astroNN has it, in place of the mean of the variance).

Which units a draw drops depends on the seed, the spectrum, the layer and the number of the draw alone. So a
result does not depend on what was computed with it, nor where, and the first 100 draws of 2000 are the 100
draws.
"""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from astra.damage import importing
from astra.errors import ConfigError, UsageError
from astra.pipelines.astronn_dist.weights.calibration import Calibration, seen_snr
from astra.pipelines.astronn_dist.weights.files import Weights
from astra.pipelines.astronn_dist.weights.missing import MissingPixels, cost, missing_shares
from astra.pipelines.astronn_dist.weights.validity import Validity
from astra.spectra.grid import N_PIXELS

#: Device files of drivers (NVIDIA, NVIDIA in WSL, AMD): to look for them is faster than to load torch.
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


@dataclass(frozen=True)
class Prediction:
    """Pseudo-luminosities of N spectra [mas], float64 of shape (N,); NaN where there is no prediction."""

    fakemag: np.ndarray
    """Mean of the draws."""

    e_fakemag: np.ndarray
    """Total error: the network's own and that of the model."""

    e_model_fakemag: np.ndarray
    """Error of the model alone: the standard deviation of the draws."""


class Network(Protocol):
    """The network on a device, ready to draw."""

    labels_std: float
    """The unit of the draws [mas]."""

    def draw(self, flux: np.ndarray, identities: Sequence[str], n_draws: int, seed: int) -> np.ndarray:
        """Draw from the network.

        Args:
            flux: Rectified flux, shape (N, 7514).
            identities: Names of the N spectra.
            n_draws: Number of draws.
            seed: Seed of the run.

        Returns:
            Predictions and log-variances in units of ``labels_std``, float64 of shape (N, 2, n_draws); NaN
            where a spectrum has no prediction.
        """


def choose_device(name: str) -> str:
    """``"cpu"`` or ``"cuda"``, from ``"auto"`` or one of these.

    Raises:
        ConfigError: CUDA is asked for, and torch can use none here.
    """
    if name == "cpu" or (name == "auto" and not any(map(os.path.exists, DRIVERS))):
        return "cpu"
    with importing("torch"):
        import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("device cuda: this machine has none that torch can use; take --device cpu")
    return "cuda" if available else "cpu"


def network_on(device: str, weights: Weights) -> Network:
    """The network with these weights on a device, ``"cpu"`` or one of torch's."""
    if device == "cpu":
        from astra.pipelines.astronn_dist.network.on_cpu import CpuNetwork

        return CpuNetwork(weights)
    from astra.pipelines.astronn_dist.network.bcnn import TorchNetwork

    return TorchNetwork(weights, device)


def sample(
    network: Network, flux: np.ndarray, identities: Sequence[str], *, n_draws: int = 100, seed: int = 0
) -> Prediction:
    """Predict the pseudo-luminosity of each spectrum, with dropout; arguments and errors as of ``drawn``."""
    draws = drawn(network, flux, identities, n_draws=n_draws, seed=seed)
    return summarise(draws[:, 0], draws[:, 1], network.labels_std)


def drawn(
    network: Network, flux: np.ndarray, identities: Sequence[str], *, n_draws: int, seed: int
) -> np.ndarray:
    """Draw from the network at least twice for each spectrum.

    Args:
        network: The network.
        flux: Rectified flux, shape (N, 7514).
        identities: Names of the N spectra, the same wherever they are computed.
        n_draws: Number of draws, at least 2.
        seed: With the identity, decides what is dropped.

    Returns:
        As of :meth:`Network.draw`.

    Raises:
        UsageError: Fewer than 2 draws.
        ValueError: The flux has another shape, or there is not one identity for each spectrum.
    """
    if n_draws < 2:
        raise UsageError(f"{n_draws} draws are too few for an error; at least 2 are needed")
    if flux.ndim != 2 or flux.shape != (len(identities), N_PIXELS):
        raise ValueError(f"flux has shape {flux.shape}, for {len(identities)} spectra of {N_PIXELS} pixels")
    return network.draw(flux, identities, n_draws, seed) if len(identities) else np.empty((0, 2, n_draws))


def summarise(prediction: np.ndarray, log_variance: np.ndarray, labels_std: float) -> Prediction:
    """Mean and errors of the draws of N spectra; arrays of shape (N, draws) in units of ``labels_std``."""
    with np.errstate(over="ignore", invalid="ignore"):
        model = prediction.var(axis=1, ddof=1)
        total = np.exp(log_variance.mean(axis=1)) + model
        scaled = [labels_std * value for value in (prediction.mean(axis=1), np.sqrt(total), np.sqrt(model))]
    return Prediction(*(np.where(np.isfinite(value), value, np.nan) for value in scaled))


# > What a model knows of its own errors


class Corrections(Protocol):
    """What a file of weights may hold beside its tensors; ``None`` for what it does not."""

    @property
    def calibration(self) -> Calibration | None:
        """Corrections by luminosity and signal-to-noise ratio."""

    @property
    def missing(self) -> MissingPixels | None:
        """What missing pixels cost."""

    @property
    def validity(self) -> Validity | None:
        """Describes the training spectra."""


def corrected(prediction: Prediction, flux: np.ndarray, e_flux: np.ndarray, model: Corrections) -> Prediction:
    """The prediction with all that the model knows of its own errors.

    First the calibration moves the pseudo-luminosity and both its errors, and scales the total one. Then what
    missing pixels and an unusual spectrum cost is added to that in quadrature.

    Args:
        prediction: Of N spectra, as of :func:`summarise`.
        flux, e_flux: Their rectified flux and error, shape (N, 7514).
        model: The weights, or a model made from them. Without any corrections, nothing changes.
    """
    if model.calibration is not None:
        prediction = calibrated(prediction, seen_snr(flux, e_flux), model.calibration)
    if model.missing is not None:
        prediction = _with_error(prediction, cost(missing_shares(flux, e_flux), model.missing))
    if model.validity is not None:
        prediction = widened(prediction, flux, e_flux, model.validity)
    return prediction


def calibrated(prediction: Prediction, snr: np.ndarray, calibration: Calibration) -> Prediction:
    """The prediction moved by the calibration, with a total error that it scales.

    Args:
        prediction: Of N spectra.
        snr: Their signal-to-noise ratios as of :func:`~..weights.calibration.seen_snr`, shape (N,).
        calibration: The table.
    """
    shift, factor = calibration.at(prediction.fakemag, snr)
    moved = np.exp(shift)
    return Prediction(
        prediction.fakemag * moved,
        prediction.e_fakemag * moved * factor,
        prediction.e_model_fakemag * moved,
    )


def widened(prediction: Prediction, flux: np.ndarray, e_flux: np.ndarray, validity: Validity) -> Prediction:
    """The prediction with a larger total error where a spectrum is unlike those of the training.

    The extra error is added in quadrature.

    Args:
        prediction: Of N spectra.
        flux, e_flux: Their rectified flux and error, shape (N, 7514).
        validity: Describes the training spectra.
    """
    measured = validity.excess_of(flux, e_flux)
    return _with_error(prediction, np.interp(measured, validity.excess, validity.relative_error))


def _with_error(prediction: Prediction, relative: np.ndarray) -> Prediction:
    extra = relative * prediction.fakemag
    return dataclasses.replace(prediction, e_fakemag=np.hypot(prediction.e_fakemag, extra))
