"""The reference checker of FITS files, of HEASARC: Debian's package ``fitsverify``."""

import re
import shutil
import subprocess
from pathlib import Path

import debian_packages


class NoVerifier(Exception):
    """The program is not there."""


def check_installed(*, install: bool) -> None:
    """Look for the program.

    Args:
        install: Install it where it is missing.

    Raises:
        NoVerifier: It is not there.
    """
    if shutil.which("fitsverify") is None and install:
        debian_packages.install("fitsverify")
    if shutil.which("fitsverify") is None:
        raise NoVerifier("no fitsverify: `apt-get install fitsverify`")


def verdict(path: Path) -> str:
    """What it says of a file in its last words; if there are warnings or errors, all that it says."""
    said = subprocess.run(["fitsverify", str(path)], capture_output=True, text=True, check=False).stdout
    (found,) = re.findall(r"\*\*\*\* Verification found (.*) \*\*\*\*", said)
    return found if found == "0 warning(s) and 0 error(s)." else said
