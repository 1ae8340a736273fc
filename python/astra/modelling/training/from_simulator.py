"""The recipe of ``astra train --from simulator``: from simulated stars to a file of weights."""

import itertools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from astra.modelling.simulator.compact import choose_simulator
from astra.modelling.simulator.masks import read_patterns
from astra.modelling.simulator.sample import CHUNK, NO_PATTERNS, Sample, simulate_chunks
from astra.modelling.simulator.selection import mix_line
from astra.modelling.simulator.simulator import Conditions, Simulator, with_pairs
from astra.modelling.simulator.stars import MIX
from astra.modelling.training.calibrate import N_DRAWS, WINGS, calibrate, fit_validity
from astra.modelling.training.claims import range_in_words
from astra.modelling.training.claims import seen as what_was_seen
from astra.modelling.training.error_tables import (
    ORDINARY,
    SHARES,
    Found,
    fit_calibration,
    fit_missing,
    found_for,
)
from astra.modelling.training.evaluate import LEAST_SNR, evaluate
from astra.modelling.training.examples import Examples, Progress
from astra.modelling.training.loop import Trained
from astra.modelling.training.report.data import Columns
from astra.modelling.training.request import TrainingRequest
from astra.modelling.training.session import Session, StageProgress, session
from astra.modelling.training.simulated import Recipe, digest_of, examples_of, simulated_examples
from astra.pipelines.astronn_dist.network.sampling import corrected, network_on, sample
from astra.pipelines.astronn_dist.weights.card import SAW
from astra.pipelines.astronn_dist.weights.files import Weights
from astra.pipelines.astronn_dist.weights.missing import missing_shares
from astra.spectra.grid import DETECTORS
from astra.spectra.rectify import rectify

log = logging.getLogger("astra")

N_STARS = 400_000
OPTIONS = {"loss": "logarithmic", "epochs": 14, "learning_rate": 1.5e-3}

#: Stars of the other sets; of a smaller training, each is at most a quarter of it, or 64.
SIZES = {"validation": 5_000, "prediction": 32_000, "error": 32_000, "doubt": 8_000, "test": 28_000}
SIZES |= {"flat": 40_000, "natural": 40_000}

# All trainings see the same stars, so that the reports of several seeds can be compared.
SEEDS = {"training": 101, "validation": 102, "prediction": 106, "error": 103, "doubt": 104, "test": 105}
SEEDS |= {"flat": 107, "natural": 108}

# Stars that still contract are learnt from, but errors and doubt are those of all others.
_GROWN = {"mix": {kind: share for kind, share in MIX.items() if kind != "young"}}

#: The sets that the tables of errors are fitted to, and the luminosity function of each.
LUMINOSITIES: dict[str, dict[str, Any]] = {"flat": _GROWN, "natural": {"natural": True}}

#: Stars whose detectors are lost one after the other, to see what that costs.
LOST = 2_000

#: Companions of the stars that each head is fitted to, as a part of those that the network learns from, and
#: the share of dwarfs and subgiants above 6000 K that have one. Real cool dwarfs have more than that; but
#: errors that allow for every companion that nobody notices would be much too large for single stars. Most
#: F stars have a companion, and their few broad lines hardly show it: both heads are a compromise between
#: pairs and single stars. Fitted to as many of either, the prediction would put single ones 15 % too far: it
#: is nearer to these. The tables are for single stars: the share of pairs in a bin of luminosity differs from
#: survey to survey.
PAIRS = {"prediction": (1 / 3, 0.15), "error": (1 / 3, 0.35)} | dict.fromkeys(LUMINOSITIES, (0.0, 0.0))

#: The predictions are fitted to stars that no emulator knows exactly: all have broader lines than those
#: learnt from, and all of these classes have spectra on the way to another emulator. So they depend little on
#: what one emulator alone says, and dwarfs with broad lines are not taken for pairs, and so put too far.
STRANGERS = "dwarf", "subgiant"
BROAD = 1.0


@dataclass(frozen=True)
class StarSets:
    """The sets of stars of a training, and where they come from."""

    session: Session
    simulator: Simulator
    patterns: np.ndarray
    """Masks of real spectra, shape (M, 8575)."""

    def size(self, name: str) -> int:
        """Stars of a set. What is kept on disk are whole chunks."""
        n_stars = self.session.request.simulator.n_stars or N_STARS
        wanted = n_stars if name == "training" else min(SIZES[name], max(64, n_stars // 4))
        return wanted if name in ("doubt", "test") else -(-wanted // CHUNK) * CHUNK

    def examples(self, name: str) -> Examples:
        """A set that the network learns from, kept on disk."""
        recipe = Recipe(self.size(name), SEEDS[name], conditions_of(name))
        folder, update = self.session.request.folder, partial(self.session.progress, f"{name} stars")
        return simulated_examples(self.simulator, recipe, folder, patterns=self.patterns, on_progress=update)

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
        return replace(conditions, **_GROWN) if name == "doubt" else conditions
    conditions = with_pairs(conditions, *PAIRS[name])
    if name != "prediction":
        return replace(conditions, **LUMINOSITIES.get(name, {}))
    return replace(conditions, broad=BROAD, foreign=conditions.foreign | dict.fromkeys(STRANGERS, 1.0))


def train_from_simulator(
    request: TrainingRequest, on_progress: StageProgress = lambda what, done, total: None
) -> Path:
    """Train on simulated stars, and write the weights and a report beside them.

    Args:
        request: What is asked for. Without folders of published emulators and isochrones, the compact
            simulator of the package draws the stars; masks of real spectra are used besides invented ones.
        on_progress: Called with the stage of the work, what is done of it, and its total.

    Returns:
        The file.

    Raises:
        UsageError: One folder is named without the other, or the request makes no sense, or the output
            cannot be written.
        ConfigError: A file is not what it should be, or an option is out of its range.
        StorageError: The disk is full.
        Interrupted: A signal came; the same call goes on.
    """
    request.options(**OPTIONS)  # one that is out of its range is refused before large files are read
    asked = request.simulator
    simulator = choose_simulator(asked.spectra_models, *asked.isochrones or (), families=asked.families)
    if asked.spectra_models is None:
        log.warning("training on the compact simulator: good for a trial; see --spectra-models")
    patterns = NO_PATTERNS if asked.masks_from is None else read_patterns(asked.masks_from)
    with session(request, on_progress, **OPTIONS) as current:
        sets = StarSets(current, simulator, patterns)
        training, validation = sets.examples("training"), sets.examples("validation")
        trained = current.train(training, validation)
        weights = _calibrated(current, sets, trained, training)
        size, update = sets.size("test"), partial(current.progress, "test")
        found = predicted(weights, sets.chunks("test"), size, device=current.device, on_progress=update)
        weights = replace(weights, details=_details(current, sets, trained, training, found))
        del found["beyond"]  # the report has classes alone
        current.finish(trained, weights, found)
    return request.output


def _calibrated(current: Session, sets: StarSets, trained: Trained, training: Examples) -> Weights:
    """The trained network with errors that fit stars it has not learnt from, and what it knows of these."""
    predictions, errors = sets.examples("prediction"), sets.examples("error")
    current.progress("fitting of the heads", 0, 1)
    seed, name = current.request.seed, current.request.output.stem
    tensors = calibrate(trained.tensors, predictions, errors, seed=seed, device=current.device)
    weights = Weights(name, "", tensors)
    find = partial(found_for, weights, seed=seed, device=current.device)
    tables = {which: sets.examples(which) for which in LUMINOSITIES}
    found = [
        find(examples, on_progress=partial(current.progress, f"{which} luminosities"))
        for which, examples in tables.items()
    ]
    calibration = fit_calibration(found)
    current.progress("doubt stars", 0, 1)
    stars = Sample.joined(list(sets.chunks("doubt"))).take(slice(sets.size("doubt")))
    flux, e_flux = rectify(stars.flux, stars.e_flux, stars.pixel_flags)
    whole = (missing_shares(flux, e_flux) <= ORDINARY).all(axis=1)
    validity = fit_validity(training, flux[whole], e_flux[whole])

    lost_detectors = itertools.count()

    def find_lost(lost: Sample) -> Found:
        # Whole spectra come first.
        current.progress("lost detectors", next(lost_detectors), 1 + len(DETECTORS) * len(SHARES))
        return find(examples_of(lost, observed=True)).calibrated(calibration)

    missing = fit_missing(
        stars.take(whole).take(slice(LOST)), find_lost, np.random.default_rng(SEEDS["doubt"])
    )
    return replace(weights, validity=validity, missing=missing, calibration=calibration)


# > How good it is


def predicted(
    weights: Weights,
    samples: Iterable[Sample],
    n: int,
    *,
    device: str,
    on_progress: Progress = lambda done, total: None,
) -> Columns:
    """Predict, as ``astra run`` does, for stars that the network has not learnt from, a few at a time.

    Args:
        weights: The network, with its range of validity and its other corrections.
        samples: Simulated stars, at least ``n`` in all.
        n: How many of them to predict.
        device: Where the network is computed, as torch calls it.
        on_progress: Called with the number of stars done and their total.

    Returns:
        The stars and what was found for them. The true pseudo-luminosity is that of the star and its
        companion together; the stated error is wider for spectra unlike those of the training.
    """
    on_progress(0, n)
    network = network_on(device, weights)
    parts, done = [], 0
    for seen in samples:
        flux, e_flux = rectify(seen.flux, seen.e_flux, seen.pixel_flags)
        # The names decide the draws of dropout.
        found = sample(network, flux, [f"test {done + row}" for row in range(len(seen))])
        columns = {
            "true": seen.fakemag,
            "e_true": np.zeros(len(seen)),
            "kind": seen.stars.kind,
            "snr": seen.snr,
            "flux_ratio": seen.flux_ratio,
            "teff": seen.stars.teff,
            "logg": seen.stars.logg,
            "beyond": seen.stars.beyond,
            **vars(corrected(found, flux, e_flux, weights)),
            "excess": weights.validity.excess_of(flux, e_flux),
        }
        parts.append(columns)
        done = min(done + len(seen), n)
        on_progress(done, n)
        if done == n:
            break
    return {name: np.concatenate([part[name] for part in parts])[:n] for name in parts[0]}


def metrics_of(found: Columns) -> dict[str, Any]:
    """Figures by class from ``LEAST_SNR`` on, plain JSON.

    They are those of single stars, of stars with a companion, and, apart from these, of stars beyond the
    emulators.
    """
    metrics = {}
    ratio, beyond = found["flux_ratio"], found["beyond"]
    groups = {"single": ~beyond & (ratio == 0), "with companion": ~beyond & (ratio > 0), "beyond": beyond}
    for name, chosen in groups.items():
        rows = chosen & (found["snr"] >= LEAST_SNR)
        columns = ("kind", "true", "fakemag", "e_fakemag", "snr")
        classes = evaluate(*(found[column][rows] for column in columns))
        metrics[name] = {kind: _rounded(asdict(entry)) for kind, entry in classes.items()}
    return metrics


def _rounded(numbers: dict[str, Any]) -> dict[str, Any]:
    """Numbers as JSON knows them, to four digits; what is not finite is left out."""
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in numbers.items()
        if np.isfinite(value)
    }


# > What the file says of itself


def _details(
    current: Session, sets: StarSets, trained: Trained, training: Examples, found: Columns
) -> dict[str, Any]:
    saw, metrics = what_was_seen(training, found), metrics_of(found)
    return {
        "description": f"Trained on {sets.size('training'):,} simulated stars",
        "range": range_in_words(saw, metrics["single"]),
        SAW: saw,
        "trained_on": {
            "simulator": sets.simulator.name,
            "digest": digest_of(sets.simulator, sets.patterns),
            "stars": {name: sets.size(name) for name in SEEDS},
            "seeds": SEEDS,
            "real_masks": len(sets.patterns),
            "conditions": asdict(Conditions()),
            "test_mix": mix_line(found["kind"]),
            "calibration": {"pairs": PAIRS, "strangers": STRANGERS, "broad": BROAD}
            | {"wings": WINGS, "draws": N_DRAWS, "luminosities": LUMINOSITIES},
        },
        "metrics": metrics | trained.summary(),
        **current.provenance(),
    }
