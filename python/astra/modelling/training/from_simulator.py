"""The recipe of ``astra train --from simulator``: from simulated stars to a file of weights."""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from astra.modelling.simulator.compact import choose_simulator
from astra.modelling.simulator.masks import read_patterns
from astra.modelling.simulator.sample import (
    CHUNK,
    NO_PATTERNS,
    Sample,
    simulate_chunks,
)
from astra.modelling.simulator.simulator import Conditions, Simulator, with_pairs
from astra.modelling.training.calibrate import N_DRAWS, WINGS, calibrate
from astra.modelling.training.examples import Examples
from astra.modelling.training.held_out import metrics_of, predicted
from astra.modelling.training.loop import Trained
from astra.modelling.training.options import TrainingOptions
from astra.modelling.training.report.data import Columns
from astra.modelling.training.report.writing import check_available
from astra.modelling.training.request import Progress, Session, TrainingRequest, session
from astra.modelling.training.simulated import Recipe, digest_of, simulated_examples
from astra.modelling.training.validity_fit import fit_validity, principal_components
from astra.pipelines.astronn_dist.weights.files import Weights
from astra.spectra.rectify import rectify

log = logging.getLogger("astra")

N_STARS = 400_000
EPOCHS = 14
LEARNING_RATE = 1.5e-3

#: Stars of the other sets; of a smaller training, each is at most a quarter of it, or 64.
SIZES = {"validation": 5_000, "prediction": 32_000, "error": 32_000, "doubt": 4_000, "test": 28_000}

# All trainings see the same stars, so that the reports of several seeds can be compared.
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
BROAD = 1.0

RANGE = (
    "stars of 3500 to 12000 K, [Fe/H] -2 to +0.25, S/N above 20: giants to M_Ks = -7, subgiants, dwarfs; "
    "less exact for F dwarfs, hot stars and M dwarfs; not for cooler dwarfs, and blind to close twins"
)


@dataclass(frozen=True)
class Stage:
    """What each part of the work needs to know."""

    session: Session
    simulator: Simulator
    patterns: np.ndarray
    """Masks of real spectra, shape (M, 8575)."""

    n_stars: int

    def size(self, name: str) -> int:
        """Stars of a set. What is kept on disk are whole chunks."""
        wanted = self.n_stars if name == "training" else min(SIZES[name], max(64, self.n_stars // 4))
        return wanted if name in ("doubt", "test") else -(-wanted // CHUNK) * CHUNK

    def examples(self, name: str) -> Examples:
        """A set that the network learns from, kept on disk."""
        recipe = Recipe(self.size(name), SEEDS[name], conditions_of(name))
        told = partial(self.session.progress, f"{name} stars")
        folder = self.session.request.folder
        return simulated_examples(self.simulator, recipe, folder, patterns=self.patterns, on_progress=told)

    def chunks(self, name: str) -> Iterator[Sample]:
        """A set with everything that is known of it; the last chunk may go beyond its size."""
        return simulate_chunks(
            self.simulator, self.size(name), SEEDS[name], conditions_of(name), self.patterns
        )


def conditions_of(name: str) -> Conditions:
    """How the stars of a set are observed."""
    conditions = Conditions()
    if name == "training":
        return replace(conditions, noise=False)
    if name not in PAIRS:
        return conditions
    conditions = with_pairs(conditions, *PAIRS[name])
    if name == "error":
        return conditions
    return replace(conditions, broad=BROAD, foreign=conditions.foreign | dict.fromkeys(STRANGERS, 1.0))


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
    with session(request, on_progress) as work:
        stage = Stage(work, simulator, patterns, n_stars or N_STARS)
        training, validation = stage.examples("training"), stage.examples("validation")
        trained = work.train(training, validation, options)
        weights = _calibrated(stage, trained, training)
        size, told = stage.size("test"), partial(work.progress, "test")
        found = predicted(weights, stage.chunks("test"), size, device=work.device, on_progress=told)
        weights = replace(weights, details=_details(stage, options, trained, found))
        work.finish(trained, weights, found)
    return request.output


def _calibrated(stage: Stage, trained: Trained, training: Examples) -> Weights:
    """The trained network with errors that fit stars it has not learnt from, and a sense of its limits."""
    predictions, errors = stage.examples("prediction"), stage.examples("error")
    work = stage.session
    work.progress("calibration", 0, None)
    tensors = calibrate(trained.tensors, predictions, errors, seed=work.request.seed, device=work.device)
    work.progress("doubt stars", 0, None)
    sample = Sample.joined(list(stage.chunks("doubt"))).take(slice(stage.size("doubt")))
    spectra = rectify(sample.flux, sample.e_flux, sample.pixel_flags)
    validity = fit_validity(*principal_components(training), *spectra)
    return Weights(work.request.output.stem, "", tensors, validity=validity)


# > What the file says of itself


def _details(stage: Stage, options: TrainingOptions, trained: Trained, found: Columns) -> dict[str, Any]:
    return {
        "description": f"Trained on {stage.size('training'):,} simulated stars",
        "range": RANGE,
        "trained_on": {
            "simulator": stage.simulator.name,
            "digest": digest_of(stage.simulator, stage.patterns),
            "stars": {name: stage.size(name) for name in SEEDS},
            "seeds": SEEDS,
            "real_masks": len(stage.patterns),
            "conditions": asdict(Conditions()),
            "calibration": {"pairs": PAIRS, "strangers": STRANGERS, "broad": BROAD}
            | {"wings": WINGS, "draws": N_DRAWS},
        },
        "metrics": metrics_of(found) | trained.summary(),
        **stage.session.provenance(options),
    }
