"""What can go wrong, and who acts on it.

AstraError                    an internal error: exit 70
├── UsageError                the caller: a wrong argument; exit 2
├── ConfigError               the operator, before the first spectrum: settings, schema, weights; exit 78
├── DatabaseUnreachable       the operator: no server, wrong password, no such database; exit 69
│   └── TryAgain              nobody: a deadlock that the database has ended; tried again at once
├── ArchiveUnreachable        the operator: no network, or the survey's archive does not answer; exit 69
├── StorageError              the operator: a database or a disk refused a write; exit 74
├── Interrupted               nobody: stopped before the end, run again; exit 75
└── SpectrumError             nobody at run time: one spectrum, one flagged row
    ├── UnreadableSpectrum    what is wrong with the bytes: damaged, not a FITS file, of the wrong shape
    ├── MissingSpectrum       the operating system gave no bytes, so that nothing is known of the spectrum
    └── UnusableSpectrum      no usable pixel is left

``MissingSpectrum`` stands apart because a disk that is lost looks just like a million bad stars: the
runner stops when there are many, and later runs try again where there are few.

Of several workers, the failure that comes first in ``SEVERITY`` decides.
"""

import os
from collections.abc import Iterable

#: Exit codes, beginning with the one that most needs somebody to act on it.
SEVERITY = (78, 70, 74, 69, 75, 0)


#: Python got no memory.
OUT_OF_MEMORY = (
    "there is not enough memory: allow more (`ulimit -v`, `--mem` of Slurm, the limit of the container), or "
    "take fewer --workers"
)

#: What is in a message that knows which name is meant.
MEANT = "did you mean"

# How alike a name and the one that is meant are, as difflib counts; and how much less alike others may be.
_ALIKE, _NEARLY = 0.65, 0.1


class AstraWarning(UserWarning):
    """Something in a result that a caller has to know, and that is not an error."""


class AstraError(Exception):
    """Base class; the command line prints it on one line and exits with ``exit_code``."""

    exit_code = 70


class UsageError(AstraError):
    """The caller asked for something that does not exist or makes no sense."""

    exit_code = 2


class ConfigError(AstraError):
    """The settings, the schema or the weights do not allow this run."""

    exit_code = 78


class DatabaseUnreachable(AstraError):
    """No connection to the database can be made."""

    exit_code = 69


class TryAgain(DatabaseUnreachable):
    """Two transactions stood in each other's way, and this one was undone."""


class ArchiveUnreachable(AstraError):
    """The survey's archive does not answer."""

    exit_code = 69


class StorageError(AstraError):
    """The database refused a write, and the transaction was rolled back; or a disk did."""

    exit_code = 74


class Interrupted(AstraError):
    """The work stopped before its end, in good order; running it again goes on."""

    exit_code = 75


class SpectrumError(AstraError):
    """A failure confined to one spectrum, recorded as ``flag`` on its row."""

    flag = "flag_no_result"


class UnreadableSpectrum(SpectrumError):
    """The file was read, but it does not hold the spectrum that it should."""


class MissingSpectrum(SpectrumError):
    """The operating system does not give the file: not there, no permission, an I/O error, a stale handle."""


class UnusableSpectrum(SpectrumError):
    """The spectrum was read, but not one pixel of it can be used."""


def nearest(word: str, known: Iterable[str], otherwise: str | None = "there are") -> str:
    """The end of a message about a name that is unknown.

    Args:
        word: The name.
        known: Those that there are.
        otherwise: The words before the list of all of them, where none is near; ``None``: no list.

    Returns:
        ``; did you mean flag_no_result?``, ``; there are dist, e_dist``, or nothing.
    """
    import difflib

    names = list(dict.fromkeys(known))
    # What all begin with, such as "--" or "ASTRA_", makes none more alike than another.
    shared = os.path.commonprefix([*(name.lower() for name in names), word.lower()])
    at = len(shared) if len(names) > 1 and (len(shared) > 3 or not shared.isalnum()) else 0
    word = word.lower()[at:]
    alike = {name: difflib.SequenceMatcher(None, word, name.lower()[at:]).ratio() for name in names}
    # A word that is a part of a name: "extinction" of "flag_missing_extinction".
    alike |= {name: max(alike[name], _ALIKE) for name in names if len(word) > 3 and word in name.lower()}
    enough = max(_ALIKE, max(alike.values(), default=0) - _NEARLY)
    close = sorted((name for name in names if alike[name] >= enough), key=lambda name: -alike[name])[:3]
    if close:
        return f"; {MEANT} {' or '.join(close)}?"
    return "" if otherwise is None else f"; {otherwise} {', '.join(names) or 'none'}"


def worst(codes: Iterable[int]) -> int:
    """The exit code of several workers together; an unknown code counts as an internal error."""
    known = (code if code in SEVERITY else AstraError.exit_code for code in codes)
    return min(known, key=SEVERITY.index, default=0)


def graver(first: Exception | None, second: Exception) -> Exception:
    """Of the failures of two workers, the one that decides; the first of equals."""
    if first is None:
        return second
    codes = [worst([getattr(error, "exit_code", AstraError.exit_code)]) for error in (first, second)]
    return second if SEVERITY.index(codes[1]) < SEVERITY.index(codes[0]) else first
