"""Measure a model against every figure that the default model must reach.

    python benchmarks/default_model [--weights FILE_OR_NAME] [--shared DIR] [--grids WHEEL] [--n 20000]
        [--out DIR] [--quick]

Ends with one table: what was measured, its value, its target, and whether it is met. Exit codes: 0 all met,
1 a target is missed, 2 wrong usage, 70 a command of astra failed, 78 no model or no data. The same numbers as
JSON, and plots, go to the folder of --out.

    __main__.py          this: arguments, and the order of the parts
    measuring.py         the model; predictions for simulated spectra
    table.py             lines, sections, the table, the JSON
    held_out.py          simulated stars of another seed
    in_bins.py           clean and good ones, by class and in bins of luminosity and S/N; lost detectors
    expected.py          what to expect of a star, by its kind
    beyond.py            stars beyond the emulators, and what flagging them costs
    simulated_clusters.py  simulated clusters, by the SQL of the documentation
    isochrone_labels.py  what isochrones say of a star with given labels
    catalogs.py          stars with real labels and real luminosities
    clusters.py          published distances of clusters
    dr12.py              labels of DR12 on the scale of the isochrones
    real_labels.py       spectra simulated from these labels
    second_simulator.py  another simulator, other masks, other noise
    real_spectra.py      the real files, through astra ingest and astra run
    mean_spectrum.py     the mean spectrum against the published one
    model_file.py        the file itself
    plots.py             PNG files
    seeds.py             a command of its own: whether trainings with several seeds agree
    families.py          another: each family of isochrones against stars of known luminosity
    leave_one_out.py     another: trainings without each family, measured on its stars
"""

import argparse
import os
import sys
import time
from pathlib import Path

from astra.errors import AstraError, UsageError

ROOT = Path(__file__).resolve().parents[2]

#: Stars per part with --quick.
FEW = 500

#: Stars of the second simulator, those whose mean spectrum is compared, those of each group beyond the
#: emulators; and simulated clusters.
N_SECOND, N_MEAN, N_BEYOND, N_CLUSTERS = 15_000, 2500, 2000, 200


def main() -> int:
    """Read the arguments, measure and print; return the exit code."""
    arguments = _arguments()
    try:
        return _validate(arguments)
    except AstraError as error:
        print(f"default_model: error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="default_model", description=__doc__.splitlines()[0])
    parser.add_argument("--weights", help="path or name of a model; default: the one that astra run takes")
    parser.add_argument(
        "--shared", type=Path, default=os.environ.get("ASTRA_SHARED", ROOT.parent / "shared"),
        help="folder of public data (default: $ASTRA_SHARED, else ../shared)",
    )  # fmt: skip
    parser.add_argument("--grids", type=Path, help="the wheel of lachesis-grids: stars of several isochrones")
    parser.add_argument("--n", type=int, default=20_000, help="held-out stars")
    parser.add_argument(
        "--seed", type=int, default=10501, help="of the stars; other than that of any training"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/validation"), help="folder for plots and JSON"
    )
    parser.add_argument("--quick", action="store_true", help=f"at most {FEW} stars in each part")
    return parser.parse_args()


def _validate(arguments: argparse.Namespace) -> int:
    if arguments.n < 1:
        raise UsageError(f"--n {arguments.n}: give 1 or more stars")
    started = time.monotonic()
    # Only now: torch takes seconds, and --help should not.
    from measuring import load_model
    from table import all_met, printed, save

    model = load_model(arguments.weights)
    arguments.out.mkdir(parents=True, exist_ok=True)
    sections = _measured(model, arguments)
    about = {
        "weights": {"name": model.weights.name, "sha256": model.weights.sha256, "path": str(model.path)},
        "seed": arguments.seed,
        "quick": arguments.quick,
        "seconds": round(time.monotonic() - started, 1),
    }
    print(f"model {model.weights.name}, sha256 {model.weights.sha256[:12]}, {model.path}\n")
    print(printed(sections))
    save(sections, about, arguments.out / "metrics.json")
    print(f"\n{arguments.out}: metrics.json and plots; {about['seconds']:.0f} s", file=sys.stderr)
    return 0 if all_met(sections) else 1


def _measured(model, arguments: argparse.Namespace) -> list:
    """All sections, one part after the other; plots on the way."""
    import plots
    from beyond import beyond_section
    from held_out import held_out_section, measured_held_out
    from in_bins import in_bins_sections, lost_section
    from isochrone_labels import draw_neighbours
    from mean_spectrum import mean_section
    from model_file import file_section
    from real_labels import RealLabels, cluster_medians, label_sections
    from real_spectra import real_section
    from second_simulator import second_sections
    from simulated_clusters import MEMBERS, cluster_section

    from astra.modelling.simulator.masks import read_patterns
    from astra.modelling.simulator.published import full_simulator
    from astra.modelling.simulator.sample import simulate
    from astra.modelling.simulator.simulator import Conditions
    from astra.modelling.training.from_simulator import LUMINOSITIES

    data, out, seed = arguments.shared / "data", arguments.out, arguments.seed
    n = min(arguments.n, FEW) if arguments.quick else arguments.n
    isochrones = [data / "isochrones" / "padova_jhk", *([arguments.grids] if arguments.grids else [])]
    simulator = full_simulator(data / "spectra_models", *isochrones)
    patterns = read_patterns(data / "apstar")

    real = real_section(model, data / "apstar")
    found = measured_held_out(model, simulator, patterns, n, seed)
    plots.plot_held_out(found, out)
    drawn = (model, simulator, patterns)
    in_bins = []
    for number, luminosity in enumerate(LUMINOSITIES):
        in_bins += in_bins_sections(*drawn, n, seed + 1 + number, luminosity)
    plots.plot_trade_off(in_bins, out)
    in_bins.append(lost_section(*drawn, n, seed))
    in_bins.append(beyond_section(*drawn, min(n, N_BEYOND), seed))
    in_bins.append(cluster_section(*drawn, FEW // MEMBERS if arguments.quick else N_CLUSTERS, seed))

    neighbours = draw_neighbours(simulator.population, seed)
    measurer = RealLabels(model, simulator, neighbours, patterns, seed)
    of_labels, compared = label_sections(measurer, neighbours, data, FEW if arguments.quick else None)
    for name in ("Hipparcos", "APOKASC"):
        each = compared[name]
        plots.plot_comparison(name, each.catalog.fakemag, each.r, each.r_labels, each.catalog.group, out)
    plots.plot_clusters(cluster_medians(compared["clusters"]), out)

    of_second = second_sections(model, simulator, found, min(n, N_SECOND), seed)
    giants = [compared[name].catalog for name in ("Hipparcos", "APOKASC", "clusters")]
    of_mean, spectra = mean_section(
        model, simulator, patterns, giants, data / "published_model", min(n, N_MEAN), seed
    )
    plots.plot_mean(spectra, out)
    few = simulate(simulator, 8, seed=seed, conditions=Conditions(), patterns=patterns)
    return [
        held_out_section(found),
        *in_bins,
        *of_labels,
        *of_second,
        real,
        of_mean,
        file_section(model, few),
    ]


if __name__ == "__main__":
    sys.exit(main())
