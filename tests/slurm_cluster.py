"""A throw-away Slurm of one node for the tests, with all its files in one folder.

    check_installed()      the programs are there, and may be used; where CI is set, it installs them
    temporary_cluster()    a running cluster; stopped when the block ends, however it ends
    jobs(), wait_until()   to follow what happens on it

Without systemd, control groups and accounting: slurmctld keeps what it knows of ended jobs for ten minutes.
A job that another test has left is cancelled with the cluster.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import debian_packages

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
STARTUP_SECONDS = 30

# Daemons live where only root looks.
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"

_CONFIGURATION = """\
ClusterName=astra-test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge.socket
CredType=cred/munge
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
ReturnToService=2
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,bf_interval=1
KillWait=2
MinJobAge=600
TreeWidth=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""


class NoCluster(RuntimeError):
    """No Slurm can be started here."""


def check_installed(*, install: bool) -> None:
    """Look for Slurm's programs.

    Args:
        install: Install them where they are missing.

    Raises:
        NoCluster: They are not there, or may not be started by this user.
    """
    if os.geteuid() != 0:
        raise NoCluster("only root can start a Slurm of its own")
    path = f"{os.environ['PATH']}:{_SBIN}"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing and install:
        debian_packages.install(*PACKAGES)
        missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        raise NoCluster(f"no {missing[0]}: `apt-get install {' '.join(PACKAGES)}`")


@contextlib.contextmanager
def temporary_cluster() -> Iterator[Path]:
    """Run a cluster of this machine; gives its configuration file, the value of SLURM_CONF."""
    # A short path: that of a socket has about a hundred characters.
    base = Path(tempfile.mkdtemp(prefix="astra-slurm-", dir="/tmp"))
    base.chmod(0o755)
    configuration = _configure(base)
    options = {
        "env": os.environ | {"SLURM_CONF": str(configuration), "PATH": f"{os.environ['PATH']}:{_SBIN}"}
    }
    daemons: list[subprocess.Popen] = []
    try:
        for command in _daemons(base):
            # In the foreground: a child of this process, which can be waited for.
            with (base / f"{command[0]}.out").open("wb") as log:
                daemons.append(
                    subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **options)
                )
            if command[0] == "munged":
                _wait(lambda: (base / "munge.socket").exists(), base)
        _wait(lambda: _answer("sinfo", "--noheader", "--format=%t", **options) == "idle", base)
        yield configuration
    finally:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            _end_jobs(options)
        for daemon in reversed(daemons):
            _end(daemon)
        shutil.rmtree(base, ignore_errors=True)


def jobs() -> list[str]:
    """The numbers of the jobs that have not ended."""
    command = ["squeue", "--noheader", "--format=%F"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def wait_until(found, seconds: float = 60):
    """What ``found`` gives, when it gives something."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "nothing after a minute"
        time.sleep(0.05)
    return value


def _configure(base: Path) -> Path:
    for name in ("state", "spool"):
        (base / name).mkdir()
    key = base / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        ports = {"controller": first.getsockname()[1], "daemon": second.getsockname()[1]}
    host = socket.gethostname().partition(".")[0]
    # A part of it: Slurm refuses a node that has less than it is said to have.
    megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 // 2
    path = base / "slurm.conf"
    path.write_text(
        _CONFIGURATION.format(base=base, host=host, cpus=os.cpu_count(), memory=megabytes, **ports)
    )
    return path


def _daemons(base: Path) -> list[list[str]]:
    munged = ["munged", "--foreground", "--force", f"--key-file={base}/munge.key", "--num-threads=2"]
    munged += [f"--socket={base}/munge.socket", f"--pid-file={base}/munged.pid"]
    munged += [f"--log-file={base}/munged.log", f"--seed-file={base}/munged.seed"]
    return [munged, ["slurmctld", "-D", "-c"], ["slurmd", "-D"]]


def _wait(is_ready, base: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while not is_ready():
        if time.monotonic() > deadline:
            said = "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in base.glob("*.out"))
            raise RuntimeError(f"Slurm did not start: {said}")
        time.sleep(0.05)


def _answer(*command: str, **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10, **options)
    return done.stdout.strip()


def _end_jobs(options: dict) -> None:
    _answer("scancel", "--signal=KILL", "--full", "--me", **options)
    _answer("scancel", "--me", **options)
    deadline = time.monotonic() + 5
    while _answer("squeue", "--noheader", **options) and time.monotonic() < deadline:
        time.sleep(0.1)


def _end(daemon: subprocess.Popen) -> None:
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(5)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
