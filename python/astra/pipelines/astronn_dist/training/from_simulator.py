"""The recipe of ``astra train --from simulator``: from simulated stars to a file of weights."""

import logging
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import astra
from astra.pipelines.astronn_dist.network.sampling import network_on
from astra.pipelines.astronn_dist.network.sampling import sample as predict
from astra.pipelines.astronn_dist.prediction import Prediction
from astra.pipelines.astronn_dist.rectify import rectify
from astra.pipelines.astronn_dist.training.calibrate import N_DRAWS, WINGS, calibrate
from astra.pipelines.astronn_dist.training.evaluate import LEAST_SNR, evaluate
from astra.pipelines.astronn_dist.training.examples import Examples
from astra.pipelines.astronn_dist.training.loop import CHECKPOINT, Trained, train
from astra.pipelines.astronn_dist.training.options import TrainingOptions
from astra.pipelines.astronn_dist.training.report.data import Report
from astra.pipelines.astronn_dist.training.report.writing import check_available, report_path, write_report
from astra.pipelines.astronn_dist.training.request import (
    Progress,
    TrainingRequest,
    session,
    told_of_training,
)
from astra.pipelines.astronn_dist.training.simulated import Recipe, digest_of, simulated_examples
from astra.pipelines.astronn_dist.training.validity_fit import fit_validity, principal_components
from astra.pipelines.astronn_dist.weights.files import Weights, save_weights, sha256_of
from astra.pipelines.astronn_dist.weights.validity import excess, widened
from astra.simulator.conditions import Conditions, with_pairs
from astra.simulator.masks import read_patterns
from astra.simulator.sample import NO_PATTERNS, Sample, simulate, without_noise
from astra.simulator.simulator import Simulator
from astra.simulator.simulators import choose_simulator

log = logging.getLogger("astra")

N_STARS = 400_000
EPOCHS = 14
LEARNING_RATE = 1.5e-3

#: Stars of the other sets; of a smaller training, each is at most a quarter of it.
SIZES = {"validation": 5_000, "prediction": 32_000, "error": 32_000, "doubt": 4_000, "test": 28_000}

# All trainings see the same stars: those of several seeds are compared on the same test.
SEEDS = {"training": 101, "validation": 102, "prediction": 106, "error": 103, "doubt": 104, "test": 105}

#: What the heads are made for: the part of the companions that the network learns from, and the share of
#: dwarfs and subgiants above 6000 K that have one. Real cool dwarfs have more than that; but errors made for
#: all that nobody notices would be much too large for single stars. Most F stars have a companion, and
#: their few broad lines hardly show it: both heads are a compromise between pairs and single stars.
PAIRS = {"prediction": (1 / 3, 0.5), "error": (1 / 3, 0.35)}

#: The predictions are made for stars that no emulator knows exactly, all with broader lines than those learnt
#: from, and these classes all with spectra on the way to another emulator: so they depend little on what one
#: emulator alone says, and dwarfs with broad lines are not taken for pairs, and so put too far.
STRANGERS = "dwarf", "subgiant"

#: Spectra predicted between two reports of progress.
CHUNK = 64

RANGE = (
    "stars of 3500 to 12000 K, [Fe/H] -2 to +0.25, S/N above 20: giants to M_Ks = -7, subgiants, FGK dwarfs; "
    "less exact for hot stars and M dwarfs above 3500 K; not for cooler dwarfs, and blind to close twins"
)


@dataclass(frozen=True)
class Stage:
    """What each part of the work needs to know."""

    request: TrainingRequest
    simulator: Simulator
    patterns: np.ndarray
    """Masks of real spectra, shape (M, 8575)."""

    n_stars: int
    device: str
    progress: Progress

    @property
    def checkpoints(self) -> Path:
        """The folder of the state of this seed's training; the examples serve all seeds."""
        return self.request.folder / f"seed-{self.request.seed}"

    def size(self, name: str) -> int:
        """Stars of a set."""
        return self.n_stars if name == "training" else min(SIZES[name], max(64, self.n_stars // 4))

    def examples(self, name: str) -> Examples:
        """A set that the network learns from, kept on disk."""
        recipe = Recipe(self.size(name), SEEDS[name], conditions_of(name))
        told = partial(self.progress, f"{name} stars")
        folder = self.request.folder
        return simulated_examples(self.simulator, recipe, folder, patterns=self.patterns, on_progress=told)

    def sample(self, name: str) -> Sample:
        """A set with everything that is known of it."""
        self.progress(f"{name} stars", 0, None)
        return simulate(self.simulator, self.size(name), seed=SEEDS[name], patterns=self.patterns)


def conditions_of(name: str) -> Conditions:
    """How the stars of a set are observed."""
    conditions = Conditions()
    if name == "training":
        return without_noise(conditions)
    if name not in PAIRS:
        return conditions
    conditions = with_pairs(conditions, *PAIRS[name])
    if name == "error":
        return conditions
    return replace(conditions, broad=1.0, foreign=conditions.foreign | dict.fromkeys(STRANGERS, 1.0))


@dataclass(frozen=True)
class Tested:
    """The N stars of the test set, and what was found for them; shape (N,) each."""

    sample: Sample
    prediction: Prediction
    excess: np.ndarray


def train_from_simulator(
    request: TrainingRequest,
    *,
    n_stars: int | None = None,
    spectra_models: Path | None = None,
    isochrones: Path | None = None,
    masks_from: Path | None = None,
    on_progress: Progress = lambda what, done, total: None,
) -> Path:
    """Train on simulated stars, and write the weights and a report beside them.

    Args:
        request: Where to, and how.
        n_stars: How many stars to learn from.
        spectra_models, isochrones: Folders of published emulators and isochrones, both or neither; without
            them the compact simulator of the package draws the stars.
        masks_from: Folder of apStar files whose masks are used besides invented ones.
        on_progress: Told how far the work is.

    Returns:
        The file.

    Raises:
        UsageError: One folder is given without the other, or the output cannot be written.
        ConfigError: A file is not what it should be, or an option cannot be.
        StorageError: The disk is full.
        Interrupted: A signal came; the same call goes on.
    """
    check_available()
    options = request.options(loss="logarithmic", epochs=EPOCHS, learning_rate=LEARNING_RATE)
    simulator = choose_simulator(spectra_models, isochrones)
    if spectra_models is None:
        log.warning("training on the compact simulator: good for a trial; see --spectra-models")
    patterns = NO_PATTERNS if masks_from is None else read_patterns(masks_from)
    with session(request, on_progress) as (device, progress):
        stage = Stage(request, simulator, patterns, n_stars or N_STARS, device, progress)
        training, validation = stage.examples("training"), stage.examples("validation")
        trained = train(
            training,
            validation,
            options,
            stage.checkpoints,
            seed=request.seed,
            device=device,
            progress=told_of_training(progress),
        )
        weights = _calibrated(stage, trained, training)
        tested = _tested(stage, weights)
        weights = replace(weights, details=_details(stage, options, trained, tested))
        # The weights come last: their file says that all is done, and the same call is refused from then on.
        _report(request, trained, weights, tested)
        save_weights(weights, request.output)
        (stage.checkpoints / CHECKPOINT).unlink(missing_ok=True)
    return request.output


def _calibrated(stage: Stage, trained: Trained, training: Examples) -> Weights:
    """The trained network with errors that fit stars it has not learnt from, and a sense of its limits."""
    predictions, errors = stage.examples("prediction"), stage.examples("error")
    stage.progress("calibration", 0, None)
    seed, device = stage.request.seed, stage.device
    tensors = calibrate(trained.tensors, predictions, errors, seed=seed, device=device)
    sample = stage.sample("doubt")
    spectra = rectify(sample.flux, sample.e_flux, sample.pixel_flags)
    validity = fit_validity(*principal_components(training), *spectra)
    return Weights(stage.request.output.stem, "", tensors, validity=validity)


# > What it is worth


def _tested(stage: Stage, weights: Weights) -> Tested:
    """Predictions, as they will be made, for stars that the network has not seen."""
    network = network_on(stage.device, weights)
    sample = stage.sample("test")
    parts, measured = [], []
    for start in range(0, len(sample), CHUNK):
        stage.progress("test", start, len(sample))
        rows = slice(start, start + CHUNK)
        flux, e_flux = rectify(sample.flux[rows], sample.e_flux[rows], sample.pixel_flags[rows])
        names = [f"test {start + row}" for row in range(len(flux))]
        found = predict(network, flux, names)
        parts.append(widened(found, flux, e_flux, weights.validity))
        measured.append(excess(flux, e_flux, weights.validity.mean, weights.validity.components))
    columns = [field.name for field in fields(Prediction)]
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in columns)
    return Tested(sample, Prediction(*joined), np.concatenate(measured))


def _metrics(tested: Tested) -> dict[str, Any]:
    """By class, of single stars and of those with a companion, at S/N above 50."""
    sample, prediction = tested.sample, tested.prediction
    found = {}
    for name, chosen in (("single", sample.flux_ratio == 0), ("with companion", sample.flux_ratio > 0)):
        rows = chosen & (sample.snr >= LEAST_SNR)
        classes = evaluate(
            sample.stars.kind[rows],
            sample.fakemag[rows],
            prediction.fakemag[rows],
            prediction.e_fakemag[rows],
            sample.snr[rows],
        )
        found[name] = {kind: _plain(asdict(metrics)) for kind, metrics in classes.items()}
    return found


def _plain(numbers: dict[str, Any]) -> dict[str, Any]:
    """Numbers as JSON knows them, with the digits that mean something."""
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in numbers.items()
        if np.isfinite(value)
    }


# > What the file says of itself


def _details(stage: Stage, options: TrainingOptions, trained: Trained, tested: Tested) -> dict[str, Any]:
    best = trained.history[trained.best_epoch - 1]
    return {
        "description": f"Trained on {stage.n_stars:,} simulated stars",
        "range": RANGE,
        "trained_on": {
            "simulator": stage.simulator.name,
            "digest": digest_of(stage.simulator, stage.patterns),
            "stars": {name: stage.size(name) for name in SEEDS},
            "seeds": SEEDS,
            "real_masks": len(stage.patterns),
            "conditions": asdict(Conditions()),
            "calibration": {"pairs": PAIRS, "strangers": STRANGERS, "wings": WINGS, "draws": N_DRAWS},
        },
        "metrics": _metrics(tested)
        | {
            "best_epoch": trained.best_epoch,
            "epochs": len(trained.history),
            "training_loss": best.training_loss,
            "validation_loss": best.validation_nll,
        },
        "seed": stage.request.seed,
        "version": astra.__version__,
        "options": stage.request.provenance(options, stage.device),
    }


def _report(request: TrainingRequest, trained: Trained, weights: Weights, tested: Tested) -> None:
    sample, prediction = tested.sample, tested.prediction
    report = Report(
        name=weights.name,
        sha256=sha256_of(weights),
        details=weights.details,
        history=trained.history,
        best_epoch=trained.best_epoch,
        true=sample.fakemag,
        e_true=np.zeros(len(sample)),
        kind=sample.stars.kind,
        snr=sample.snr,
        fakemag=prediction.fakemag,
        e_fakemag=prediction.e_fakemag,
        e_model_fakemag=prediction.e_model_fakemag,
        flux_ratio=sample.flux_ratio,
        teff=sample.stars.teff,
        logg=sample.stars.logg,
        excess=tested.excess,
    )
    write_report(report_path(request.output), report)
