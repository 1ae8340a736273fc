"""What a training may claim of its model: how many stars of which kind it saw, and how good it was on others.

How many test stars a claim needs is argued in :mod:`astra.pipelines.astronn_dist.weights.card`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from astra.modelling.training.evaluate import ALL, absolute_magnitude
from astra.modelling.training.examples import Examples
from astra.modelling.training.report.data import Columns, name_of
from astra.pipelines.astronn_dist.distances.distance import UNRELIABLE
from astra.pipelines.astronn_dist.weights.card import FEWEST

#: Ranges are those of all but the outermost stars.
PERCENTILES = (1, 99)


def seen(training: Examples, found: Columns) -> dict[str, Any]:
    """What was learnt from, and what was tested; plain JSON.

    Args:
        training: What was learnt from.
        found: The test stars; their labels, where these are known, have the ranges of the training's.
    """
    return {
        "training": _counted(training.kind, training.star),
        "test": _counted(found["kind"], np.arange(len(found["kind"]))),
        "ranges": {
            name: ends
            for name, values in (
                ("M_Ks [mag]", absolute_magnitude(training.fakemag)),
                ("S/N", found["snr"]),
                ("Teff [K]", found.get("teff")),
                ("log g [dex]", found.get("logg")),
            )
            if values is not None and (ends := _ends(values))
        },
    }


def range_in_words(saw: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """What the model is good for, on one line, by its own test.

    Good for is a class of which at least ``FEWEST`` were tested, with a median error of the distance below
    that at which a result is flagged.

    Args:
        saw: As of :func:`seen`.
        metrics: Of single test stars with S/N from ``evaluate.LEAST_SNR`` on, by class.
    """
    tested = {kind: entry for kind, entry in metrics.items() if kind != ALL}
    enough = {kind: entry for kind, entry in tested.items() if entry["n"] >= FEWEST}
    good = {kind: each for kind, each in enough.items() if each.get("median_abs_r", np.inf) < UNRELIABLE}
    trained = f"{saw['training']['stars']:,} stars"
    if not enough:
        most = max([each["n"] for each in tested.values()], default=0)
        return (
            f"nothing can be claimed: trained on {trained}, tested with {most:,} of a class at most, and a "
            f"claim needs {FEWEST}"
        )
    parts = [f"good for {_listed(good)}" if good else "good for no class of stars that was tested"]
    parts[0] += f", trained on {trained}: {ranges_in_words(saw)}"
    if bad := enough.keys() - good:
        parts.append(
            f"off by {UNRELIABLE:.0%} or more in the median for {_listed(k for k in enough if k in bad)}"
        )
    if few := tested.keys() - enough:
        parts.append(f"too few tested to claim anything: {_listed(k for k in tested if k in few)}")
    return "; ".join(parts)


def ranges_in_words(saw: Mapping[str, Any]) -> str:
    """The ranges that its stars cover."""
    low, high = PERCENTILES
    ranges = ", ".join(f"{name} {ends[0]:g} to {ends[1]:g}" for name, ends in saw["ranges"].items())
    return f"{ranges} ({low} to {high} % of them)"


def _listed(kinds: Any) -> str:
    return ", ".join(map(name_of, kinds))


def _counted(kind: np.ndarray, star: np.ndarray) -> dict[str, Any]:
    names, counts = np.unique(kind, return_counts=True)
    by_class = {str(name): int(count) for name, count in zip(names, counts, strict=True) if name}
    return {"stars": len(np.unique(star)), "spectra": len(kind), "by_class": by_class}


def _ends(values: np.ndarray) -> list[float] | None:
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return [float(f"{end:.3g}") for end in np.percentile(known, PERCENTILES)] if len(known) else None
