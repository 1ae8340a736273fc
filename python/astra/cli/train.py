"""``astra train``."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from astra.cli.console import database_session, note, progress, say
from astra.errors import UsageError
from astra.running.arguments import Device
from astra.system.arguments import option, option_name, specified, takes

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


@dataclass(frozen=True, kw_only=True)
class _SimulatorArguments:
    """Arguments that have a meaning with ``--from simulator`` only."""

    n_stars: int | None = option(min=1, metavar="N", help="Simulator: how many stars.")
    spectra_models: Path | None = option(
        metavar="FOLDER", help="Simulator: published emulators, instead of our own."
    )
    isochrones: Path | None = option(metavar="FOLDER", help="Simulator: isochrones, with --spectra-models.")
    masks_from: Path | None = option(metavar="FOLDER", help="Simulator: apStar files whose masks are used.")


@dataclass(frozen=True, kw_only=True)
class _DatabaseArguments:
    """Arguments that have a meaning with ``--from database`` only."""

    max_ruwe: float | None = option(
        metavar="X", help="Database: RUWE of the astrometry below this; default 1.4."
    )
    any_ruwe: bool = option(
        "--any-ruwe", default=False, help="Database: also stars without RUWE, or a large one."
    )
    min_snr: float | None = option(metavar="X", help="Database: S/N above this; default 200.")
    max_ebv: float | None = option(metavar="MAG", help="Database: E(B-V) at most; default: any.")
    any_starflag: bool = option(
        "--any-starflag", default=False, help="Database: also spectra with bits set in STARFLAG."
    )
    zero_point: float | None = option(
        metavar="MAS", help="Database: subtracted from every parallax; -0.029 for Gaia DR2."
    )

    def cuts(self) -> "Cuts":
        """The cuts, as given or as by default."""
        from astra.modelling.training.parallaxes import Cuts

        if self.any_ruwe and self.max_ruwe is not None:
            raise UsageError("--any-ruwe and --max-ruwe contradict each other: give one of them")
        cuts = {"max_ruwe": self.max_ruwe, "min_snr": self.min_snr, "max_ebv": self.max_ebv}
        cuts = {name: value for name, value in cuts.items() if value is not None}
        if self.any_ruwe:
            cuts["max_ruwe"] = None
        if self.any_starflag:
            cuts["forbidden_starflags"] = 0
        return Cuts(**cuts)


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    output: Path = option(default=MISSING, metavar="FILE", help="The weights to make: a .safetensors file.")
    origin: Origin = option(
        "--from",
        default=MISSING,
        help="Simulated stars, or the spectra of the database that have parallaxes.",
    )
    seed: int = option(default=0, min=0, max=2**63 - 1, help="The same seed gives the same weights.")
    epochs: int | None = option(min=1, help="How often each spectrum is used, at most.")
    batch_size: int | None = option(min=1, help="Spectra in one step.")
    learning_rate: float | None = option(help="The largest, of Adam.")
    patience: int | None = option(min=1, help="Stop after this many epochs without a better validation.")
    device: Device = option(default=Device.AUTO, help="Where the network is trained.")
    threads: int | None = option(min=1, help="Compute threads; default: one for each core.")
    work: Path | None = option(
        metavar="FOLDER", help="Keeps examples and checkpoints; default: FILE without suffix, .training."
    )
    overwrite: bool = option("--overwrite", default=False, help="Replace FILE.")
    simulator: _SimulatorArguments = _SimulatorArguments()
    database: _DatabaseArguments = _DatabaseArguments()

    def request(self) -> "TrainingRequest":
        """What is asked of a training, whatever its examples are made of."""
        from astra.modelling.training.request import TrainingRequest

        values = {each.name: getattr(self, each.name) for each in fields(TrainingRequest)}
        return TrainingRequest(**values | {"device": self.device.value})


#: How a file names the database that it was made from: secrets are masked in the address.
PLACE = tuple(f"database.{name}" for name in ("path", "url", "host", "port", "dbname", "schema"))


@app.command("astronn_dist", epilog=EXAMPLES)
@takes(_Arguments)
def astronn_dist(asked: _Arguments) -> None:
    """Train the network of the distances, and write its weights and a report.

    What was done survives a kill: the same command goes on from there. Exit codes: 0 done, 2 wrong usage,
    69 database not reachable, 74 the disk is full, 75 stopped before the end: run again, 78 wrong
    configuration or too few spectra, 130 stopped at once by a second Ctrl-C.
    """
    for name in specified(asked.database if asked.origin is Origin.SIMULATOR else asked.simulator):
        raise UsageError(f"{option_name(name)} has no meaning with --from {asked.origin.value}")
    from astra.modelling.training.report.writing import report_path

    request = asked.request()
    request.check()
    if asked.origin is Origin.SIMULATOR:
        made = _from_simulator(request, asked.simulator)
    else:
        made = _from_database(request, asked.database)
    say(f"weights: {made}")
    say(f"report:  {report_path(made)}")
    note(f"examples are kept in {request.folder} for the next training; remove it if there is none")


def _from_database(request: "TrainingRequest", asked: _DatabaseArguments) -> Path:
    from astra.modelling.training.from_database import train_from_database

    cuts, zero_point = asked.cuts(), asked.zero_point or 0.0
    if not math.isfinite(zero_point):
        raise UsageError(f"--zero-point {zero_point}: give a number")
    with database_session() as settings, _stages() as update:
        place = {name: str(value) for name, value, _ in settings.flat() if name in PLACE}
        return train_from_database(request, cuts, zero_point=zero_point, database=place, on_progress=update)


def _from_simulator(request: "TrainingRequest", asked: _SimulatorArguments) -> Path:
    from astra.modelling.training.from_simulator import train_from_simulator

    with _stages() as update:
        return train_from_simulator(request, **specified(asked), on_progress=update)


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
