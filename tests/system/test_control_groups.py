"""What control groups let a process use, of both versions and of all groups that it is in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from astra.system import control_groups, processes
from astra.system.control_groups import cpu_quota, memory_limit

V2, V1 = "- cgroup2 cgroup rw", "- cgroup cgroup rw,cpu,cpuacct"
MEMORY_V1 = "- cgroup cgroup rw,memory"

#: The groups of a process, the mounts as (root, place, kind), the files of the groups; cores, and bytes.
TREES = {
    "no control groups": ("", [], {}, None, None),
    "version 2, no limit": ("0::/a", [("/", "cg", V2)], {"cg/a/cpu.max": "max 100000"}, None, None),
    "version 2": ("0::/a/b", [("/", "cg", V2)], {"cg/a/b/cpu.max": "150000 100000"}, 1.5, None),
    "an outer group has less": (
        "0::/job/step",
        [("/", "cg", V2)],
        {
            "cg/job/step/cpu.max": "400000 100000",
            "cg/job/cpu.max": "200000 100000",
            "cg/job/step/memory.max": "max",
            "cg/job/memory.max": "1000000000",
        },
        2,
        10**9,
    ),
    "an outer group has more": (
        "0::/job/step",
        [("/", "cg", V2)],
        {"cg/job/step/cpu.max": "100000 100000", "cg/job/cpu.max": "200000 100000"},
        1,
        None,
    ),
    "a namespace of its own": ("0::/", [("/", "cg", V2)], {"cg/cpu.max": "50000 100000"}, 0.5, None),
    "outside of its namespace": ("0::/../b", [("/", "cg", V2)], {"cg/cpu.max": "50000 100000"}, 0.5, None),
    "version 1": (
        "3:cpu,cpuacct:/slurm/job\n4:memory:/slurm/job\n1:name=systemd:/",
        [("/", "cpu", V1), ("/", "memory", MEMORY_V1)],
        {
            "cpu/slurm/job/cpu.cfs_quota_us": "-1",
            "cpu/slurm/job/cpu.cfs_period_us": "100000",
            "cpu/slurm/cpu.cfs_quota_us": "300000",
            "cpu/slurm/cpu.cfs_period_us": "100000",
            "memory/slurm/job/memory.limit_in_bytes": "2000000000",
            "memory/slurm/memory.limit_in_bytes": "9223372036854771712",
        },
        3,
        2 * 10**9,
    ),
    "version 1, the path is that of the host": (
        "3:cpu,cpuacct:/docker/4f",
        [("/docker/4f", "cpu", V1)],
        {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "50000"},
        4,
        None,
    ),
    "both versions": (
        "0::/\n3:cpu,cpuacct:/",
        [("/", "unified", V2), ("/", "cpu", V1)],
        {"unified/cpu.max": "500000 100000", "cpu/cpu.cfs_quota_us": "1", "cpu/cpu.cfs_period_us": "0"},
        5,
        None,
    ),
    "a space in the name": ("0::/", [("/", "c g", V2)], {"c g/cpu.max": "100000 100000"}, 1, None),
    "beside a mount without a source": (
        "0::/",
        [("/", "nameless", "- tmpfs  rw"), ("/", "cg", V2)],
        {"cg/cpu.max": "50000 100000"},
        0.5,
        None,
    ),
    "nothing that can be read": ("0::/a", [("/", "cg", V2)], {"cg/a/cpu.max": "nonsense"}, None, None),
}


@pytest.mark.parametrize("name", TREES)
def test_the_least_of_all_groups_counts(name, tmp_path):
    groups, mounts, files, quota, memory = TREES[name]
    place = str(tmp_path).replace(" ", "\\040")
    lines = [
        f"{n} 1 0:{n} {root} {place}/{where.replace(' ', chr(92) + '040')} rw shared:9 {kind}"
        for n, (root, where, kind) in enumerate(mounts)
    ]
    (tmp_path / "cgroup").write_text(groups)
    (tmp_path / "mountinfo").write_text("\n".join(lines))
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text + "\n")

    assert cpu_quota(tmp_path) == quota
    assert memory_limit(tmp_path) == memory


@pytest.mark.parametrize(("quota", "expected"), [(0.2, 1), (1.0, 1), (1.5, 2), (1000, None), (None, None)])
def test_the_cores_are_those_that_there_is_time_for(monkeypatch, quota, expected):
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    there = len(os.sched_getaffinity(0))
    monkeypatch.setattr(control_groups, "cpu_quota", lambda: quota)

    assert processes.cores() == (there if expected is None else min(there, expected))


THREADS = """
import sys
from astra.system.processes import cores, use_cores
use_cores(cores())
import numpy
numpy.ones((400, 400)) @ numpy.ones((400, 400))
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("Threads:")))
"""


def _threads(prefix=(), **environment):
    kept = {name: value for name, value in os.environ.items() if name not in processes.THREAD_VARIABLES}
    command = [*prefix, sys.executable, "-c", THREADS]
    return int(subprocess.check_output(command, text=True, env=kept | environment))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this process has one core")
def test_libraries_start_no_more_threads_than_there_are_cores():
    assert _threads() > 1
    assert _threads(SLURM_CPUS_PER_TASK="1") == 1
    assert _threads(SLURM_CPUS_PER_TASK="1", OMP_NUM_THREADS="2") == 2


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this process has one core")
def test_they_follow_the_quota_of_a_real_group(group_of_one_core):
    joining = ["sh", "-c", f'echo $$ > {group_of_one_core}/cgroup.procs && exec "$@"', "sh"]

    assert _threads(joining) == 1


@pytest.fixture
def group_of_one_core():
    """A control group that has time for one core."""
    for place, files in (
        (Path("/sys/fs/cgroup"), {"cpu.max": "100000 100000"}),
        (Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "100000"}),
    ):
        group = place / f"astra-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            for file, text in files.items():
                with (group / file).open("r+") as stream:
                    stream.write(text)
        except OSError:
            group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("no control group can be made here")
