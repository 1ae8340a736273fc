"""``astra simulate``."""

from dataclasses import dataclass
from pathlib import Path

from astra.cli.console import examples, say
from astra.cli.progress import progress
from astra.modelling.simulator import MAX_SNR, MIN_SNR, TARGETS
from astra.system.arguments import argument, option, takes

EXAMPLES = examples(
    "astra simulate demo/spectra --n 200",
    "astra simulate demo/spectra --n 1000 --seed 7 --min-snr 100 --overwrite",
    "astra simulate --spectra-models data/spectra_models --isochrones data/isochrones/padova_jhk",
)


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    folder: Path = argument(
        Path("simulated"), metavar="DIR", help="The folder to write to; it is made if it is not there."
    )
    n: int = option("--n", default=200, help="How many stars.")
    seed: int = option(default=0, help="The same seed gives the same files.")
    min_snr: float = option(
        default=MIN_SNR, help=f"Smallest signal-to-noise ratio per pixel; the largest is {MAX_SNR:g}."
    )
    spectra_models: Path | None = option(
        metavar="FOLDER", help="Published emulators of spectra, instead of our own."
    )
    isochrones: list[Path] | None = option(
        metavar="PATH", help="Padova isochrones, with --spectra-models; and the wheel of lachesis-grids."
    )
    overwrite: bool = option("--overwrite", default=False, help="Replace an earlier simulation in DIR.")


@takes(_Arguments)
def simulate(asked: _Arguments) -> None:
    """Simulate stars: their files, a table for the catalogue, and the truth.

    That is apStar files, targets.csv and truth.csv. The files have the layout of the survey's own, and say
    that they are simulated. `astra compare DIR` compares the distances in the database with the truth.
    """
    import shlex

    from astra.modelling.simulator.compact import choose_simulator
    from astra.modelling.simulator.stars import KINDS
    from astra.modelling.simulator.survey import write_survey

    simulator = choose_simulator(asked.spectra_models, *asked.isochrones or ())
    options = {"seed": asked.seed, "min_snr": asked.min_snr, "overwrite": asked.overwrite}
    with progress("stars") as update:
        survey = write_survey(asked.folder, simulator, asked.n, **options, on_progress=update)
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
