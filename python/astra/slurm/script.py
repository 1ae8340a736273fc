"""The command of sbatch, and the script that each task of an array runs.

A task of the array is one ``astra run`` on one machine, with as many local processes as asked for
(``--procs``) and a core for each; the tasks (``--nodes``) need no other link than the database. Slurm may put
two of them on one machine that has room for both.

The script holds words of the command line alone: the address of the database and its password travel in the
environment, which sbatch hands on.
"""

import shlex
import sys

from astra.slurm.options import JobArray, notice_s

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
