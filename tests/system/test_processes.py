"""The share of a child process, its end, and the warnings that a process hears."""

import os
import platform
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest

from astra.system.processes import cores, shared_cores, silenced

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent ended")


def test_there_are_as_many_cores_as_this_process_may_use():
    assert 1 <= cores() <= os.cpu_count()


@linux
def test_a_process_that_is_bound_to_one_core_has_one():
    one = {min(os.sched_getaffinity(0))}
    script = f"import os; os.sched_setaffinity(0, {one})\n"
    script += "from astra.system.processes import cores; print(cores())"

    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "1"


@pytest.mark.parametrize(("given", "expected"), [("1", 1), ("1000", cores()), ("0", cores()), ("", cores())])
def test_a_job_of_slurm_has_the_cores_it_was_given(monkeypatch, given, expected):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", given)

    assert cores() == expected


@pytest.mark.parametrize("processes", [1, 2, 1000])
def test_cores_are_shared_among_the_processes_that_start_meanwhile(processes):
    script = f"import os; print(*[os.environ.get(name) for name in {VARIABLES}])"

    with shared_cores(processes):
        seen = subprocess.check_output([sys.executable, "-c", script], text=True).split()

    assert seen == [str(max(1, cores() // processes))] * 3


def test_afterwards_the_environment_is_what_it_was(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)

    def fail():
        with shared_cores(2):
            assert os.environ["MKL_NUM_THREADS"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


MEMORY = """
import sys
from astra.system.processes import keep_memory
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
if sys.argv[1] == "kept":
    keep_memory()
before = resident()
block = bytearray(50_000_000)
del block
print(resident() - before)
"""


@linux
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be told")
def test_freed_memory_is_kept_for_what_comes_next_once_asked_for():
    def left(how):
        done = subprocess.run([sys.executable, "-c", MEMORY, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert left("kept") > 45_000_000
    assert left("as usual") < 5_000_000


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""
CHILD = """
import os, time
from astra.system.processes import die_with
die_with(os.getppid())
print("ready", flush=True)
time.sleep(60)
"""


@linux
def test_a_child_ends_when_its_parent_is_killed():
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        assert _runs(child)

        parent.send_signal(signal.SIGKILL)

    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    """Whether a process is there and is no zombie that nobody has waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@linux
def test_a_child_whose_parent_ended_before_it_could_say_so_ends_too():
    script = "from astra.system.processes import die_with; die_with(1 << 22); print('still here')"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")


# > Warnings of libraries, silenced in one thread and heard in the others afterwards


def test_a_warning_is_heard_again_afterwards():
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with silenced():
            warnings.warn("of a library", stacklevel=1)
        warnings.warn("of ours", stacklevel=1)

    assert [str(warning.message) for warning in heard] == ["of ours"]


def test_two_threads_that_overlap_leave_the_filters_as_they_were():
    before, inside, leave = list(warnings.filters), threading.Event(), threading.Event()

    def first():
        with silenced():
            inside.set()
            leave.wait(10)

    def second():
        with silenced():
            pass

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    inside.wait(10)
    threads[1].start()
    leave.set()
    for thread in threads:
        thread.join(10)

    assert warnings.filters == before
