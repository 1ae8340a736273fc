"""Slurm's own commands: calling them, and reading what they say."""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Collection
from dataclasses import dataclass

from astra.errors import AstraError, ConfigError, Interrupted, UsageError

log = logging.getLogger("astra")

#: A command that does not answer in this time counts as not answering [s].
_TIMEOUT_S = 60.0

# Variables with which users change what these commands filter, sort or ask.
_PREFERENCES = ("SQUEUE_", "SCANCEL_", "SACCT_", "SCONTROL_")

# What sbatch says when Slurm does not answer; all else is about an option.
_NO_ANSWER = re.compile(
    r"unable to contact slurm|communication (failure|error)|connection (failure|refused)|timed out|"
    r"unable to accept job|zero bytes were transmitted",
    re.IGNORECASE,
)
_UNKNOWN_JOB = re.compile(r"invalid job id", re.IGNORECASE)


@dataclass(frozen=True)
class Record:
    """What Slurm has on record of a task that ended: its state, and ``code:signal``."""

    state: str
    exit_code: str


def check_installed() -> None:
    """Refuse to go on where Slurm is not installed.

    Raises:
        ConfigError: There is no sbatch.
    """
    if shutil.which("sbatch") is None:
        raise ConfigError("no sbatch on this machine: run it on a submit host of Slurm")


def submit(command: list[str], script: str) -> str:
    """Submit a job.

    Returns:
        Its number.

    Raises:
        UsageError: Slurm refuses an option.
        Interrupted: Slurm does not answer now.
    """
    done = _call(command, script)
    if done is None:
        raise Interrupted("sbatch does not answer; see whether it submitted with `squeue --me`")
    said = "; ".join(
        line.removeprefix("sbatch: ").removeprefix("error: ") for line in done.stderr.splitlines()
    )
    if done.returncode:
        if _NO_ANSWER.search(said):
            raise Interrupted(f"Slurm does not answer ({said}): run again later")
        raise UsageError(f"sbatch: {said}")
    # With several clusters the name of one follows.
    job = done.stdout.strip().partition(";")[0]
    if not job.isdecimal():
        raise AstraError(f"sbatch answers {done.stdout.strip()!r} where the number of the job should be")
    return job


def states(job: str) -> dict[int, tuple[str, str]] | None:
    """Ask for the states of the tasks of an array.

    Returns:
        The state of each task, and the reason for it; tasks that Slurm has forgotten are missing. ``None`` if
        it does not answer.
    """
    command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={job}", "--format=%K|%T|%r"]
    done = _call(command)
    if done is None or (done.returncode and not _UNKNOWN_JOB.search(done.stderr)):
        return None
    return parse_squeue(done.stdout)


def parse_squeue(text: str) -> dict[int, tuple[str, str]]:
    """Read ``task|state|reason``; tasks that never began and were cancelled together have no number."""
    found = re.findall(r"^\s*(\d+)\|([^|\n]*)\|?(.*?)\s*$", text, re.MULTILINE)
    return {int(task): (state, reason) for task, state, reason in found}


def records(job: str, tasks: Collection[int]) -> dict[int, Record]:
    """The records of tasks that ended: those of scontrol, and else those of the accounting."""
    found = _records(parse_scontrol, ["scontrol", "--oneliner", "show", "job", job])
    if not found.keys() >= set(tasks):
        command = ["sacct", "--noheader", "--allocations", "--parsable2", f"--jobs={job}"]
        found = _records(parse_sacct, [*command, "--format=JobID,State,ExitCode"]) | found
    return {task: found[task] for task in tasks if task in found}


def _records(parse: Callable[[str], dict[int, Record]], command: list[str]) -> dict[int, Record]:
    done = _call(command)
    return parse(done.stdout) if done is not None and not done.returncode else {}


def parse_sacct(text: str) -> dict[int, Record]:
    """Read ``job_task|state|code:signal`` of sacct; ``CANCELLED by 1000`` is ``CANCELLED``."""
    found = re.findall(r"^[^|_\n]*_(\d+)\|([^|\s]+)[^|\n]*\|(.*?)\s*$", text, re.MULTILINE)
    return {int(task): Record(state, exit_code) for task, state, exit_code in found}


def parse_scontrol(text: str) -> dict[int, Record]:
    """Read the lines of ``scontrol show job``."""
    line = r"\bArrayTaskId=(\d+) .*?\bJobState=(\S+).*?\bExitCode=(\S+)"
    return {int(task): Record(state, exit_code) for task, state, exit_code in re.findall(line, text)}


def cancel(job: str, *options: str) -> bool:
    """Call scancel, and say whether it succeeded."""
    done = _call(["scancel", *options, job])
    return done is not None and not done.returncode


def _call(command: list[str], text: str = "") -> subprocess.CompletedProcess | None:
    """Call a command; ``None`` if it is not there or does not answer."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_PREFERENCES)}
    try:
        # In a new session, since Ctrl-C is for this process alone.
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            errors="replace",
            timeout=_TIMEOUT_S,
            env=environment,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.debug("%s: %s", command[0], error)
        return None
    if done.returncode:
        log.debug("%s: exit code %d: %s", command[0], done.returncode, done.stderr.strip())
    return done
