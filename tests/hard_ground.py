"""Ways to run a program on hard ground: with mounts of its own, as a user whom nobody knows."""

import functools
import shutil
import subprocess

import pytest


@functools.cache
def _works(command: tuple[str, ...]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0


def in_its_own_mounts(script: str) -> list[str]:
    """The beginning of a command line that mounts something for its end; skips where that is forbidden."""
    command = ("unshare", "-m") if _works(("unshare", "-m")) else ("unshare", "-rm")
    if not _works((*command, "sh", "-c", 'mount -t tmpfs tmpfs /mnt && exec "$@"', "sh")):
        pytest.skip("nothing can be mounted here")
    return [*command, "sh", "-c", f'{script} && exec "$@"', "sh"]


def as_unknown_user() -> list[str]:
    """The beginning of a command line whose end runs as a user who is in no list of users."""
    command = ("unshare", "-U", "--map-user=12345", "--map-group=12345")
    if not _works(command):
        pytest.skip("no user namespaces here")
    return list(command)
