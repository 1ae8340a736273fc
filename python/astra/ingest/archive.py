"""Downloads from the survey's archive, in a process of its own, through the package sdss-access.

Importing sdss-access sets 85 environment variables, SAS_BASE_DIR and MWM_ASTRA among them, so it never
happens in the process of the caller. The package gives the address of a file and the login from ``~/.netrc``;
its own download writes into the final file, and does not notice that a connection ended before it did.

The child reads one JSON object from stdin, and writes one line of JSON to stdout for each file.
"""

import dataclasses
import glob
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException, HTTPResponse
from netrc import NetrcParseError
from pathlib import Path
from typing import Any, BinaryIO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from astra.errors import ArchiveUnreachable, AstraError, ConfigError, Interrupted, StorageError
from astra.system.atomic import replaced
from astra.system.extras import require
from astra.system.plugins import raised
from astra.system.processes import die_with

#: Downloads at the same time, as many as sdss-access starts.
_STREAMS = 5
#: A connection that gives nothing for this long counts as broken [s].
_SILENCE_S = 60.0
#: How often a file is tried, and how long to wait before it is tried again [s].
_TRIES, _PAUSE_S = 3, 0.5
#: What another process has left unfinished and not touched for this long is deleted [s].
_ABANDONED_S = 600.0
_BLOCK = 1 << 18
_REFUSED, _LACKING = (401, 403), (404, 410)
_FITS, _GZIP = b"SIMPLE  =", b"\x1f\x8b"


class Outcome(StrEnum):
    """What became of one file; each of the last three ends the download of all."""

    FETCHED = "fetched"
    THERE = "there"
    LACKING = "lacking"
    INCOMPLETE = "incomplete"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    UNWRITABLE = "unwritable"


_ENDS = {
    Outcome.UNREACHABLE: ArchiveUnreachable,
    Outcome.REFUSED: ConfigError,
    Outcome.UNWRITABLE: StorageError,
}


@dataclass(frozen=True)
class Answer:
    """What became of one file.

    Attributes:
        path: As it was asked for, relative to the base folder.
        outcome: What became of it.
        address: Where it was looked for.
        size: Bytes that were fetched.
        reason: What went wrong, in words.
    """

    path: str
    outcome: Outcome
    address: str
    size: int = 0
    reason: str = ""


def check_installed() -> None:
    """Refuse to go on without sdss-access.

    Raises:
        ConfigError: It is not installed.
    """
    require("sdss_access", "astra fetch", "sas")


def download(paths: Sequence[str], *, base: Path, release: str, archive: str | None) -> Iterator[Answer]:
    """Fetch the files that are missing or incomplete; each appears under its name when it is whole.

    Args:
        paths: Relative to the base folder, as in the archive.
        base: The folder of the data releases.
        release: The data release, which decides about the host and the login.
        archive: Another address of the archive, without ``/sas``; ``None`` takes the survey's.

    Yields:
        One answer for each file, in order, until the end or an error.

    Raises:
        ArchiveUnreachable: The archive does not answer.
        ConfigError: The archive refuses the login, or there is none.
        StorageError: A file cannot be written.
        Interrupted: The process of the downloads was killed.
    """
    request = {
        "parent": os.getpid(),
        "base": os.path.abspath(base),
        "release": release,
        "archive": archive,
        "paths": list(paths),
    }
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "astra.ingest.archive"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env={**os.environ, "SAS_BASE_DIR": request["base"]},
        )
        try:
            with suppress(BrokenPipeError), child.stdin:
                json.dump(request, child.stdin)
            for line in child.stdout:
                yield _answer(json.loads(line))
            if child.wait():
                said.seek(0)
                raise _broken(child.returncode, said.read())
        finally:
            child.kill()
            child.stdout.close()
            child.wait()


def _answer(fields: Mapping[str, Any]) -> Answer:
    answer = Answer(**fields | {"outcome": Outcome(fields["outcome"])})
    if error := _ENDS.get(answer.outcome):
        raise error(answer.reason)
    return answer


def _broken(code: int, said: str) -> AstraError:
    if code < 0:
        return Interrupted(f"the process of the downloads was killed (signal {-code}): run again to go on")
    last = (said.splitlines() or [f"exit code {code}"])[-1]
    return AstraError(f"sdss-access could not be used: {last}; run `pip install --upgrade sdss-access`")


# > In the child


def main() -> None:
    """Carry out the request on stdin."""
    request = json.load(sys.stdin)
    die_with(request.pop("parent"))
    answers = sys.stdout
    # sdss-access prints.
    with redirect_stdout(sys.stderr):
        for answer in _answers(**request):
            print(json.dumps(dataclasses.asdict(answer)), file=answers, flush=True)
            if answer.outcome in _ENDS:
                # Without waiting for downloads that go on.
                os._exit(0)


def _answers(base: str, release: str, archive: str | None, paths: Sequence[str]) -> Iterator[Answer]:
    from sdss_access import AccessError, HttpAccess

    access = HttpAccess(release=release if release.startswith("dr") else "sdsswork")
    if archive is not None:
        # The login is that of the host which is asked, and of no other.
        access.set_netloc(netloc=urlsplit(archive).hostname)
    try:
        access.remote(remote_base=archive)
    except (AccessError, NetrcParseError, OSError, EOFError) as error:
        # It asks for a login where there is none, and gets the end of stdin.
        said = "it names no such machine" if isinstance(error, EOFError) else raised(error)
        remedy = f"add `machine {access.netloc} login … password …`, as the survey gives it"
        reason = f"{release} is not public, and ~/.netrc gives no login ({said}): {remedy}"
        yield Answer("", Outcome.REFUSED, "", reason=reason)
        return

    def fetched(path: str) -> Answer:
        place = Path(base, path)
        address = access.url("", full=str(place))
        for tries in range(_TRIES):
            time.sleep(tries * _PAUSE_S)
            outcome, size, reason = _tried(place, address)
            if outcome not in (Outcome.INCOMPLETE, Outcome.UNREACHABLE):
                break
        return Answer(path, outcome, address, size, reason)

    with ThreadPoolExecutor(_STREAMS) as pool:
        yield from pool.map(fetched, paths)


def _tried(place: Path, address: str) -> tuple[Outcome, int, str]:
    """Fetch a file once: what became of it, the bytes that were fetched, and what went wrong."""
    try:
        with urlopen(address, timeout=_SILENCE_S) as source:
            return _received(source, place)
    except HTTPError as error:
        said = f"{error.code} {error.reason}"
        if error.code in _REFUSED:
            remedy = f"check the login for {urlsplit(address).hostname} in ~/.netrc"
            return Outcome.REFUSED, 0, f"the archive refuses {address} ({said}): {remedy}"
        if error.code in _LACKING and place.is_file():
            return Outcome.THERE, 0, f"not in the archive ({said})"
        if error.code in _LACKING:
            return Outcome.LACKING, 0, said
    except (OSError, HTTPException) as error:
        said = str(getattr(error, "reason", error)) or type(error).__name__
    return Outcome.UNREACHABLE, 0, f"the archive does not answer: {address} ({said})"


def _received(source: HTTPResponse, place: Path) -> tuple[Outcome, int, str]:
    # Without a length nothing can be compared.
    size = source.length
    try:
        there = place.stat().st_size if place.is_file() else -1
        if there >= (size or 0):
            return Outcome.THERE, 0, "longer than in the archive" if there > (size or there) else ""
        place.parent.mkdir(parents=True, exist_ok=True)
        with replaced(place) as stream:
            got = _copied(source, stream)
            if size is not None and got < size:
                raise _Incomplete(f"{got:,} of {size:,} bytes")
    except _Incomplete as error:
        return Outcome.INCOMPLETE, 0, str(error)
    except OSError as error:
        return Outcome.UNWRITABLE, 0, f"cannot write {place}: {error.strerror or error}"
    _clear_away(place)
    return Outcome.FETCHED, got, ""


class _Incomplete(Exception):
    """A file did not arrive whole."""


def _copied(source: HTTPResponse, stream: BinaryIO) -> int:
    """Copy a FITS file; gives its size."""
    got = 0
    while block := _block(source):
        if not got and not block.startswith((_FITS, _GZIP)):
            # Such as the page on which a public network asks for a login.
            raise _Incomplete("the answer is not a FITS file")
        stream.write(block)
        got += len(block)
    if not got:
        raise _Incomplete("an empty answer")
    return got


def _block(source: HTTPResponse) -> bytes:
    try:
        return source.read(_BLOCK)
    except (OSError, HTTPException) as error:
        raise _Incomplete(raised(error)) from error


def _clear_away(place: Path) -> None:
    """Delete what processes that were killed have left of a file which is whole now."""
    for part in place.parent.glob(f".{glob.escape(place.name)}.*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _ABANDONED_S:
                part.unlink()


if __name__ == "__main__":
    main()
