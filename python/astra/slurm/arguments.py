"""What ``astra srun`` can be asked: the command line, and the profiles of the settings below it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from astra.errors import UsageError
from astra.running.arguments import AsJson, RunArguments, SharedArguments, TaskName, Words
from astra.system.arguments import option_name

if TYPE_CHECKING:
    from astra.config import SlurmSettings

#: The profile that always applies.
DEFAULT_PROFILE = "default"

#: Where the logs go if nothing else is said, below the current folder.
LOGS = Path("astra-logs")

_DEFAULTS = {"nodes": 1, "procs": 1, "logs": LOGS}

ForSlurm = Annotated[str | None, Option(help="For Slurm.")]


@dataclass(frozen=True, kw_only=True)
class SrunArguments:
    """The arguments of ``astra srun``."""

    task: TaskName
    what: Words = None
    nodes: Annotated[
        int | None, Option(min=1, help="Tasks of the array, each on one machine.  [default: 1]")
    ] = None
    procs: Annotated[int | None, Option(min=1, help="Processes of each, a core each.  [default: 1]")] = None
    limit: Annotated[int | None, Option(min=1, help="Stop after this many spectra in all.")] = None
    profile: Annotated[str | None, Option(metavar="NAME", help="Options under `slurm` in the settings.")] = (
        None
    )
    partition: ForSlurm = None
    account: ForSlurm = None
    qos: ForSlurm = None
    time: Annotated[str | None, Option(help="For Slurm: longest time of a task, e.g. 48:00:00.")] = None
    mem: Annotated[str | None, Option(help="For Slurm: memory of a task, MB or e.g. 16G.")] = None
    gres: Annotated[str | None, Option(help="For Slurm, e.g. gpu:v100.")] = None
    array_limit: Annotated[int | None, Option(min=1, help="Tasks that may run at the same time.")] = None
    logs: Annotated[Path | None, Option(metavar="DIR", help="Folder of logs.  [default: astra-logs]")] = None
    no_wait: Annotated[bool, Option("--no-wait", help="Print the job's number, and do not wait.")] = False
    dry_run: Annotated[
        bool, Option("--dry-run", help="Print what would be submitted, and submit nothing.")
    ] = False
    shared: SharedArguments = SharedArguments()
    max_runtime: Annotated[
        float | None, Option(min=0, metavar="S", help="Start no batch after S seconds of a task.")
    ] = None
    as_json: AsJson = False

    def of_worker(self, before: str | None) -> RunArguments:
        """The arguments of each task's ``astra run``, without its limit and its processes.

        Args:
            before: Which rows are taken again: the same for all workers, so that each is taken once.
        """
        shared = replace(self.shared, before=before)
        return RunArguments(task=self.task, what=self.what, shared=shared, max_runtime=self.max_runtime)

    def options_in_force(self, profiles: Mapping[str, "SlurmSettings"]) -> "SlurmSettings":
        """The options for Slurm: the command line beats the chosen profile, this beats ``default``.

        Args:
            profiles: Those of the settings.

        Raises:
            UsageError: There is no such profile, or an option is empty.
        """
        from pydantic import ValidationError

        from astra.config import SlurmSettings

        if self.profile is not None and self.profile not in profiles:
            known = ", ".join(sorted(profiles)) or "none"
            raise UsageError(f"no profile {self.profile!r} under 'slurm' in the settings; there are: {known}")
        values = dict(_DEFAULTS)
        for name in (DEFAULT_PROFILE, self.profile):
            if name in profiles:
                values |= profiles[name].model_dump(exclude_none=True)
        named = {name: getattr(self, name) for name in SlurmSettings.model_fields}
        values |= {name: value for name, value in named.items() if value is not None}
        try:
            return SlurmSettings.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise UsageError(f"{option_name(str(first['loc'][0]))}: {first['msg'].lower()}") from None
