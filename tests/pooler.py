"""PgBouncer between the program and a PostgreSQL server, in each of its pool modes."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import debian_packages

from postgres_server import WATCHED, Server, as_user, unprivileged

STARTUP_SECONDS = 20

SETTINGS = {
    "listen_addr": "127.0.0.1",
    "unix_socket_dir": "",
    "auth_type": "any",
    "default_pool_size": 20,
    "max_client_conn": 500,
}


@contextlib.contextmanager
def pgbouncer(server: Server, pool_mode: str, *, install_it: bool, **settings: object) -> Iterator[Server]:
    """Run one on a free port; gone when the block, or the whole process, ends.

    Args:
        server: The server behind it.
        pool_mode: Its setting of that name.
        install_it: Install the program where it is missing.
        settings: Others of its settings.
    """
    debian_packages.needed("pgbouncer", install_it=install_it)
    account = unprivileged("postgres", "nobody")  # it refuses to run as root
    base = Path(tempfile.mkdtemp(prefix="astra-pgbouncer-", dir="/tmp"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host, port = free.getsockname()
    chosen = SETTINGS | {"listen_port": port, "pool_mode": pool_mode} | settings
    lines = ["[databases]", f"* = host={server.host} port={server.port} user={server.user}", "[pgbouncer]"]
    configuration = base / "pgbouncer.ini"
    configuration.write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in chosen.items())]))
    if account:
        for path in (base, configuration):
            os.chown(path, account.pw_uid, account.pw_gid)
    pooler = Server(host, port, server.user)
    command = ["sh", "-c", WATCHED, "sh", base, "pgbouncer", configuration]
    with (base / "log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/", **as_user(account)
        )
    try:
        _wait_until_ready(pooler, process, base / "log")
        yield pooler
    finally:
        process.stdin.close()
        process.wait(STARTUP_SECONDS)


def _wait_until_ready(pooler: Server, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection((pooler.host, pooler.port)):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PgBouncer did not start: {log.read_text()}")
        time.sleep(0.02)
