"""Finds apStar and asStar files under the paths of a command line."""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from astra.errors import UsageError
from astra.spectra.identity import parse_path

log = logging.getLogger("astra")

_VISIT = re.compile(r"(ap|as)Visit", re.IGNORECASE)


def checked(paths: Iterable[str | Path]) -> list[Path]:
    """The paths in a fixed order, so that the order in which they are given does not matter.

    Raises:
        UsageError: One does not exist, is a visit spectrum, or is neither a folder nor named like an
            apStar or asStar file.
    """
    # ``..`` is resolved, so that a file has one path however it is reached; other links stay as they are.
    chosen = {path.resolve() if ".." in path.parts else path.absolute() for path in map(Path, paths)}
    for path in chosen:
        if not os.path.lexists(path):
            raise UsageError(f"no such file or folder: {path}")
        if parse_path(path) is not None:
            continue
        if _VISIT.match(path.name):
            raise UsageError(f"a visit spectrum: {path}; give combined spectra, named apStar-… or asStar-…")
        if not path.is_dir():
            raise UsageError(f"not named like an apStar or asStar file: {path}")
        try:
            os.listdir(path)
        except OSError as error:
            raise UsageError(f"cannot read the folder {path}: {error.strerror}") from error
    return sorted(chosen)


def find(paths: Iterable[Path]) -> Iterator[Path]:
    """The apStar and asStar files at, or anywhere under, the given paths, in a fixed order.

    What is named like one is taken for one, be it a folder or a broken link. Of the versions of a product
    in one folder, the one of the last night counts; the name without a night is that of the last.
    """
    for path in paths:
        if parse_path(path) is not None:
            yield path
            continue
        for folder, folders, files in os.walk(path, onerror=_say):
            yield from (Path(folder, name) for name in _newest([*files, *folders]))
            folders[:] = sorted(name for name in folders if parse_path(name) is None)


def _newest(names: Iterable[str]) -> Iterator[str]:
    chosen: dict[tuple, tuple[tuple, str]] = {}
    for name in sorted(names):
        parsed = parse_path(name)
        if parsed is not None:
            product = (parsed.prefix, parsed.commissioning, parsed.apred, parsed.telescope, parsed.obj)
            version = (parsed.last_night or "last", not name.endswith(".gz"))
            chosen[product] = max(chosen.get(product, (version, name)), (version, name))
    return (name for _, name in chosen.values())


def _say(error: OSError) -> None:
    log.warning("cannot read the folder %s: %s", error.filename, error.strerror)
