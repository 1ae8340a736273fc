"""``astra simulate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from astra.cli.console import progress, say

if TYPE_CHECKING:
    from astra.modelling.simulator.survey import Survey

EXAMPLES = """Examples:

  astra simulate demo/spectra --n 200

  astra simulate demo/spectra --n 1000 --seed 7 --min-snr 100 --overwrite

  astra simulate --spectra-models data/spectra_models --isochrones data/isochrones/padova_jhk
"""

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Where to; made if it is not there.")]
Number = Annotated[int, typer.Option("--n", help="How many stars.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same files.")]
MinSnr = Annotated[float, typer.Option(help="Smallest signal-to-noise ratio per pixel; the largest is 500.")]
SpectraModels = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Published emulators of spectra, instead of our own.")
]
Isochrones = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Padova isochrones, with --spectra-models.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier simulation in DIR.")]


def simulate(
    folder: Folder = Path("simulated"),
    n: Number = 200,
    seed: Seed = 0,
    min_snr: MinSnr = 20.0,
    spectra_models: SpectraModels = None,
    isochrones: Isochrones = None,
    overwrite: Overwrite = False,
) -> None:
    """Simulate stars: apStar files, a table for the catalogue (targets.csv), and the truth (truth.csv).

    The files have the layout of the survey's own, and say that they are simulated. `astra compare DIR`
    compares the distances in the database with the truth.
    """
    from astra.modelling.simulator.simulator import choose_simulator
    from astra.modelling.simulator.survey import write_survey

    simulator = choose_simulator(spectra_models, isochrones)
    with progress("stars") as update:
        survey = write_survey(
            folder, simulator, n, seed=seed, min_snr=min_snr, overwrite=overwrite, on_progress=update
        )
    _say(survey)


def _say(survey: "Survey") -> None:
    import shlex

    from astra.modelling.simulator.stars import KINDS
    from astra.modelling.simulator.survey import TARGETS

    kinds = ", ".join(f"{kind} {survey.kinds[kind]:,}" for kind in KINDS if survey.kinds[kind])
    say(f"{survey.kinds.total():,} stars in {survey.folder} ({survey.size / 1e6:,.0f} MB): {kinds}")
    snr, h_mag, dist = (survey.ranges[name] for name in ("snr", "h_mag", "dist"))
    say(
        f"S/N {snr[0]:.0f} to {snr[1]:.0f}, H {h_mag[0]:.1f} to {h_mag[1]:.1f} mag, "
        f"{dist[0]:,.0f} to {dist[1]:,.0f} pc"
    )
    folder, table = shlex.quote(str(survey.folder)), shlex.quote(str(survey.folder / TARGETS))
    say("next:")
    say("  astra init")
    say(f"  astra ingest apstar {folder} --catalog {table}")
    say("  astra run astronn_dist")
    say(f"  astra compare {folder}")
