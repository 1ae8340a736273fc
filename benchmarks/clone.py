"""Copy a few real apStar files many times, each copy under another identity.

    python benchmarks/clone.py SOURCE_FOLDER TARGET_FOLDER --count 2000

Each copy keeps the pixels of its original and gets another OBJID, in its header and in its name, so that
``astra ingest apstar`` takes it for another spectrum. The names are numbered: the same call writes the same
files.
"""

import argparse
import itertools
import re
from pathlib import Path

CARD = 80
NAME = re.compile(r"(?P<prefix>a[ps]StarC?-[\w.]+-)(?P<obj>2M\d{8}[+-]\d{7})\.fits")


def clone(originals: list[Path], folder: Path, count: int) -> list[Path]:
    """Write ``count`` files into ``folder``, taking the originals in turn; return their paths."""
    contents = {path: path.read_bytes() for path in originals}
    made = []
    for number, path in zip(range(count), itertools.cycle(originals)):
        # A right ascension of 24 h or more belongs to no real star.
        obj = f"2M{24_000_000 + number:08d}+0000000"
        target = folder / f"{NAME.fullmatch(path.name)['prefix']}{obj}.fits"
        target.write_bytes(with_objid(contents[path], obj))
        made.append(target)
    return made


def with_objid(content: bytes, obj: str) -> bytes:
    """The bytes of a FITS file with another OBJID card in its primary header."""
    position = content.index(b"OBJID   = ")
    if position % CARD:
        raise ValueError("the first OBJID is not at the start of a card")
    card = f"OBJID   = {obj!r} / Object ID".ljust(CARD).encode("ascii")
    return content[:position] + card + content[position + CARD :]


def main() -> None:
    """Read the arguments and clone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder of apStar files")
    parser.add_argument("target", type=Path, help="folder for the copies; made if it is missing")
    parser.add_argument("--count", type=int, default=2000, help="how many files to make")
    arguments = parser.parse_args()
    originals = sorted(path for path in arguments.source.glob("*.fits") if NAME.fullmatch(path.name))
    if not originals:
        parser.error(f"no apStar files in {arguments.source}")
    arguments.target.mkdir(parents=True, exist_ok=True)
    made = clone(originals, arguments.target, arguments.count)
    print(f"{len(made)} files in {arguments.target}")


if __name__ == "__main__":
    main()
