"""How well predictions of luminosities agree with labels from parallaxes, most of which say little."""

from typing import Any

import numpy as np

from astra.modelling.training.evaluate import half_width

# Labels this good, compared with the *prediction*: chosen by their own value, they would be the large ones.
PRECISE = 0.05


def agreement(
    prediction: np.ndarray, e_prediction: np.ndarray, label: np.ndarray, e_label: np.ndarray, unit: float
) -> dict[str, Any]:
    """Compare N predictions with labels that may be negative.

    Args:
        prediction, e_prediction: Pseudo-luminosities p and their total errors [mas].
        label, e_label: Labels y, linear in the parallax, and their errors [mas].
        unit: ``labels_std`` [mas], in which the likelihood is given.

    Returns:
        Plain JSON; with v = e_p^2 + e_y^2:

        - ``number``: N
        - ``nll``: mean of 0.5 (y - p)^2 / v + 0.5 ln v, in units of ``unit``
        - ``scale``, ``e_scale``: as in :func:`scale`
        - ``pull_width``: half the range of the middle 68 % of (y - p) / sqrt(v); 1 for honest errors
        - ``scatter``: the same of y / p where e_y < 0.05 p, and ``number_precise`` of these; ``None`` where
          there are none
    """
    p, y = (np.asarray(array, float) for array in (prediction, label))
    variance = np.square(e_prediction, dtype=float) + np.square(e_label, dtype=float)
    factor, e_factor = scale(p, y, variance)
    precise = np.asarray(e_label) < PRECISE * p
    likelihood = 0.5 * (y - p) ** 2 / variance + 0.5 * np.log(variance / unit**2)
    return {
        "number": len(p),
        "nll": float(likelihood.mean()),
        "scale": factor,
        "e_scale": e_factor,
        "pull_width": half_width((y - p) / np.sqrt(variance)),
        "scatter": half_width(y[precise] / p[precise]) if precise.any() else None,
        "number_precise": int(precise.sum()),
    }


def scale(prediction: np.ndarray, label: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """The factor of the predictions p that fits the labels y best, and its error.

    It is sum(p y / v) / sum(p^2 / v): linear in the labels, so that negative ones do no harm.

    Args:
        prediction, label: Of N stars, shape (N,).
        variance: Square of both their errors together, v.
    """
    information = np.sum(prediction**2 / variance)
    return float(np.sum(prediction * label / variance) / information), float(information**-0.5)
