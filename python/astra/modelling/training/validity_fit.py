"""What a model is given to tell spectra unlike those of its training."""

import numpy as np
import torch

from astra.modelling.training.examples import Examples
from astra.pipelines.astronn_dist.weights.validity import Validity, excess

#: Directions of variation; of real spectra in and out of the range, as many tell them best apart.
COMPONENTS = 24

#: Spectra that the directions are found from.
LARGEST_SAMPLE = 12_000

#: Of stars like those of the training, this percentage is nearer to them than where doubt begins.
TRUSTED_PERCENTILE = 99.0

#: Where nothing is known any more, in units of where doubt begins.
UNKNOWN = 1.5


def principal_components(examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Mean and main directions of variation of spectra before noise and masks.

    Args:
        examples: The training examples.

    Returns:
        Mean of rectified flux minus 1, shape (7514,), and directions of shape (24, 7514), float16.
    """
    flux = examples.flux[:LARGEST_SAMPLE].astype(np.float32)
    mean = flux.mean(axis=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, _, vectors = torch.svd_lowrank(torch.from_numpy(flux - mean), q=2 * COMPONENTS, niter=4)
    return mean.astype(np.float16), vectors[:, :COMPONENTS].T.contiguous().numpy().astype(np.float16)


def fit_validity(mean: np.ndarray, components: np.ndarray, flux: np.ndarray, e_flux: np.ndarray) -> Validity:
    """Where doubt begins: the excess scatter that only one in a hundred stars like the training's shows.

    From there on the relative error that is added rises to 1, at one and a half times that: of spectra that
    no star of the training resembles, the luminosity is unknown.

    Args:
        mean, components: From :func:`principal_components`.
        flux, e_flux: Rectified spectra that the network has not seen, shape (N, 7514).
    """
    begins = float(np.percentile(excess(flux, e_flux, mean, components), TRUSTED_PERCENTILE))
    return Validity(mean, components, np.array([begins, UNKNOWN * begins]), np.array([0.0, 1.0]))
