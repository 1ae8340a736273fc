"""What ``astra srun`` can be asked: the command line, and the profiles of the settings below it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from astra.errors import UsageError
from astra.running.arguments import RunArguments, SharedArguments, TargetArguments
from astra.system.arguments import option, option_name

if TYPE_CHECKING:
    from astra.config import SlurmSettings

#: The profile that always applies.
DEFAULT_PROFILE = "default"

#: Where the logs go if nothing else is said, below the current folder.
LOGS = Path("astra-logs")

_DEFAULTS = {"nodes": 1, "procs": 1, "logs": LOGS}


@dataclass(frozen=True, kw_only=True)
class SrunArguments(TargetArguments):
    """The arguments of ``astra srun``."""

    nodes: int | None = option(min=1, help="Tasks of the array, each on one machine.  [default: 1]")
    procs: int | None = option(min=1, help="Processes of each, a core each.  [default: 1]")
    limit: int | None = option(min=1, help="Stop after this many spectra in all.")
    profile: str | None = option(metavar="NAME", help="Options under `slurm` in the settings.")
    partition: str | None = option(help="For Slurm.")
    account: str | None = option(help="For Slurm.")
    qos: str | None = option(help="For Slurm.")
    time: str | None = option(help="For Slurm: longest time of a task, e.g. 48:00:00.")
    mem: str | None = option(help="For Slurm: memory of a task, MB or e.g. 16G.")
    gres: str | None = option(help="For Slurm, e.g. gpu:v100.")
    array_limit: int | None = option(min=1, help="Tasks that may run at the same time.")
    logs: Path | None = option(metavar="DIR", help="Folder of logs.  [default: astra-logs]")
    no_wait: bool = option("--no-wait", default=False, help="Print the job's number, and do not wait.")
    dry_run: bool = option(
        "--dry-run", default=False, help="Print what would be submitted, and submit nothing."
    )
    shared: SharedArguments = SharedArguments()
    max_runtime: float | None = option(min=0, metavar="S", help="Start no batch after S seconds of a task.")
    as_json: bool = option("--json", default=False, help="Print the sum as one JSON object.")

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
