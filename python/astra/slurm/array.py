"""A job array: the command of sbatch that submits it, and the script that each of its tasks runs.

A task of the array is one ``astra run`` on one machine, with as many local processes as asked for
(``--procs``) and a core for each; the tasks (``--nodes``) need no other link than the database. Slurm may put
two of them on one machine that has room for both.

The script holds words of the command line alone: the address of the database and its password travel in the
environment, which sbatch hands on.
"""

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from astra.config import SlurmSettings

#: How a worker names the job in the record of its run: this, the job, ``_``, and the task of the array.
JOB_PREFIX = "slurm-"

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# The shell cannot become the worker (`exec`): it has to keep the worker's exit code, for whoever waits
# without Slurm's accounting. Slurm tells the shell to stop; a wait that a trap cuts short is repeated.
_SCRIPT = """\
#!/usr/bin/env bash
# One task of a job array of `astra srun`.
ended={logs}/"${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}.exit"
rm -f "$ended"
export {threads}
{worker} &
worker=$!
trap 'stopping=yes; kill -TERM "$worker" 2>/dev/null' TERM INT
while stopping=; wait "$worker"; code=$?; [ -n "$stopping" ]; do :; done
echo "$code" > "$ended"
exit "$code"
"""

# Before the end of its time a worker is told to stop; it then finishes what it has in hand.
_LONGEST_NOTICE_S = 120


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
    """

    name: str
    words: tuple[str, ...]
    options: SlurmSettings
    logs: Path
    folder: Path
    limit: int | None = None

    @property
    def tasks(self) -> int:
        """How many tasks it has: none has nothing to do."""
        nodes = self.options.nodes
        return nodes if self.limit is None else min(nodes, self.limit)

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
    for name in ("partition", "account", "qos", "time", "mem", "gres"):
        if (value := getattr(options, name)) is not None:
            command.append(f"--{name}={value}")
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
    threads = " ".join(f'{name}="${{SLURM_CPUS_PER_TASK:-1}}"' for name in _THREADS)
    return _SCRIPT.format(logs=shlex.quote(str(array.logs)), threads=threads, worker=worker)


def notice_s(time: str | None) -> int:
    """How many seconds before the end of its time a worker is told to stop.

    Args:
        time: The limit as Slurm takes it: minutes, ``M:S``, ``H:M:S``, ``D-H``, ``D-H:M``, ``D-H:M:S``.
    """
    seconds = _seconds(time)
    return _LONGEST_NOTICE_S if seconds is None else max(1, min(_LONGEST_NOTICE_S, seconds // 10))


def _seconds(time: str | None) -> int | None:
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time or "")
    if not found:
        return None
    days, *parts = (int(part) if part else 0 for part in found.groups())
    given = sum(part is not None for part in found.groups()[1:])
    if found[1] or given == 3:
        hours, minutes, seconds = parts
    else:
        hours, minutes, seconds = 0, parts[0], parts[1]
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
