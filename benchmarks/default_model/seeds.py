#!/usr/bin/env python3
"""Whether trainings with several seeds agree, and which of them validation chooses.

    python benchmarks/default_model/seeds.py build/default-model/*.safetensors

The same held-out stars are given to each model. Two models agree if what they say of a star differs by less
than the errors that they state: the width of (a - b) / sqrt(e_a^2 + e_b^2) is below 1, class by class, and 0
if the seed does not matter. The model to embed is the one with the lowest validation loss; the test stars,
and the figures below, decide nothing.
"""

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
from held_out import TARGETS, measured_held_out
from measuring import Measured, Model, load_model
from table import Line, Section, all_met, printed

from astra.simulator.masks import read_patterns
from astra.simulator.simulators import full_simulator

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Print a table; 1 if two models disagree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", help="files of the same training with other seeds")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder above data")
    parser.add_argument("--n", type=int, default=1500, help="simulated stars")
    arguments = parser.parse_args()
    data = arguments.shared / "data"
    simulator = full_simulator(data / "spectra_models", data / "isochrones" / "padova_jhk")
    patterns = read_patterns(data / "apstar")
    models = [load_model(name) for name in arguments.models]
    found = [measured_held_out(model, simulator, patterns, arguments.n, 901) for model in models]
    sections = [_losses(models)]
    sections += [
        _agreement(f"{models[a].path.stem} and {models[b].path.stem}", found[a], found[b])
        for a, b in itertools.combinations(range(len(models)), 2)
    ]
    print(printed(sections))
    return 0 if all_met(sections) else 1


def _losses(models: list[Model]) -> Section:
    losses = [model.weights.details["metrics"]["validation_loss"] for model in models]
    best = int(np.argmin(losses))
    lines = [
        Line(model.path.stem, loss, form=".4f", note="the lowest" if number == best else "")
        for number, (model, loss) in enumerate(zip(models, losses, strict=True))
    ]
    return Section("validation loss", lines)


def _agreement(title: str, one: Measured, other: Measured) -> Section:
    error = np.hypot(one.e_fakemag, other.e_fakemag)
    difference = one.fakemag - other.fakemag
    lines = []
    for kind in TARGETS:
        rows = one.single & (one.stars.kind == kind)
        relative = difference[rows] / one.fakemag[rows]
        note = f"{rows.sum():,} stars; median {np.median(relative):+.3f}, width {_width(relative):.3f}"
        label = f"{kind.replace('_', ' ')}: width of the differences over the errors"
        lines.append(Line(label, _width(difference[rows] / error[rows]), high=1.0, form=".2f", note=note))
    return Section(title, lines)


def _width(values: np.ndarray) -> float:
    return float(np.diff(np.percentile(values, (16, 84)))[0] / 2)


if __name__ == "__main__":
    sys.exit(main())
