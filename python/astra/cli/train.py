"""``astra train``."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from astra.cli.console import note, progress, say
from astra.cli.run import Device
from astra.errors import UsageError

if TYPE_CHECKING:
    from astra.modelling.training.parallaxes import Cuts
    from astra.modelling.training.request import TrainingRequest

app = typer.Typer(help="Make weights of one's own.", rich_markup_mode=None)

EXAMPLES = """Examples:

  astra train astronn_dist --from simulator --output my.safetensors

  astra train astronn_dist --from database --output dr17.safetensors --device cuda

  astra train astronn_dist --from database --output dr17.safetensors --max-ruwe 1.2 --zero-point -0.029

  astra run astronn_dist --weights dr17.safetensors
"""


class Origin(StrEnum):
    """What the network learns from."""

    SIMULATOR = "simulator"
    DATABASE = "database"


Output = Annotated[Path, typer.Option(metavar="FILE", help="The weights to make: a .safetensors file.")]
From = Annotated[
    Origin,
    typer.Option("--from", help="Simulated stars, or the spectra of the database that have parallaxes."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The same seed gives the same weights.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="How often each spectrum is used, at most.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Spectra in one step.")]
LearningRate = Annotated[float | None, typer.Option(help="The largest, of Adam.")]
Patience = Annotated[
    int | None, typer.Option(min=1, help="Stop after this many epochs without a better validation.")
]
DeviceName = Annotated[Device, typer.Option(help="Where the network is trained.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Compute threads; default: one for each core.")]
Work = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Keeps examples and checkpoints; default: FILE without suffix, .training."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace FILE.")]

NumberOfStars = Annotated[
    int | None, typer.Option("--n-stars", min=1, metavar="N", help="Simulator: how many stars.")
]
SpectraModels = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Simulator: published emulators, instead of our own.")
]
Isochrones = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Simulator: isochrones, with --spectra-models.")
]
MasksFrom = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Simulator: apStar files whose masks are used.")
]

MaxRuwe = Annotated[
    float | None, typer.Option(metavar="X", help="Database: RUWE of the astrometry below this; default 1.4.")
]
AnyRuwe = Annotated[
    bool, typer.Option("--any-ruwe", help="Database: also stars without RUWE, or a large one.")
]
MinSnr = Annotated[float | None, typer.Option(metavar="X", help="Database: S/N above this; default 200.")]
MaxEbv = Annotated[float | None, typer.Option(metavar="MAG", help="Database: E(B-V) at most; default: any.")]
AnyStarflag = Annotated[
    bool, typer.Option("--any-starflag", help="Database: also spectra with bits set in STARFLAG.")
]
ZeroPoint = Annotated[
    float | None,
    typer.Option(metavar="MAS", help="Database: subtracted from every parallax; -0.029 for Gaia DR2."),
]

#: The options that belong to one origin only.
OF_SIMULATOR = ("n_stars", "spectra_models", "isochrones", "masks_from")
OF_DATABASE = ("max_ruwe", "any_ruwe", "min_snr", "max_ebv", "any_starflag", "zero_point")

#: How a file names the database that it was made from: secrets are masked in the address.
PLACE = tuple(f"database.{name}" for name in ("path", "url", "host", "port", "dbname", "schema"))


@app.command("astronn_dist", epilog=EXAMPLES)
def astronn_dist(
    output: Output,
    origin: From,
    seed: Seed = 0,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    patience: Patience = None,
    device: DeviceName = Device.AUTO,
    threads: Threads = None,
    work: Work = None,
    overwrite: Overwrite = False,
    n_stars: NumberOfStars = None,
    spectra_models: SpectraModels = None,
    isochrones: Isochrones = None,
    masks_from: MasksFrom = None,
    max_ruwe: MaxRuwe = None,
    any_ruwe: AnyRuwe = False,
    min_snr: MinSnr = None,
    max_ebv: MaxEbv = None,
    any_starflag: AnyStarflag = False,
    zero_point: ZeroPoint = None,
) -> None:
    """Train the network of the distances, and write its weights and a report.

    What was done survives a kill: the same command goes on from there. Exit codes: 0 done, 2 wrong usage,
    69 database not reachable, 74 the disk is full, 75 stopped before the end: run again, 78 wrong
    configuration or too few spectra, 130 stopped at once by a second Ctrl-C.
    """
    arguments = locals()
    _refuse(arguments, OF_DATABASE if origin is Origin.SIMULATOR else OF_SIMULATOR, origin)
    from astra.modelling.training.report.writing import report_path
    from astra.modelling.training.request import TrainingRequest

    names = ("output", "seed", "epochs", "batch_size", "learning_rate", "patience", "threads", "work")
    request = TrainingRequest(
        **{name: arguments[name] for name in names}, device=device.value, overwrite=overwrite
    )
    request.check()
    train = _from_simulator if origin is Origin.SIMULATOR else _from_database
    made = train(request, arguments)
    say(f"weights: {made}")
    say(f"report:  {report_path(made)}")
    note(f"examples are kept in {request.folder} for the next training; remove it if there is none")


def _refuse(arguments: dict[str, Any], names: tuple[str, ...], origin: Origin) -> None:
    for name in names:
        if arguments[name] is not None and arguments[name] is not False:
            raise UsageError(f"--{name.replace('_', '-')} has no meaning with --from {origin.value}")


def _from_database(request: "TrainingRequest", arguments: dict[str, Any]) -> Path:
    from astra.cli.session import database_session
    from astra.modelling.training.from_database import train_from_database

    cuts, zero_point = _cuts(arguments), arguments["zero_point"] or 0.0
    if not math.isfinite(zero_point):
        raise UsageError(f"--zero-point {zero_point}: give a number")
    with database_session() as settings, _stages() as update:
        place = {name: str(value) for name, value, _ in settings.flat() if name in PLACE}
        return train_from_database(request, cuts, zero_point=zero_point, database=place, on_progress=update)


def _cuts(arguments: dict[str, Any]) -> "Cuts":
    from astra.modelling.training.parallaxes import Cuts

    if arguments["any_ruwe"] and arguments["max_ruwe"] is not None:
        raise UsageError("--any-ruwe and --max-ruwe contradict each other: give one of them")
    names = ("max_ruwe", "min_snr", "max_ebv")
    given = {name: arguments[name] for name in names if arguments[name] is not None}
    if arguments["any_ruwe"]:
        given["max_ruwe"] = None
    if arguments["any_starflag"]:
        given["forbidden_starflags"] = 0
    return Cuts(**given)


def _from_simulator(request: "TrainingRequest", arguments: dict[str, Any]) -> Path:
    from astra.modelling.training.from_simulator import train_from_simulator

    options = {name: arguments[name] for name in OF_SIMULATOR}
    with _stages() as update:
        return train_from_simulator(request, **options, on_progress=update)


@contextmanager
def _stages() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show how far each stage of a work is, one after the other."""
    with ExitStack() as stack:
        current, show = None, None

        def update(what: str, done: int, total: int | None = None) -> None:
            nonlocal current, show
            if what != current:
                stack.close()
                current, show = what, stack.enter_context(progress(what))
            show(done, total)

        yield update
