"""What setup.cfg declares, in the form that pip reads, for environments other than that of the tests.

python tests/declared.py oldest           constraints: each library at its lower bound, torch as in
                                          constraints.txt
python tests/declared.py without-torch    requirements: what Astra and its pages need, but for torch
"""

import configparser
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]

#: The extras that only this project installs, at the versions of constraints.txt.
OURS = ("docs", "test")


def setup_cfg() -> configparser.ConfigParser:
    """The file, read as it is."""
    parser = configparser.ConfigParser(delimiters="=")
    parser.read(ROOT / "setup.cfg")
    return parser


def requirements() -> Iterator[tuple[str, Requirement]]:
    """Each requirement, after the extra that it belongs to: an empty string for what is always needed."""
    config = setup_cfg()
    always = config["options"]["install_requires"]
    for extra, lines in {"": always, **config["options.extras_require"]}.items():
        for line in lines.splitlines():
            if line and not line.startswith("#"):
                yield extra, Requirement(line)


def bounds() -> dict[str, str]:
    """The lower bound of each library that users install, by its name; torch has one that is never tried."""
    return {
        canonicalize_name(needed.name): bound.version
        for extra, needed in requirements()
        for bound in needed.specifier
        if bound.operator == ">=" and extra not in OURS
    }


def pinned() -> dict[str, str]:
    """The versions of constraints.txt, by name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {canonicalize_name(name): version for name, version in pairs}


def oldest() -> dict[str, str]:
    """The constraints of `make check-oldest`; what the libraries need themselves is left to them."""
    return bounds() | {"torch": pinned()["torch"]}


def without_torch() -> list[Requirement]:
    """What Astra needs for tables, reports and pages, but for torch."""
    found = [needed for extra, needed in requirements() if extra in ("", "parquet", "report", "serve")]
    return [needed for needed in found if needed.name != "torch"]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["oldest"]:
            print(*(f"{name}=={version}" for name, version in oldest().items()), sep="\n")
        case ["without-torch"]:
            print(*without_torch(), sep="\n")
        case _:
            sys.exit(__doc__)
