"""A run on Slurm: what ``astra srun`` can be asked, and the job array that it submits.

A task of the array is one ``astra run`` on one machine, with as many local processes as asked for
(``--procs``) and a core for each; the tasks (``--nodes``) need no other link than the database. Slurm may put
two of them on one machine that has room for both.

The script holds words of the command line alone: the address of the database and its password travel in the
environment, which sbatch hands on.
"""

import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astra.errors import UsageError, nearest
from astra.running.arguments import RunArguments, SharedArguments, TargetArguments
from astra.system.arguments import option, option_name
from astra.system.processes import THREAD_VARIABLES

if TYPE_CHECKING:
    from astra.config import SlurmSettings
    from astra.running.going_on import Settled

#: How a worker names the job in the record of its run: this, the job, ``_``, and the task of the array.
JOB_PREFIX = "slurm-"

#: The profile that always applies, and the options where no profile and no argument names them.
_DEFAULT_PROFILE = "default"
_DEFAULTS = {"nodes": 1, "procs": 1, "logs": Path("astra-logs")}

# The shell cannot become the worker (`exec`): it has to keep the worker's exit code, which is needed where
# Slurm keeps no accounting. Slurm tells the shell to stop. A signal cuts a wait short, with its own code: the
# code that counts is asked for once the worker has ended. No trap is changed while signals may come, since
# bash 5.2 then loses count of them: it returns their code instead of the worker's, or crashes.
_SCRIPT = """\
#!/usr/bin/env bash
# One task of a job array of `astra srun`.
ended={logs}/"${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}.exit"
rm -f "$ended"
export {threads}
{worker} &
worker=$!
# Handed on once: a second signal would kill a worker that has drained, just before it ends.
trap '[ -n "$told" ] || {{ told=yes; kill -TERM "$worker" 2>/dev/null; }}' TERM INT
while kill -0 "$worker" 2>/dev/null; do wait "$worker"; done
wait "$worker"; code=$?
echo "$code" > "$ended"
exit "$code"
"""

# Shortly before the end of its time Slurm sends a worker SIGTERM, and it drains.
_LONGEST_NOTICE_S = 120


@dataclass(frozen=True, kw_only=True)
class SrunArguments(TargetArguments):
    """The arguments of ``astra srun``."""

    nodes: int | None = option(min=1, help="Tasks of the array, each on one machine.  [default: 1]")
    procs: int | None = option(min=1, help="Processes of each, a core each.  [default: 1]")
    limit: int | None = option(min=1, help="Stop after this many spectra in all.")
    profile: str | None = option(metavar="NAME", help="Options under `slurm` in the settings, or sdss.")
    partition: str | None = option(help="The partition of Slurm.")
    account: str | None = option(help="The account at Slurm.")
    qos: str | None = option(help="The quality of service of Slurm.")
    time: str | None = option(help="The longest time of a task, e.g. 48:00:00.")
    mem: str | None = option(help="The memory of a task, in MB or e.g. 16G.")
    gres: str | None = option(help="Generic resources of Slurm, e.g. gpu:v100.")
    array_limit: int | None = option(min=1, help="Tasks that may run at the same time.")
    logs: Path | None = option(metavar="DIR", help="Folder of logs.  [default: astra-logs]")
    no_wait: bool = option("--no-wait", default=False, help="Print the job's number, and do not wait.")
    dry_run: bool = option(
        "--dry-run", default=False, help="Print what would be submitted, and submit nothing."
    )
    shared: SharedArguments = SharedArguments()
    max_runtime: float | None = option(min=0, metavar="S", help="Start no batch after S seconds of a task.")
    as_json: bool = option("--json", default=False, help="Print the sum as one JSON object.")

    def of_worker(self, before: str | None, changed_since: str | None, settled: "Settled") -> RunArguments:
        """The arguments of each task's ``astra run``, without its limit and its processes.

        Args:
            before: Rows from before this time are replaced: one time for all workers, so that each is
                replaced once.
            changed_since: Likewise one time, where that was given as so many hours ago.
            settled: With what all workers work.
        """
        stars_from = self.shared.stars_from and self.shared.stars_from.absolute()
        known = {"before": before, "changed_since": changed_since, "stars_from": stars_from}
        # A trial keeps what it was made with.
        shared = replace(self.shared, **known, ebv_from=None)
        if settled.from_rows:
            origin = settled.provenance.weights_origin
            shared = replace(shared.with_options(settled.from_rows), weights_origin=origin)
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

        values = {name: value for _, layer in self._layers(profiles) for name, value in layer.items()}
        try:
            return SlurmSettings.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise UsageError(f"{option_name(str(first['loc'][0]))}: {first['msg'].lower()}") from None

    def origins(self, profiles: Mapping[str, "SlurmSettings"]) -> dict[str, str]:
        """Where each of the options in force comes from.

        Args:
            profiles: Those of the settings.

        Raises:
            UsageError: There is no such profile.
        """
        return {name: origin for origin, layer in self._layers(profiles) for name in layer}

    def _layers(self, profiles: Mapping[str, "SlurmSettings"]) -> list[tuple[str, dict[str, Any]]]:
        """Where options come from and which these are, the strongest last."""
        from astra.config import BUILT_IN_PROFILES, SlurmSettings

        if self.profile is not None and self.profile not in profiles:
            there = nearest(self.profile, sorted(profiles), "there are:")
            raise UsageError(f"no profile {self.profile!r} under 'slurm' in the settings{there}")
        layers: list[tuple[str, dict[str, Any]]] = [("default", _DEFAULTS)]
        for name in (_DEFAULT_PROFILE, self.profile):
            if name in profiles:
                built_in = ", built in" if profiles[name] == BUILT_IN_PROFILES.get(name) else ""
                layers.append((f"profile {name}{built_in}", profiles[name].model_dump(exclude_none=True)))
                if built_in and self.account is not None:
                    # As upstream has it: an account has a partition of its name.
                    layers.append(("as the account", {"partition": self.account}))
        named = {name: getattr(self, name) for name in SlurmSettings.model_fields}
        given = {name: value for name, value in named.items() if value is not None}
        return [*layers, ("command line", given)]


@dataclass(frozen=True)
class JobArray:
    """What is submitted.

    Attributes:
        name: Name of the job.
        words: The command line of a worker, after ``astra``, without its limit and its processes.
        options: For Slurm.
        logs: The folder of logs; absolute.
        folder: Where the tasks run.
        limit: At most so many spectra in all tasks together.
        origins: Where each of the options comes from.
    """

    name: str
    words: tuple[str, ...]
    options: "SlurmSettings"
    logs: Path
    folder: Path
    limit: int | None = None
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def tasks(self) -> int:
        """How many tasks it has; under a limit, no more than one for each spectrum."""
        nodes = self.options.nodes
        return nodes if self.limit is None else min(nodes, self.limit)

    def options_with_origins(self) -> dict[str, dict[str, str]]:
        """The options in force, each with its value and its origin, as ``astra config show`` has settings."""
        values = self.options.model_dump(mode="json", exclude_none=True)
        return {name: {"value": str(value), "origin": self.origins[name]} for name, value in values.items()}

    @property
    def shares(self) -> tuple[int, int]:
        """The limit of each task, and how many of the first ones take one spectrum more."""
        return divmod(self.limit or 0, self.tasks)


def sbatch_command(array: JobArray) -> list[str]:
    """The command that submits the array; it reads the script from its standard input."""
    options = array.options
    tasks = f"0-{array.tasks - 1}" + (f"%{options.array_limit}" if options.array_limit else "")
    # Slurm replaces what begins with % in the name of a file.
    logs = str(array.logs).replace("%", "%%")
    command = ["sbatch", "--parsable", f"--job-name={array.name}", f"--array={tasks}"]
    command += ["--nodes=1", "--ntasks=1", f"--cpus-per-task={options.procs}"]
    named = {name: getattr(options, name) for name in ("partition", "account", "qos", "time", "mem", "gres")}
    command += [f"--{name}={value}" for name, value in named.items() if value is not None]
    command += [f"--signal=B:TERM@{notice_s(options.time)}", "--export=ALL", f"--chdir={array.folder}"]
    # A worker that Slurm starts again does not know how much of its limit is used up.
    command += ["--no-requeue"] if array.limit is not None else []
    return [*command, f"--output={logs}/%A_%a.log"]


def batch_script(array: JobArray) -> str:
    """The script that each task of the array runs."""
    # -P: what lies in the current folder is not imported.
    words = [sys.executable, "-P", "-m", "astra", *array.words, f"--workers={array.options.procs}"]
    worker = shlex.join(words) + f' --job="{JOB_PREFIX}${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"'
    if array.limit is not None:
        share, more = array.shares
        worker += f' --limit="$(({share} + (SLURM_ARRAY_TASK_ID < {more})))"'
    # Slurm does not confine its jobs to their cores everywhere.
    threads = " ".join(f'{name}="${{SLURM_CPUS_PER_TASK:-1}}"' for name in THREAD_VARIABLES)
    return _SCRIPT.format(logs=shlex.quote(str(array.logs)), threads=threads, worker=worker)


def notice_s(time: str | None) -> int:
    """How many seconds before the end of its time a worker gets SIGTERM.

    Args:
        time: The limit as Slurm takes it: minutes, ``M:S``, ``H:M:S``, ``D-H``, ``D-H:M``, ``D-H:M:S``.
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time or "")
    if not found:
        return _LONGEST_NOTICE_S
    days, *parts = (int(part or 0) for part in found.groups())
    if found[1] is None and found[4] is None:  # minutes come first
        parts = [0, *parts[:2]]
    hours, minutes, seconds = parts
    seconds += ((days * 24 + hours) * 60 + minutes) * 60
    return max(1, min(_LONGEST_NOTICE_S, seconds // 10))
