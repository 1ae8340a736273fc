"""The recipe of ``astra train --from database``: from spectra with parallaxes to a file of weights."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from astra.errors import ConfigError
from astra.modelling.training import claims
from astra.modelling.training.checked_calibration import calibrate_if_better
from astra.modelling.training.evaluate import agreement
from astra.modelling.training.examples import Examples, Progress, Split, split
from astra.modelling.training.loop import Trained
from astra.modelling.training.parallaxes import ParallaxExamples, examples_from_database
from astra.modelling.training.report.data import Columns
from astra.modelling.training.request import TrainingRequest
from astra.modelling.training.session import Session, StageProgress, session
from astra.pipelines.astronn_dist.network.sampling import Network, network_on, sample
from astra.pipelines.astronn_dist.weights.card import FEWEST, SAW
from astra.pipelines.astronn_dist.weights.files import Weights

log = logging.getLogger("astra")

# The same for all trainings: those of several seeds are compared on the same stars, and learn from none.
SPLIT_SEED = 0
# Scale and variance are fitted to the validation part as well, which must hold enough information for that.
FRACTIONS = (0.7, 0.2, 0.1)
#: Of each part, at most this many spectra are predicted, evenly spaced; they give widths to 2 %.
EVALUATED = 3000
#: Spectra predicted between two calls of ``on_progress``.
CHUNK = 64
_PERCENTILES = (1, 50, 99)
# The arguments of agreement().
_COMPARED = ("fakemag", "e_fakemag", "true", "e_true")


def train_from_database(
    request: TrainingRequest,
    place: Mapping[str, Any],
    on_progress: StageProgress = lambda what, done, total: None,
) -> Path:
    """Train on the spectra of the database that the models are bound to; write weights, and a report beside.

    Args:
        request: What is asked for.
        place: How the file of weights shall name the database; no secrets.
        on_progress: Called with the stage of the work, what is done of it, and its total.

    Returns:
        The file.

    Raises:
        UsageError: The request makes no sense, or its output cannot be written.
        ConfigError: Too few spectra are left, an option is out of its range, or Bokeh is missing.
        StorageError: The disk is full.
        Interrupted: A signal came, or the disk with the spectra is lost; the same call goes on.
    """
    with session(request, on_progress, loss="linear") as current:
        cuts, zero_point = request.database.cuts(), request.database.zero_point or 0.0
        found = examples_from_database(
            cuts, request.folder, zero_point=zero_point, on_progress=partial(current.progress, "spectra")
        )
        parts = _parts(found.examples)
        trained, weights, gain = _learnt(current, found.examples, parts)
        seen = _seen(current, weights, found.examples, parts)
        unit = weights.tensors["labels_std"].item()
        metrics = {
            name: agreement(*(part[column] for column in _COMPARED), unit) for name, part in seen.items()
        }
        details = _details(found, parts, seen, metrics["test"]) | current.provenance()
        details["metrics"] = metrics | trained.summary() | {"gain_of_calibration": gain}
        details["trained_on"] |= {"cuts": asdict(cuts), "zero_point": zero_point, "database": dict(place)}
        current.finish(trained, replace(weights, details=details), seen["test"])
        test = metrics["test"]
        log.info(
            "epoch %d of %d is the best; labels of the test stars are %.3f +- %.3f times their predictions",
            *(trained.best_epoch, len(trained.history), test["scale"], test["e_scale"]),
        )
    return request.output


def _parts(examples: Examples) -> Split:
    parts = split(examples, SPLIT_SEED, FRACTIONS)
    for name, indices in parts._asdict().items():
        if not len(indices):
            raise ConfigError(
                f"no star fell to the {name} part of {len(np.unique(examples.star))} stars; ingest more"
            )
    return parts


def _learnt(current: Session, examples: Examples, parts: Split) -> tuple[Trained, Weights, float]:
    """How the training went, the weights, and what the calibration gained."""
    training, validation = examples.take(parts.training), examples.take(parts.validation)
    trained = current.train(training, validation)
    current.progress("fitting of the heads", 0, 1)
    seed, name = current.request.seed, current.request.output.stem
    tensors, gain = calibrate_if_better(trained.tensors, validation, seed=seed, device=current.device)
    return trained, Weights(name, "", tensors), gain


# > How good it is


def _seen(current: Session, weights: Weights, examples: Examples, parts: Split) -> dict[str, Columns]:
    """Spectra that the network did not learn from, and what inference says of them."""
    network = network_on(current.device, weights)
    seen = {}
    for name in ("validation", "test"):
        indices = getattr(parts, name)
        indices = indices[:: -(-len(indices) // EVALUATED)]
        seen[name] = {
            "true": examples.fakemag[indices],
            "e_true": examples.e_fakemag[indices],
            "kind": examples.kind[indices],
            "snr": examples.snr[indices],
            **_predicted(network, examples.flux, indices, partial(current.progress, name)),
        }
    return seen


def _predicted(network: Network, flux: np.ndarray, indices: np.ndarray, on_progress: Progress) -> Columns:
    parts = []
    for start in range(0, len(indices), CHUNK):
        on_progress(start, len(indices))
        rows = indices[start : start + CHUNK]
        seen = 1 + flux[rows].astype(np.float32)
        parts.append(vars(sample(network, seen, [str(row) for row in rows])))
    on_progress(len(indices), len(indices))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


# > What the file says of itself


def _reservation(test: Mapping[str, Any]) -> str:
    """What the labels of the test do not show: a claim needs precise ones."""
    if test["number_precise"] >= FEWEST:
        return ""
    return (
        f"; how exact it is cannot be claimed: {test['number_precise']:,} of {test['number']:,} test spectra "
        f"have a precise parallax, and a claim needs {FEWEST}"
    )


def _details(
    found: ParallaxExamples, parts: Split, seen: Mapping[str, Columns], test: Mapping[str, Any]
) -> dict[str, Any]:
    examples, labelled = found.examples, found.labelled
    predicted = np.concatenate([part["fakemag"] for part in seen.values()])
    low, middle, high = np.percentile(predicted, _PERCENTILES)
    snr = np.percentile(examples.snr, _PERCENTILES)
    stars = len(np.unique(examples.star))
    return {
        "description": f"Trained on the parallaxes of {stars:,} stars ({len(examples):,} spectra)",
        "range": (
            f"stars like the {stars:,} of its training: L_fakemag {low:.3g} to {high:.3g} mas (median "
            f"{middle:.3g}), S/N {snr[0]:.0f} to {snr[2]:.0f} (median {snr[1]:.0f}); "
            f"{_PERCENTILES[0]} to {_PERCENTILES[2]} % of them" + _reservation(test)
        ),
        SAW: claims.seen(examples.take(parts.training), seen["test"]),
        "trained_on": {
            "spectra": len(examples),
            "stars": stars,
            "parts": {name: len(indices) for name, indices in parts._asdict().items()},
            "digest": labelled.digest,
            "left_out": labelled.removed | {"unreadable": found.unreadable},
            "releases": labelled.releases,
            "astrometry": labelled.astrometry,
        },
    }
