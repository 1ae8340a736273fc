"""What ``astra run`` can be asked: the command line shows it, and ``astra srun`` hands it on to its workers.

Only the command line and ``srun`` load this: a run does without typer.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from typer import Argument, Option


class Device(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Retry(StrEnum):
    """Which rows to take again."""

    NO_RESULT = "no_result"


TaskName = Annotated[str, Argument(help="The task, e.g. astronn_dist.")]
Words = Annotated[
    list[str] | None,
    Argument(metavar="MODEL|STAR", help="Model of the spectra; stars by sdss_id or APOGEE id."),
]
AsJson = Annotated[bool, Option("--json", help="Print the sum as one JSON object.")]


@dataclass(frozen=True, kw_only=True)
class SharedArguments:
    """Arguments of a run that are the same here and on Slurm."""

    batch_size: Annotated[int | None, Option(min=1, help="Spectra in one transaction.")] = None
    device: Annotated[Device | None, Option(help="Where the network runs.")] = None
    weights: Annotated[str | None, Option(help="Weights: a path, or a name of `astra models list`.")] = None
    seed: Annotated[int | None, Option(min=0, max=2**63 - 1, help="Seed of the dropout masks.")] = None
    overwrite: Annotated[bool, Option("--overwrite", help="Take all spectra, done or not.")] = False
    retry: Annotated[Retry | None, Option(help="Take failed spectra again.")] = None
    before: Annotated[str | None, Option(metavar="TIME", help="Take again only what is older (UTC).")] = None
    allow_mixed: Annotated[bool, Option("--allow-mixed", help="Accept rows made by other weights.")] = False

    @property
    def of_task(self) -> dict[str, Any]:
        """The options of the task that were given."""
        device = self.device and self.device.value
        options = {"weights": self.weights, "seed": self.seed, "device": device}
        return {name: value for name, value in options.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class RunArguments:
    """The arguments of ``astra run``."""

    task: TaskName
    what: Words = None
    limit: Annotated[int | None, Option(min=1, help="Stop after this many spectra.")] = None
    page: Annotated[str | None, Option(metavar="I/N", help="Only spectra with spectrum_pk % N = I - 1.")] = (
        None
    )
    workers: Annotated[int, Option(min=1, help="Local processes.")] = 1
    shared: SharedArguments = SharedArguments()
    dry_run: Annotated[bool, Option("--dry-run", help="Count what is pending, and do nothing.")] = False
    count: Annotated[bool, Option("--count", help="Count what is pending before starting.")] = False
    max_runtime: Annotated[
        float | None, Option(min=0, metavar="S", help="Start no batch after S seconds.")
    ] = None
    job: Annotated[str | None, Option(metavar="NAME", help="The job this is a part of, for the record.")] = (
        None
    )
    as_json: AsJson = False
