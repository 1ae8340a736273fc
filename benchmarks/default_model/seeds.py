#!/usr/bin/env python3
"""Whether trainings with several seeds agree, and which of them validation chooses.

    python benchmarks/default_model/seeds.py build/default-model/*.safetensors

Each model predicts for the same held-out stars. Errors that both make, because spectra do not say more,
cancel in the difference of two models; what is left must be well below the errors that they state: for each
class, the width of (a - b) / sqrt(e_a^2 + e_b^2) at most 0.5. It is 1 for models whose errors have nothing in
common. The model to embed is the one with the lowest validation loss; the figures below decide nothing.
"""

import argparse
import itertools
import os
import sys
from pathlib import Path

import numpy as np
from held_out import SNR, TARGETS
from measuring import Measured, Model, load_model, measure
from table import Line, Section, all_met, printed

from astra.errors import AstraError, ConfigError
from astra.modelling.simulator.masks import read_patterns
from astra.modelling.simulator.published import full_simulator
from astra.modelling.simulator.sample import CHUNK, Sample, simulate_chunks
from astra.modelling.simulator.simulator import Conditions
from astra.modelling.training.evaluate import half_width

ROOT = Path(__file__).resolve().parents[2]

SEED, LARGEST = 901, 0.5


def main() -> int:
    """Print a table; 1 if two models disagree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", help="files of the same training with other seeds")
    shared = os.environ.get("ASTRA_SHARED", ROOT.parent / "shared")
    parser.add_argument("--shared", type=Path, default=shared, help="folder above data")
    parser.add_argument("--n", type=int, default=1536, help=f"simulated stars, at least {CHUNK}")
    arguments = parser.parse_args()
    n = max(CHUNK, arguments.n)
    try:
        models = [load_model(name) for name in arguments.models]
        sections = [_losses(models)]
        chunks = _simulated(arguments.shared / "data", n)
    except AstraError as error:
        print(f"seeds: error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    found = [measure(model, iter(chunks), n, f"held out {SEED}") for model in models]
    sections += [
        _agreement(f"{models[a].path.stem} and {models[b].path.stem}", found[a], found[b])
        for a, b in itertools.combinations(range(len(models)), 2)
    ]
    print(printed(sections))
    return 0 if all_met(sections) else 1


def _simulated(data: Path, n: int) -> list[Sample]:
    simulator = full_simulator(data / "spectra_models", data / "isochrones" / "padova_jhk")
    patterns, conditions = read_patterns(data / "apstar"), Conditions(snr=SNR)
    return list(simulate_chunks(simulator, n, SEED, conditions, patterns))


def _losses(models: list[Model]) -> Section:
    losses = []
    for model in models:
        try:
            losses.append(model.weights.details["metrics"]["validation_loss"])
        except KeyError:
            raise ConfigError(f"{model.path} does not say its validation loss; give trained models") from None
    lines = [
        Line(model.path.stem, loss, form=".4f", note="the lowest" if loss == min(losses) else "")
        for model, loss in zip(models, losses, strict=True)
    ]
    return Section("validation loss", lines)


def _agreement(title: str, one: Measured, other: Measured) -> Section:
    error = np.hypot(one.e_fakemag, other.e_fakemag)
    difference = one.fakemag - other.fakemag
    lines = []
    for kind in TARGETS:
        rows = one.single & (one.stars.kind == kind)
        if rows.any():
            relative = difference[rows] / one.fakemag[rows]
            note = (
                f"{rows.sum():,} stars; median {np.median(relative):+.3f}, width {half_width(relative):.3f}"
            )
            label = f"{kind.replace('_', ' ')}: width of the differences over the errors"
            width = half_width(difference[rows] / error[rows])
            lines.append(Line(label, width, high=LARGEST, form=".2f", note=note))
    return Section(title, lines)


if __name__ == "__main__":
    sys.exit(main())
