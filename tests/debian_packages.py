"""Installs programs that tests need and a new machine lacks, with Debian's package manager."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

#: Seconds to wait for a package manager that somebody else has started.
PATIENCE = 600


def install(*packages: str) -> None:
    """Install packages as root; two tests that need some at once wait for each other.

    Raises:
        subprocess.CalledProcessError: The package manager failed; what it says of that is on stderr.
    """
    command = ["apt-get", "-qq", "-y", "--no-install-recommends", "-o", f"DPkg::Lock::Timeout={PATIENCE}"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with FileLock(Path(tempfile.gettempdir(), "astra-tests-packages.lock"), timeout=PATIENCE):
        for words in (["update"], ["install", *packages]):
            subprocess.run([*command, *words], check=True, env=environment, stdout=subprocess.DEVNULL)


def needed(program: str, *companions: str, install_it: bool) -> None:
    """Skip the test if a program is not there, which has a package of its name.

    Args:
        program: The program.
        companions: Packages that it recommends, and that the test cannot do without.
        install_it: Install it where it is missing.
    """
    if shutil.which(program) is None and install_it:
        install(program, *companions)
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}: `apt-get install {program}`")
