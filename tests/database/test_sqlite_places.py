"""A SQLite file can lie where nothing can be written, or no more: what is read there, and what is refused.

Each command meets each kind of place, and a full disk is met as space, and as a limit on the size of files.
"""

import contextlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from astra.config import Settings, load_settings
from astra.database import sqlite
from astra.database.connection import bound_to, open_database
from astra.database.sql import snapshot
from astra.doctor import disks
from astra.doctor.database import check_connection, check_rights
from astra.doctor.findings import FAIL, Known, guarded
from astra.errors import Interrupted
from astra.models import ApogeeCoaddedSpectrumInApStar, Source
from astra.serve.serving import prepared

from served_pages import opened, uncounted
from small_survey import M67, fill_survey

RUN = ("run", "astronn_dist")

READING = {
    "status": ("status",),
    "why": ("status", "astronn_dist", "--why", M67),
    "show": ("show", M67),
    "query": ("query", "--limit", "1"),
    "plan": ("init", "--plan"),
    "create": ("create", "astraAllStarAstroNNdist", "--output", "{out}/stars.csv", "--where", "run_pk = 2"),
    # In their own processes these would load torch, or take seconds to draw: only one place has them.
    "dry run": (*RUN, "--dry-run", "--weights", "{weights}", "--allow-mixed"),
    "distance": ("distance", "{spectrum}", "--weights", "{weights}"),
}
WRITING = {
    "init": ("init",),
    "ingest": ("ingest", "apstar", "{spectra}"),
    "run": (*RUN, "--overwrite", "--weights", "{weights}"),
}
OF_ONE_PLACE = {"dry run", "distance", "run"}

#: Runs the command lines that it is given, then Python, and says of each its exit code and its last line.
CHILD = """
import contextlib, io, json, sys
from astra.cli import main
from astra.errors import AstraError
from astra.models import Source
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(command)
    print(json.dumps([code, (err.getvalue().splitlines() or [""])[-1]]))
try:
    print(json.dumps([0, f"{Source.select().where(Source.k_mag == 7.25).count()} changed"]))
except AstraError as error:
    print(json.dumps([error.exit_code, str(error)]))
"""


@pytest.fixture(scope="module")
def survey(sqlite_template, tmp_path_factory):
    """A SQLite file with nine stars, closed."""
    file = Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("survey") / "my.db"))
    with bound_to(open_database(_settings(file))):
        fill_survey()
    return file


@pytest.fixture
def medium(tmp_path):
    """A file system of 1 MiB of its own, as a folder."""
    folder = tmp_path / "medium"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def _settings(file):
    return Settings.model_validate({"database": {"path": file}, "models_dir": "/nowhere"})


def _filled(commands, **places):
    return {name: [word.format(**places) for word in words] for name, words in commands.items()}


# > Where one cannot write


@pytest.mark.heavy
def test_on_a_read_only_medium_what_reads_works_and_what_writes_says_so(
    astra, survey, medium, monkeypatch, simulated, toy_weights, tmp_path
):
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(shutil.copy(survey, medium)))
    subprocess.run(["mount", "-o", "remount,ro", medium], check=True)
    spectrum = min(simulated.glob("apStar-*.fits"))
    places = {"out": tmp_path, "spectra": simulated, "spectrum": spectrum, "weights": toy_weights}

    for name, words in _filled(READING | WRITING, **places).items():
        code, _, err = astra(*words)

        refused = f"the file system of {medium} is mounted read-only; to write, set ASTRA_DATABASE_PATH"
        assert (code, refused in err) == ((74, True) if name in WRITING else (0, False)), (name, err)
    assert [each.name for each in medium.iterdir()] == ["my.db"]
    assert (FAIL, 74) in _found(check_connection, check_rights)


def _open_folder(folder, file):
    """One without a log of writers."""
    return contextlib.nullcontext()


@contextlib.contextmanager
def _beside_a_writer(folder, file):
    """One in which somebody else is writing, and what is committed is in the log alone."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("UPDATE source SET k_mag = 7.25 WHERE pk = 1")
        yield


@contextlib.contextmanager
def _beside_a_left_over_log(folder, file):
    """One whose writer died, and of whose log a part was not copied."""
    with _beside_a_writer(folder, file):
        log = (folder / "my.db-wal").read_bytes()
    (folder / "my.db-wal").write_bytes(log)
    yield


#: How a folder comes to be as it is, and what a reader is told in the end.
FOLDERS = {
    "a closed file": (_open_folder, 0, "0 changed"),
    "a live file": (_beside_a_writer, 0, "1 changed"),
    "a left-over log": (
        _beside_a_left_over_log,
        74,
        "changes in my.db-wal can be read only where",
    ),
}


@pytest.mark.heavy
@pytest.mark.parametrize(("made", "exit_code", "told"), FOLDERS.values(), ids=FOLDERS)
def test_in_a_folder_that_this_user_may_not_write_it_is_the_same(
    survey, simulated, ordinary_user, open_tmp_path, made, exit_code, told
):
    folder, out = open_tmp_path / "theirs", open_tmp_path / "out"
    for each in (folder, out):
        each.mkdir()
        each.chmod(0o777)
    file = Path(shutil.copy(survey, folder / "my.db"))
    spectra = shutil.copytree(simulated, open_tmp_path / "spectra")
    commands = {name: words for name, words in (READING | WRITING).items() if name not in OF_ONE_PLACE}
    commands = _filled(commands, out=out, spectra=spectra)

    with made(folder, file):
        for each in (*folder.iterdir(), folder):
            each.chmod(0o555 if each.is_dir() else 0o444)
        found = _run_as(ordinary_user, file, commands.values())

    refused = f"this user may not write to {folder}, where SQLite keeps its log; to write, set ASTRA_"
    for name, (code, said) in zip([*commands, "Python"], found, strict=True):
        expected = 74 if name in WRITING else exit_code
        assert (code, refused in said) == (expected, expected == 74), (name, said)
    assert told in said


def _run_as(user, file, commands):
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(list(commands))],
        capture_output=True,
        text=True,
        env=os.environ | {"ASTRA_DATABASE_PATH": str(file)},
        cwd="/",
        **user,
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_file_that_somebody_begins_to_write_all_the_same_is_read_anew(survey, tmp_path, monkeypatch):
    file = Path(shutil.copy(survey, tmp_path))
    monkeypatch.setattr(sqlite, "refusal", lambda file: "as if on a read-only medium")
    query = Source.select(Source.k_mag).where(Source.pk == 1)
    with (
        bound_to(open_database(_settings(file))) as database,
        contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer,
    ):
        reading = snapshot(database)
        reading.__enter__()
        before = query.scalar()
        writer.execute("UPDATE source SET k_mag = 7.25 WHERE pk = 1")
        with pytest.raises(Interrupted, match="changed by another process"):
            reading.__exit__(None, None, None)

        assert (before, query.scalar()) == (10.0, 7.25)


def test_pages_of_such_a_file_are_shown_until_then(survey, tmp_path, monkeypatch):
    file = Path(shutil.copy(survey, tmp_path))
    monkeypatch.setattr(sqlite, "refusal", lambda file: "as if on a read-only medium")
    with (
        bound_to(open_database(_settings(file))) as database,
        prepared(database, uncounted) as served,
        opened(served) as pages,
    ):
        before = pages.get("/source")
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
            writer.execute("UPDATE source SET k_mag = 7.25 WHERE pk = 1")
        after = pages.get("/source")

    assert before.status_code == 200
    assert "start `astra serve` again" in unescape(after.text)


# > Where nothing more can be written


@contextlib.contextmanager
def _full_disk(folder, left):
    """A disk of which so many bytes are left."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    os.truncate(filler, filler.stat().st_size - left)
    yield
    filler.unlink()


@contextlib.contextmanager
def _limited_size(folder, left):
    """A limit on the size of files, as of ``ulimit -f``."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


#: What is at its end, how many bytes it leaves, and what is said of that.
ENDS = {
    "a disk without a byte": (_full_disk, 0, "disk I/O error: 0.0 MiB free in {folder}, "),
    "a disk with a little room": (_full_disk, 40_960, "database or disk is full: 0.0 MiB free in {folder}, "),
    "a limit on files": (
        _limited_size,
        40_960,
        "disk I/O error: SQLITE_IOERR_WRITE; a quota or `ulimit -f`",
    ),
}


@pytest.mark.parametrize(("end", "left", "said"), ENDS.values(), ids=ENDS)
def test_what_is_full_says_so_and_loses_nothing(
    astra, sqlite_template, medium, simulated, monkeypatch, end, left, said
):
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(shutil.copy(sqlite_template, medium / "my.db")))

    with end(medium, left):
        code, _, err = astra("ingest", "apstar", simulated)
        assert (code, err.count("\n")) == (74, 1), err
        assert said.format(folder=medium) in err
        assert (FAIL, 74) in _found(disks.check_space)

    assert astra("ingest", "apstar", simulated)[0] == 0
    with bound_to(open_database()):
        assert ApogeeCoaddedSpectrumInApStar.select().count() == 16


def _found(*checks):
    """The levels and exit codes of findings."""
    known = Known(settings=load_settings())
    with known.stack:
        return [(each.level, each.exit_code) for check in checks for each in guarded("", check(known))]
