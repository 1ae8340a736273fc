"""Monte Carlo dropout: many draws of the network for each spectrum, and what they say together.

The prediction is the mean of the draws (Gal & Ghahramani 2016, Dropout as a Bayesian Approximation,
equation 6); its variance is that of the draws plus the one that the network predicts (Kendall & Gal 2017,
What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?, equation 9; with the mean of
the log-variance, as astroNN has it, in place of the mean of the variance).

Which units a draw drops depends on the seed, the spectrum, the layer and the number of the draw alone, and
the spectra are computed one at a time. So a result does not depend on what was computed with it, and the
first 100 draws of 2000 are the 100 draws.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from astra.errors import UsageError
from astra.pipelines.astronn_dist.continuum_pixels import N_PIXELS
from astra.pipelines.astronn_dist.network import ApogeeDistBCNN, Dropout

DROPOUT_RATE = 0.3

#: The layers with dropout and the shape of what is dropped, in the order of :class:`Dropout`.
LAYERS = {"conv1": (7514, 2), "features": (7512,), "dense_1": (192,)}

# A unit stays where its 16 random bits are below this.
THRESHOLD = round((1 - DROPOUT_RATE) * 2**16)
KEPT = np.float32(1 / (1 - DROPOUT_RATE))

# Draws computed together. Always this many, for a product of matrices of another size may round otherwise;
# 50 are the fastest on a CPU.
DRAWS_AT_ONCE = 50


@dataclass(frozen=True)
class Prediction:
    """Pseudo-luminosities of N spectra [mas], float64 of shape (N,); NaN where the network gave none."""

    fakemag: np.ndarray
    """Mean of the draws."""

    e_fakemag: np.ndarray
    """Total error: the network's own and that of the model."""

    e_model_fakemag: np.ndarray
    """Error of the model alone: the standard deviation of the draws."""


def sample(
    network: ApogeeDistBCNN,
    flux: np.ndarray,
    identities: Sequence[str],
    *,
    n_draws: int = 100,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Prediction:
    """Predict the pseudo-luminosity of each spectrum, with dropout.

    Args:
        network: The network; moved to ``device``.
        flux: Rectified flux, shape (N, 7514).
        identities: N names that tell the spectra apart wherever they are computed.
        n_draws: Number of draws, at least 2.
        seed: With the identity, decides what is dropped.
        device: Where to compute.

    Raises:
        UsageError: Fewer than 2 draws.
        ValueError: The flux has another shape, or there is not one identity for each spectrum.
    """
    if n_draws < 2:
        raise UsageError(f"{n_draws} draws are too few for an error; at least 2 are needed")
    if flux.ndim != 2 or flux.shape != (len(identities), N_PIXELS):
        raise ValueError(f"flux has shape {flux.shape}, for {len(identities)} spectra of {N_PIXELS} pixels")
    network = network.to(device)
    draws = [draw(network, row, name, n_draws, seed) for row, name in zip(flux, identities, strict=True)]
    prediction, log_variance = np.reshape(draws, (-1, 2, n_draws)).swapaxes(0, 1)
    return summarise(prediction, log_variance, network.labels_std.item())


def dropout_factors(layer: str, seed: int, identity: str, first: int, count: int) -> np.ndarray:
    """What dropout multiplies the units of a layer with: 0 or 1 / (1 - rate).

    Args:
        layer: One of ``LAYERS``.
        seed: Seed of the run.
        identity: Name of the spectrum.
        first: Number of the first draw.
        count: Number of draws.

    Returns:
        float32 of shape (count, *shape of the layer). Random bits are those of Philox 4x64 (Salmon et al.
        2011, Parallel Random Numbers: As Easy as 1, 2, 3), on which each draw starts a new block.
    """
    name = f"{layer}:{seed}:{identity}".encode()
    key = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "little")
    shape = LAYERS[layer]
    units = math.prod(shape)
    blocks = -(-units // 16)
    generator = np.random.Philox(key=key, counter=first * blocks)
    bits = generator.random_raw(count * blocks * 4).astype("<u8", copy=False).view("<u2")
    kept = bits.reshape(count, -1)[:, :units] < THRESHOLD
    return np.multiply(kept, KEPT, dtype=np.float32).reshape(count, *shape)


def draw(network: ApogeeDistBCNN, flux: np.ndarray, identity: str, n_draws: int, seed: int) -> np.ndarray:
    """Draw from the network for one spectrum, on the device of the network.

    Args:
        network: The network.
        flux: Rectified flux, shape (7514,).
        identity: Name of the spectrum.
        n_draws: Number of draws.
        seed: Seed of the run.

    Returns:
        Predictions and log-variances before scaling by ``labels_std``, float64 of shape (2, n_draws).
    """
    device = network.labels_std.device
    draws = []
    # TF32 keeps 10 bits of a float32: a GPU that uses it disagrees with a CPU in the third digit.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        encoded = network.encode(torch.as_tensor(flux, dtype=torch.float32, device=device)[None])
        for first in range(0, n_draws, DRAWS_AT_ONCE):
            factors = (dropout_factors(layer, seed, identity, first, DRAWS_AT_ONCE) for layer in LAYERS)
            dropout = Dropout(*(torch.from_numpy(factor).to(device) for factor in factors))
            draws.append(torch.stack(network.decode(encoded, dropout)))
        return torch.cat(draws, dim=1)[:, :n_draws].double().cpu().numpy()


def summarise(prediction: np.ndarray, log_variance: np.ndarray, labels_std: float) -> Prediction:
    """What the draws of N spectra say, from arrays of shape (N, draws) in units of ``labels_std``."""
    with np.errstate(over="ignore", invalid="ignore"):
        model = prediction.var(axis=1, ddof=1)
        total = np.exp(log_variance.mean(axis=1)) + model
        scaled = [labels_std * value for value in (prediction.mean(axis=1), np.sqrt(total), np.sqrt(model))]
    return Prediction(*(np.where(np.isfinite(value), value, np.nan) for value in scaled))
