"""The disks: whether the files of the spectra can be read, and how much space is free."""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

from peewee import fn

from astra.database.connection import sqlite_file
from astra.database.sqlite import refusal, temporary_folder
from astra.doctor.findings import FAIL, OK, WARN, Finding, Known, guarded
from astra.errors import AstraError, Interrupted, StorageError
from astra.models import ApogeeCoaddedSpectrumInApStar
from astra.spectra.identity import absolute, check_base_dir
from astra.status.text import registers

#: The number of files that are opened, spread over all registered ones.
SAMPLE = 10

#: How long a disk may take to answer [s].
TIMEOUT_S = 10.0

#: Below the first a run may run out of space; below the second it should not begin [bytes].
ENOUGH_SPACE, LEAST_SPACE = 2**30, 100 * 2**20

# What is tried, and given back: by how much a database can grow, and the size of a temporary file [bytes].
_GROWTH, _TRIED = 16 * 2**20, 2**20


def check_spectra(known: Known) -> Iterator[Finding]:
    """Whether the files of spectra can be read under their registered paths."""
    kinds: dict[Any, tuple[Any, ...]] = {}
    for task in known.tasks.values():
        for model in task.spectrum_models:
            kinds.setdefault(model, task.spectrum_models)
    for model in (each for each in kinds if "path" in each._meta.fields):
        yield from guarded("spectra", _files(model, kinds[model]))


def _files(model: Any, kinds: tuple[Any, ...]) -> Iterator[Finding]:
    """The files of one of the models that a task takes."""
    about = "" if model is ApogeeCoaddedSpectrumInApStar else f"{model._meta.table_name}: "
    relative = model.select().where(model.path.is_null(False), ~model.path.startswith("/")).exists()
    if relative and not _answers(check_base_dir):
        yield _no_answer("SAS_BASE_DIR")
    elif paths := list(dict.fromkeys(_sampled(model))):
        yield _opened(paths, about)
    elif model is kinds[0] and not any(kind.select().exists() for kind in kinds):
        of_model = "" if model is ApogeeCoaddedSpectrumInApStar else f" of {model.__name__}"
        yield Finding("spectra", WARN, f"no files{of_model} are registered", registers(model))


def _sampled(model: Any) -> Iterator[str]:
    key = model.spectrum_pk
    first, last = model.select(fn.MIN(key), fn.MAX(key)).tuples().get()
    if first is None:
        return
    for pk in sorted({first + (last - first) * number // (SAMPLE - 1) for number in range(SAMPLE)}):
        query = model.select(model.path).where(key >= pk, model.path.is_null(False)).order_by(key)
        yield from (path for (path,) in query.limit(1).tuples())


def _opened(paths: list[str], about: str) -> Finding:
    failures: list[str] = []
    if not _answers(lambda: failures.extend(filter(None, map(_problem, paths)))):
        return _no_answer("the disk of the spectra")
    said = f"{about}{len(paths) - len(failures)} of {len(paths)} sampled files can be opened"
    if not failures:
        return Finding("spectra", OK, said)
    first = f"{said}; the first that cannot: {failures[0]}"
    if len(failures) < len(paths):
        return Finding("spectra", WARN, first, "spectra whose files are missing get rows with flag_no_result")
    remedy = "is the disk mounted, and SAS_BASE_DIR right?"
    return Finding("spectra", FAIL, first, remedy, Interrupted.exit_code)


def _problem(path: str) -> str | None:
    """Why the file of a spectrum cannot be opened; ``None`` if it can."""
    try:
        with absolute(path).open("rb") as stream:
            is_as_named = stream.read(6) == b"SIMPLE" or not path.endswith(".fits")
            return None if is_as_named else f"{path} (not a FITS file)"
    except OSError as error:
        return f"{path} ({error.strerror})"
    except AstraError as error:
        return f"{path} ({error})"


def _no_answer(what: str) -> Finding:
    said = f"{what} has not answered for {TIMEOUT_S:g} s"
    return Finding("spectra", FAIL, said, "is its server up?", Interrupted.exit_code)


def _answers(look: Callable[[], None]) -> bool:
    """Whether ``look`` returns in time; on a lost disk it may never return.

    Raises:
        Exception: What ``look`` raised.
    """
    future: Future[None] = Future()

    def work() -> None:
        try:
            future.set_result(look())
        except Exception as error:  # noqa: BLE001 - raised again in the waiting thread
            future.set_exception(error)

    # Not a thread of a pool: the interpreter would wait for it at its end.
    threading.Thread(target=work, daemon=True).start()
    if not wait([future], TIMEOUT_S).done:
        return False
    future.result()
    return True


def check_space(known: Known) -> Iterator[Finding]:
    """Whether there is space for a SQLite database, for logs and for temporary files."""
    places = {"logs": Path.cwd()}
    file = sqlite_file(known.settings) if known.settings else None
    temporary = {"temporary files": _of_python()}
    if file:
        temporary["temporary files of SQLite"] = temporary_folder()
    for what, folder in temporary.items():
        try:
            with tempfile.TemporaryFile(dir=folder) as tried:
                tried.write(bytes(_TRIED))
            places[what] = folder
        except OSError as error:
            said = f"nothing can be written for {what} to {folder} ({error.strerror})"
            yield Finding("space", WARN, said, "make room, or name another folder with TMPDIR")
    if file:
        places = {"the database": file.parent} | places
    disks: dict[int, tuple[Path, list[str]]] = {}
    for what, folder in places.items():
        if folder.exists():
            disks.setdefault(os.stat(folder).st_dev, (folder, []))[1].append(what)
    for folder, kinds in disks.values():
        yield _space(folder, kinds)
    # macOS has no such call.
    if file and file.exists() and not refusal(file) and hasattr(os, "posix_fallocate"):
        yield from _growth(file)


def _growth(file: Path) -> Iterator[Finding]:
    """What forbids a file to grow where there is space: a quota, or a limit on the size of files."""
    try:
        with tempfile.TemporaryFile(dir=file.parent) as tried:
            os.posix_fallocate(tried.fileno(), file.stat().st_size, _GROWTH)
    except OSError as error:
        said = f"{file} cannot grow by {_GROWTH / 2**20:.0f} MiB: {error.strerror}"
        remedy = "make room; look at the quota, and at `ulimit -f`"
        yield Finding("space", FAIL, said, remedy, StorageError.exit_code)


def _of_python() -> Path:
    """The first folder that can be written, as Python looks for it."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - where it has looked


def _space(folder: Path, kinds: list[str]) -> Finding:
    free = shutil.disk_usage(folder).free
    said = f"{free / 2**30:,.1f} GiB free for {', '.join(kinds)} ({folder})"
    if free >= ENOUGH_SPACE:
        return Finding("space", OK, said)
    if free < LEAST_SPACE and "the database" in kinds:
        return Finding("space", FAIL, said, "make room before a run", StorageError.exit_code)
    return Finding("space", WARN, said, "make room")
