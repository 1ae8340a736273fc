"""What the network says of spectra: luminosities and their two errors."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """Pseudo-luminosities of N spectra [mas], float64 of shape (N,); NaN where the network gave none."""

    fakemag: np.ndarray
    """Mean of the draws."""

    e_fakemag: np.ndarray
    """Total error: the network's own and that of the model."""

    e_model_fakemag: np.ndarray
    """Error of the model alone: the standard deviation of the draws."""
