"""Train without one family of isochrones, and measure on the stars of that family: `make check-families`.

    python benchmarks/default_model/leave_one_out.py WHEEL [--shared DIR] [--out DIR]
        [--family NAME ...] [--n-stars N] [--epochs N] [--n N]

Who knows all families but one is asked for the stars of that one, as if it were the truth. Each training is
smaller than that of the default model. The same command goes on after a kill: models and figures that are
there stay. Ends with one table; exit codes: 0 all met, 1 a target is missed, 2 wrong usage, 70 a training
failed, 78 no data. The wheel is that of lachesis-grids.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from held_out import SNR, metrics_of, plain
from measuring import Measured, load_model, measure
from table import Line, Section, all_met, printed

from astra.errors import AstraError
from astra.modelling.simulator.families import FAMILIES, LET_IN
from astra.modelling.simulator.masks import read_patterns
from astra.modelling.simulator.published import full_simulator
from astra.modelling.simulator.sample import simulate_chunks
from astra.modelling.simulator.simulator import Conditions
from astra.modelling.simulator.stars import MIX

ROOT = Path(__file__).resolve().parents[2]

SEED = 10601

#: Largest median |r| - that is the bias - of a class, and the share of stars within one stated error.
BIAS, WITHIN = 0.05, (0.60, 0.76)

#: With fewer stars of a class, nothing is asked of it.
FEWEST = 100


def main() -> int:
    """Train and measure what is not there yet, and print a table; 1 if a target is missed."""
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    sections = []
    for name in arguments.family or LET_IN:
        figures = arguments.out / f"without-{name}.json"
        try:
            if not figures.exists():
                model = _trained(arguments, name)
                content = _figures(_measured(arguments, name, model))
                figures.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        except AstraError as error:
            print(f"leave_one_out: error: {' '.join(str(error).split())}", file=sys.stderr)
            return error.exit_code
        except subprocess.CalledProcessError as error:
            print(f"leave_one_out: error: {error}; run again: what is done is kept", file=sys.stderr)
            return 70
        sections.append(_section(name, json.loads(figures.read_text())))
    print(printed(sections))
    return 0 if all_met(sections) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path, help="the file of lachesis-grids")
    shared = os.environ.get("ASTRA_SHARED", ROOT.parent / "shared")
    parser.add_argument("--shared", type=Path, default=shared, help="folder above data")
    parser.add_argument("--out", type=Path, default=Path("build/check-families"), help="models and figures")
    parser.add_argument(
        "--family", action="append", choices=tuple(FAMILIES), help="leave out this one; default: each in turn"
    )
    parser.add_argument("--n-stars", type=int, default=48_000, help="stars of a training")
    parser.add_argument("--epochs", type=int, default=12, help="epochs of a training")
    parser.add_argument("--n", type=int, default=10_000, help="stars of the family that is left out")
    return parser.parse_args()


def _trained(arguments: argparse.Namespace, name: str) -> Path:
    """The model of all families but this one; trained unless it is there."""
    model, data = arguments.out / f"without-{name}.safetensors", arguments.shared / "data"
    work = arguments.out / f"without-{name}.training"
    if not model.exists():
        others = [f"--families={other}" for other in LET_IN if other != name]
        folders = ("--spectra-models", data / "spectra_models", "--masks-from", data / "apstar")
        isochrones = ("--isochrones", data / "isochrones" / "padova_jhk", "--isochrones", arguments.wheel)
        size = ("--n-stars", str(arguments.n_stars), "--epochs", str(arguments.epochs))
        subprocess.run(
            [
                *(Path(sys.executable).with_name("astra"), "train", "astronn_dist", "--from", "simulator"),
                *(*folders, *isochrones, *others, *size, "--work", work, "--output", model),
            ],
            check=True,
        )
    shutil.rmtree(work, ignore_errors=True)  # gigabytes that serve no other training
    return model


def _measured(arguments: argparse.Namespace, name: str, path: Path) -> Measured:
    data = arguments.shared / "data"
    simulator = full_simulator(
        data / "spectra_models", data / "isochrones" / "padova_jhk", arguments.wheel, families=[name]
    )
    mix = {kind: share for kind, share in MIX.items() if kind != "young"}
    conditions = replace(Conditions(), snr=SNR, mix=mix)
    chunks = simulate_chunks(simulator, arguments.n, SEED, conditions, read_patterns(data / "apstar"))
    found = measure(load_model(str(path)), chunks, arguments.n, f"without {name}")
    return found.take(found.single & found.clean & ~found.stars.beyond)


def _figures(found: Measured) -> dict[str, dict]:
    """By class: what ``evaluate`` gives, and the share of stars within one error."""
    figures = plain(metrics_of(found))
    for kind, entry in figures.items():
        rows = slice(None) if kind not in MIX else found.stars.kind == kind
        entry["within"] = float((np.abs(found.pull[rows]) <= 1).mean())
    return figures


def _section(name: str, figures: dict[str, dict]) -> Section:
    lines = []
    for kind in (kind for kind in MIX if kind in figures):
        entry, label = figures[kind], kind.replace("_", " ")
        enough = entry["n"] >= FEWEST
        bias, within = (BIAS, WITHIN) if enough else (np.inf, (-np.inf, np.inf))
        note = f"{entry['n']:,} stars; median |r| {entry['median_abs_r']:.3f}"
        lines.append(Line(f"{label}: median r", entry["median_r"], -bias, bias, form="+.3f", note=note))
        lines.append(Line(f"{label}: within one error", entry["within"], *within, form=".2f"))
    return Section(f"{name}, by a model that does not know it; single and clean stars", lines)


if __name__ == "__main__":
    sys.exit(main())
