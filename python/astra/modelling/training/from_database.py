"""The recipe of ``astra train --from database``: from spectra with parallaxes to a file of weights."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from astra.errors import ConfigError
from astra.modelling.training.checked_calibration import calibrate_if_better
from astra.modelling.training.examples import Examples
from astra.modelling.training.loop import Trained
from astra.modelling.training.options import TrainingOptions
from astra.modelling.training.parallax_metrics import agreement
from astra.modelling.training.parallaxes import Cuts, ParallaxExamples, examples_from_database
from astra.modelling.training.report.data import Columns
from astra.modelling.training.report.writing import check_available
from astra.modelling.training.request import Progress, Session, TrainingRequest, session
from astra.modelling.training.split import Split, split
from astra.pipelines.astronn_dist.network.sampling import Network, Prediction, network_on, sample
from astra.pipelines.astronn_dist.weights.files import Weights

log = logging.getLogger("astra")

# One for all trainings: those of several seeds are compared on the same stars, and learn from none of them.
SPLIT_SEED = 0
# The validation part also fits the heads, and needs some information of its own for that.
FRACTIONS = (0.7, 0.2, 0.1)
#: Of each part, at most this many spectra are predicted, evenly spaced; they give widths to 2 %.
EVALUATED = 3000
#: Spectra predicted between two reports of progress.
CHUNK = 64
_PERCENTILES = (1, 50, 99)
# Columns that tell how well predictions agree with labels.
_COMPARED = ("fakemag", "e_fakemag", "true", "e_true")


def train_from_database(
    request: TrainingRequest,
    cuts: Cuts,
    *,
    zero_point: float = 0.0,
    database: Mapping[str, Any] | None = None,
    on_progress: Progress = lambda what, done, total: None,
) -> Path:
    """Train on the spectra of the database that the models are bound to; write weights, and a report beside.

    Args:
        request: Where to, and how.
        cuts: Which spectra.
        zero_point: Of the parallaxes, see :func:`parallaxes.labels` [mas].
        database: How the file shall name the database; no secrets.
        on_progress: Told how far the work is.

    Returns:
        The file.

    Raises:
        UsageError: The output cannot be written.
        ConfigError: Too few spectra are left, an option cannot be, or Bokeh is missing.
        StorageError: The disk is full.
        Interrupted: A signal came, or the disk with the spectra is lost; the same call goes on.
    """
    check_available()
    options = request.options(loss="linear")
    with session(request, on_progress) as work:
        found = examples_from_database(
            cuts, request.folder, zero_point=zero_point, on_progress=partial(work.progress, "spectra")
        )
        parts = _parts(found.examples)
        trained, weights, gain = _learnt(work, options, found.examples, parts)
        seen = _seen(work, weights, found.examples, parts)
        unit = weights.tensors["labels_std"].item()
        metrics = {
            name: agreement(*(part[column] for column in _COMPARED), unit) for name, part in seen.items()
        }
        details = _details(found, cuts, zero_point, parts, seen) | work.provenance(options)
        details["metrics"] = metrics | trained.summary() | {"gain_of_calibration": gain}
        details["trained_on"]["database"] = dict(database or {})
        work.finish(trained, replace(weights, details=details), seen["test"])
        test = details["metrics"]["test"]
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


def _learnt(
    work: Session, options: TrainingOptions, examples: Examples, parts: Split
) -> tuple[Trained, Weights, float]:
    """How the training went, what came out, and what the calibration added to it."""
    training, validation = examples.take(parts.training), examples.take(parts.validation)
    trained = work.train(training, validation, options)
    work.progress("calibration", 0)
    seed, name = work.request.seed, work.request.output.stem
    tensors, gain = calibrate_if_better(trained.tensors, validation, seed=seed, device=work.device)
    return trained, Weights(name, "", tensors), gain


# > What it is worth


def _seen(work: Session, weights: Weights, examples: Examples, parts: Split) -> dict[str, Columns]:
    """Spectra that the network did not learn from, and what inference says of them."""
    network = network_on(work.device, weights)
    seen = {}
    for name in ("validation", "test"):
        indices = getattr(parts, name)
        indices = indices[:: -(-len(indices) // EVALUATED)]
        seen[name] = {
            "true": examples.fakemag[indices],
            "e_true": examples.e_fakemag[indices],
            "kind": examples.kind[indices],
            "snr": examples.snr[indices],
            **vars(_predict(network, examples, indices, partial(work.progress, name))),
        }
    return seen


def _predict(network: Network, examples: Examples, indices: np.ndarray, progress: Any) -> Prediction:
    found = []
    for start in range(0, len(indices), CHUNK):
        progress(start, len(indices))
        rows = indices[start : start + CHUNK]
        flux = 1 + examples.flux[rows].astype(np.float32)
        found.append(sample(network, flux, [str(row) for row in rows]))
    progress(len(indices), len(indices))
    arrays = zip(*((part.fakemag, part.e_fakemag, part.e_model_fakemag) for part in found), strict=True)
    return Prediction(*(np.concatenate(array) for array in arrays))


# > What the file says of itself


def _details(
    found: ParallaxExamples, cuts: Cuts, zero_point: float, parts: Split, seen: Mapping[str, Columns]
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
            f"{_PERCENTILES[0]} to {_PERCENTILES[2]} % of them"
        ),
        "trained_on": {
            "spectra": len(examples),
            "stars": stars,
            "parts": {name: len(indices) for name, indices in parts._asdict().items()},
            "digest": labelled.digest,
            "cuts": asdict(cuts),
            "left_out": labelled.removed | {"unreadable": found.unreadable},
            "zero_point": zero_point,
            "releases": labelled.releases,
            "astrometry": labelled.astrometry,
        },
    }
