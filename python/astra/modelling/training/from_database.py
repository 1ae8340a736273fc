"""The recipe of ``astra train --from database``: from spectra with parallaxes to a file of weights."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import astra
from astra.errors import ConfigError
from astra.modelling.training.checked_calibration import calibrate_if_better
from astra.modelling.training.examples import Examples
from astra.modelling.training.loop import CHECKPOINT, Trained, train
from astra.modelling.training.options import TrainingOptions
from astra.modelling.training.parallax_metrics import agreement
from astra.modelling.training.parallaxes import Cuts, ParallaxExamples, examples_from_database
from astra.modelling.training.report.data import Report
from astra.modelling.training.report.writing import check_available, report_path, write_report
from astra.modelling.training.request import (
    Progress,
    TrainingRequest,
    epoch_progress,
    session,
)
from astra.modelling.training.split import Split, split
from astra.pipelines.astronn_dist.network.sampling import Network, network_on, sample
from astra.pipelines.astronn_dist.prediction import Prediction
from astra.pipelines.astronn_dist.weights.files import Weights, save_weights, sha256_of

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
        ConfigError: Too few spectra are left, an option cannot be, or matplotlib is missing.
        StorageError: The disk is full.
        Interrupted: A signal came, or the disk with the spectra is lost; the same call goes on.
    """
    check_available()
    options = request.options(loss="linear")
    with session(request, on_progress) as (device, progress):
        found = examples_from_database(
            cuts, request.folder, zero_point=zero_point, on_progress=partial(progress, "spectra")
        )
        parts = _parts(found.examples)
        trained, weights, gain = _learnt(request, options, found.examples, parts, device, progress)
        seen = _seen(weights, found.examples, parts, device, progress)
        details = _details(found, cuts, zero_point, parts, seen) | {
            "seed": request.seed,
            "version": astra.__version__,
            "options": request.provenance(options, device),
            "metrics": _metrics(trained, weights, seen) | {"gain_of_calibration": gain},
        }
        details["trained_on"]["database"] = dict(database or {})
        weights = replace(weights, details=details)
        # The weights come last: their file says that all is done, and the same call is refused from then on.
        _report(request.output, trained, weights, seen["test"])
        save_weights(weights, request.output)
        # It belongs to this training alone; the spectra may serve the next.
        (_checkpoints(request) / CHECKPOINT).unlink(missing_ok=True)
        test = details["metrics"]["test"]
        log.info(
            "epoch %d of %d is the best; labels of the test stars are %.3f +- %.3f times their predictions",
            *(trained.best_epoch, len(trained.history), test["scale"], test["e_scale"]),
        )
    return request.output


def _checkpoints(request: TrainingRequest) -> Path:
    """The folder of the state of this seed's training; the spectra serve all seeds."""
    return request.folder / f"seed-{request.seed}"


def _parts(examples: Examples) -> Split:
    parts = split(examples, SPLIT_SEED, FRACTIONS)
    for name, indices in parts._asdict().items():
        if not len(indices):
            raise ConfigError(
                f"no star fell to the {name} part of {len(np.unique(examples.star))} stars; ingest more"
            )
    return parts


def _learnt(
    request: TrainingRequest,
    options: TrainingOptions,
    examples: Examples,
    parts: Split,
    device: str,
    progress: Progress,
) -> tuple[Trained, Weights, float]:
    """How the training went, what came out, and what the calibration added to it."""
    training, validation = examples.take(parts.training), examples.take(parts.validation)
    trained = train(
        training,
        validation,
        options,
        _checkpoints(request),
        seed=request.seed,
        device=device,
        progress=epoch_progress(progress),
    )
    progress("calibration", 0)
    tensors, gain = calibrate_if_better(trained.tensors, validation, seed=request.seed, device=device)
    return trained, Weights(request.output.stem, "", tensors), gain


# > What it is worth


@dataclass(frozen=True, eq=False)
class _Seen:
    """Examples that the network did not learn from, and what inference says of them."""

    examples: Examples
    prediction: Prediction


def _seen(
    weights: Weights, examples: Examples, parts: Split, device: str, progress: Progress
) -> dict[str, _Seen]:
    network = network_on(device, weights)
    seen = {}
    for name in ("validation", "test"):
        indices = getattr(parts, name)
        indices = indices[:: -(-len(indices) // EVALUATED)]
        prediction = _predict(network, examples, indices, partial(progress, name))
        seen[name] = _Seen(examples.take(indices), prediction)
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


def _metrics(trained: Trained, weights: Weights, seen: Mapping[str, _Seen]) -> dict[str, Any]:
    unit = weights.tensors["labels_std"].item()
    found: dict[str, Any] = {
        name: agreement(
            *(part.prediction.fakemag, part.prediction.e_fakemag),
            *(part.examples.fakemag, part.examples.e_fakemag),
            unit,
        )
        for name, part in seen.items()
    }
    best = trained.history[trained.best_epoch - 1]
    return found | {
        "best_epoch": trained.best_epoch,
        "epochs": len(trained.history),
        "training_loss": best.training_loss,
        "validation_loss": best.validation_nll,
    }


def _report(output: Path, trained: Trained, weights: Weights, test: _Seen) -> None:
    report = Report(
        name=weights.name,
        sha256=sha256_of(weights),
        details=weights.details,
        history=trained.history,
        best_epoch=trained.best_epoch,
        true=test.examples.fakemag,
        e_true=test.examples.e_fakemag,
        kind=test.examples.kind,
        snr=test.examples.snr,
        fakemag=test.prediction.fakemag,
        e_fakemag=test.prediction.e_fakemag,
        e_model_fakemag=test.prediction.e_model_fakemag,
    )
    write_report(report_path(output), report)


# > What the file says of itself


def _details(
    found: ParallaxExamples, cuts: Cuts, zero_point: float, parts: Split, seen: Mapping[str, _Seen]
) -> dict[str, Any]:
    examples, labelled = found.examples, found.labelled
    predicted = np.concatenate([part.prediction.fakemag for part in seen.values()])
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
