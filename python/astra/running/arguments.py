"""What ``astra run`` can be asked: the command line shows it, and ``astra srun`` hands it on to its workers.

Only the command line and ``srun`` load this: a run does without typer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from astra.system.arguments import argument, further_options, option


class Device(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


#: Options that commands offer for every task, so that they are in one place and mean one thing.
OF_EVERY_TASK = ("weights", "seed", "device", "batch_size")

#: Those among them that only a task with a parameter of this name takes.
OF_SOME_TASKS = {*OF_EVERY_TASK} - {"batch_size"}


class Retry(StrEnum):
    """Which rows to replace."""

    NO_RESULT = "no_result"


@dataclass(frozen=True, kw_only=True)
class TargetArguments:
    """What a task is run on."""

    task: str = argument(help="The task by its name, e.g. astronn_dist, or its dotted path.")
    what: list[str] | None = argument(
        None, metavar="MODEL|STAR", help="Model of the spectra; stars by sdss_id or APOGEE id."
    )


@dataclass(frozen=True, kw_only=True)
class SharedArguments:
    """Arguments of a run that are the same here and on Slurm."""

    batch_size: int | None = option(min=1, help="Spectra in one transaction.")
    device: Device | None = option(help="Where the network runs.")
    weights: str | None = option(help="Weights: a path, or a name of `astra models list`.")
    weights_origin: str | None = option(hidden=True, help="What chose them, for the record.")
    seed: int | None = option(min=0, max=2**63 - 1, help="Seed of the dropout masks.")
    overwrite: bool = option("--overwrite", default=False, help="Take all spectra, done or not.")
    retry: Retry | None = option(help="Take failed spectra again.")
    before: str | None = option(metavar="TIME", help="Take again only what is older (UTC).")
    where: str | None = option(metavar="FILTER", help="Only such spectra and stars, in the words of SQL.")
    stars_from: Path | None = option(metavar="FILE", help="Only stars of a list or table; - for stdin.")
    changed_since: str | None = option(
        metavar="TIME", help="Only what changed since (UTC, or 24h, 7d): spectra, or their stars."
    )
    allow_mixed: bool = option(
        "--allow-mixed", default=False, help="Accept rows made by other weights or options."
    )
    into: str | None = option(metavar="trial-NAME", help="Write into a trial beside production.")
    ebv_from: str | None = option(
        metavar="COLUMN|TABLE", help="Of a new trial: E(B-V) from this column of source, or this file."
    )
    task_options: Mapping[str, Any] = further_options()

    @property
    def of_task(self) -> dict[str, Any]:
        """The options that the caller set for the task itself."""
        device = self.device and self.device.value
        options = {"weights": self.weights, "seed": self.seed, "device": device}
        return {name: value for name, value in options.items() if value is not None} | self.task_options

    def with_options(self, further: Mapping[str, Any]) -> Self:
        """The same, with further options for the task itself."""
        own = {name: value for name, value in further.items() if name in OF_EVERY_TASK}
        others = {name: value for name, value in further.items() if name not in OF_EVERY_TASK}
        return replace(self, task_options={**self.task_options, **others}, **own)


@dataclass(frozen=True, kw_only=True)
class RunArguments(TargetArguments):
    """The arguments of ``astra run``."""

    limit: int | None = option(min=1, help="Stop after this many spectra.")
    page: str | None = option(metavar="I/N", help="Only spectra with spectrum_pk % N = I - 1.")
    workers: int = option(default=1, min=1, help="Local processes.")
    shared: SharedArguments = SharedArguments()
    fill: str | None = option(
        metavar="NAME", help="Fill columns of rows that lack them, without measuring anything again."
    )
    dry_run: bool = option("--dry-run", default=False, help="Count what is pending, and do nothing.")
    count: bool = option("--count", default=False, help="Count what is pending before starting.")
    max_runtime: float | None = option(min=0, metavar="S", help="Start no batch after S seconds.")
    job: str | None = option(metavar="NAME", help="The job this is a part of, for the record.")
    as_json: bool = option("--json", default=False, help="Print the sum as one JSON object.")
