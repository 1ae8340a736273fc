"""What a training can be asked for: the arguments of ``astra train``, and the options that follow from them.

The command line loads this for ``--help``: nothing that takes long to import stands here.
"""

import math
from dataclasses import MISSING, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from astra.errors import ConfigError, UsageError
from astra.running.arguments import Device
from astra.system.arguments import option, specified

if TYPE_CHECKING:
    from astra.modelling.training.parallaxes import Cuts

Loss = Literal["logarithmic", "linear"]

# Parts of its largest value at which the learning rate starts and ends.
START = 0.01
END = 0.001


class Origin(StrEnum):
    """What the network learns from."""

    SIMULATOR = "simulator"
    DATABASE = "database"


@dataclass(frozen=True, kw_only=True)
class SimulatorArguments:
    """Arguments that have a meaning with ``--from simulator`` only."""

    n_stars: int | None = option(min=1, metavar="N", help="Simulator: how many stars.")
    spectra_models: Path | None = option(
        metavar="FOLDER", help="Simulator: published emulators, instead of our own."
    )
    isochrones: list[Path] | None = option(
        metavar="PATH",
        help="Simulator: Padova isochrones, with --spectra-models; and the wheel of lachesis-grids.",
    )
    families: list[str] | None = option(
        metavar="NAME", help="Simulator: families of isochrones, with that wheel; default: those that agree."
    )
    masks_from: Path | None = option(metavar="FOLDER", help="Simulator: apStar files whose masks are used.")


@dataclass(frozen=True, kw_only=True)
class DatabaseArguments:
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
        metavar="MAS", help="Database: subtracted from every parallax; of Gaia DR3 -0.034, of DR2 -0.0523."
    )

    def cuts(self) -> "Cuts":
        """The cuts that are asked for, else the defaults; checks the zero-point as well.

        Raises:
            UsageError: Arguments contradict each other, or a number is not finite.
        """
        from astra.modelling.training.parallaxes import Cuts

        if self.any_ruwe and self.max_ruwe is not None:
            raise UsageError("--any-ruwe and --max-ruwe contradict each other: give one of them")
        cuts = specified(self)
        if cuts.pop("any_ruwe", False):
            cuts["max_ruwe"] = None
        if cuts.pop("any_starflag", False):
            cuts["forbidden_starflags"] = 0
        if not math.isfinite(zero_point := cuts.pop("zero_point", 0.0)):
            raise UsageError(f"--zero-point {zero_point}: give a number")
        return Cuts(**cuts)


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """The arguments of ``astra train``; the recipe of the origin decides what is ``None``."""

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
    simulator: SimulatorArguments = SimulatorArguments()
    database: DatabaseArguments = DatabaseArguments()

    @property
    def folder(self) -> Path:
        """The folder for examples and checkpoints."""
        return self.work or self.output.with_name(f"{self.output.stem}.training")

    def options(self, **of_recipe: Any) -> "TrainingOptions":
        """The options in force: those asked for, else those of the recipe, else the defaults.

        Raises:
            ConfigError: An option is out of its range.
        """
        asked = {name: getattr(self, name) for name in ("epochs", "batch_size", "learning_rate", "patience")}
        return TrainingOptions(
            **of_recipe | {name: value for name, value in asked.items() if value is not None}
        )


@dataclass(frozen=True)
class TrainingOptions:
    """Options of :func:`~astra.modelling.training.loop.train`; plain JSON."""

    epochs: int = 30
    """How often each example is used, at most."""

    batch_size: int = 128

    learning_rate: float = 1e-3
    """The largest, of Adam."""

    warm_up: float = 0.1
    """Part of all steps in which the learning rate rises; then it falls as a cosine."""

    loss: Loss = "logarithmic"

    beta: float = 0.5
    """See :func:`losses.logarithmic`; in the first half of the epochs, and for that loss alone."""

    averaging: float = 0.999
    """Decay per step of the exponential average of the weights, which is validated and is the result."""

    patience: int = 10
    """Stop after this many epochs without a better validation."""

    weight_decay: float = 0.0
    """L2: half of this times the sum of the squares of the weights is added to the loss."""

    largest_gradient: float = 5.0
    """Norm to which a larger gradient is shortened."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "patience", "largest_gradient"):
            self._demand(name, getattr(self, name) > 0, "positive")
        for name in ("warm_up", "beta", "averaging"):
            self._demand(name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        self._demand("weight_decay", self.weight_decay >= 0, "at least 0")
        self._demand("loss", self.loss in get_args(Loss), "logarithmic or linear")

    def _demand(self, name: str, fulfilled: bool, demand: str) -> None:
        if not fulfilled:
            raise ConfigError(f"training option {name}: {getattr(self, name)}; it must be {demand}")

    def rate(self, step: int, n_steps: int) -> float:
        """Learning rate of a step from 0 on: one cycle (Smith & Topin 2018, arXiv:1708.07120) of cosines."""
        rising = self.warm_up * n_steps
        if step < rising:
            low, part = START, 1 - step / rising
        else:
            low, part = END, (step - rising) / max(1.0, n_steps - rising)
        return self.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * part)))

    def beta_in(self, epoch: int) -> float:
        """Exponent of the weights of an epoch, the first being 0."""
        return self.beta if 2 * epoch < self.epochs else 0.0
