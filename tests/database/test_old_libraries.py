"""Libraries of SQLite that are older than this one: the oldest declared one works, older ones are refused.

Old ones are built from the sources that packages of npm carry, and take the place of the system's library.
"""

import os
import shutil
import sqlite3
import subprocess
import sys

import pytest
from debian_packages import needed

from astra.config import load_settings
from astra.database.sqlite import OLDEST_LIBRARY
from astra.doctor.database import check_connection
from astra.doctor.findings import FAIL, Known, guarded

#: The package of npm by the version of SQLite that it carries: those of RHEL 9 and RHEL 8.
CARRIERS = {"3.34.0": "sqlite3@5.0.2", "3.26.0": "sqlite3@4.0.6"}
#: As Debian builds it, of what is in use.
OPTIONS = ["-DSQLITE_THREADSAFE=1", "-DSQLITE_ENABLE_JSON1", "-DSQLITE_ENABLE_DESERIALIZE"]

COMMANDS = [("init",), ("status",), ("query",), ("ingest", "catalog", "x.csv"), ("run", "astronn_dist")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_older_library_is_refused_by_every_command_on_one_line(astra, db_file, older, command):
    code, _, err = astra(*command)

    assert (code, err.count("\n")) == (78, 1), err
    assert "SQLite 3.33.0 is too old, astra needs 3.34 or later" in err


def test_an_older_library_is_found_by_the_doctor(db_file, older):
    (finding,) = guarded("database", check_connection(Known(settings=load_settings())))

    assert (finding.level, finding.exit_code) == (FAIL, 78)
    assert "astra needs 3.34 or later" in finding.said


@pytest.fixture
def db_file(sqlite_template, tmp_path, monkeypatch):
    """The configured database, a file with all tables."""
    (tmp_path / "x.csv").write_text("apogee_id,k_mag\n2M00000001+0000001,10\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(shutil.copy(sqlite_template, tmp_path / "my.db")))


@pytest.fixture
def older(monkeypatch):
    """A library of the version before the oldest one."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 33, 0))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.33.0")


# > With libraries that are that old


@pytest.fixture(scope="module")
def on(tmp_path_factory):
    """Runs a command with a library of a version; gives exit code, stdout, stderr."""
    for program in ("npm", "gcc"):
        needed(program, install_it=bool(os.environ.get("CI")))
    folders = {}

    def run(version, *arguments):
        if version not in folders:
            folders[version] = _built(version, tmp_path_factory.mktemp("sqlite"))
        command = [sys.executable, *map(str, arguments)]
        environment = os.environ | {"LD_LIBRARY_PATH": str(folders[version])}
        ran = subprocess.run(command, capture_output=True, text=True, env=environment)
        return ran.returncode, ran.stdout, ran.stderr

    return run


def _built(version, folder):
    packed = subprocess.run(["npm", "pack", "--silent", CARRIERS[version]], cwd=folder, capture_output=True)
    if packed.returncode:
        pytest.skip(f"needs {CARRIERS[version]} of npm")
    for archive in ("*.tgz", "package/deps/sqlite-autoconf-*.tar.gz"):
        shutil.unpack_archive(next(folder.glob(archive)), folder)
    (source,) = folder.glob("sqlite-autoconf-*/sqlite3.c")
    library = folder / "libsqlite3.so.0"
    build = ["gcc", "-O1", "-fPIC", "-shared", f"-Wl,-soname,{library.name}", *OPTIONS]
    subprocess.run([*build, "-o", library, source, "-lm", "-ldl", "-lpthread"], check=True)
    return folder


@pytest.mark.slow
def test_the_oldest_library_does_the_main_job_and_a_trial(on, simulated, toy_weights, tmp_path, monkeypatch):
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(tmp_path / "my.db"))
    run = ("run", "astronn_dist", "--weights", toy_weights)
    commands = [
        ("init",),
        ("ingest", "apstar", simulated, "--catalog", simulated / "targets.csv"),
        run,
        (*run, "--seed", 1, "--into", "trial-other"),
        ("trials", "promote", "trial-other"),
        (*run, "--seed", 1, "--overwrite"),
        ("status",),
        ("query", "--limit", 1),
        ("create", "astraAllStarAstroNNdist", "--output", tmp_path / "stars.fits"),
        ("report", "astronn_dist", "--output", tmp_path / "report.html"),
    ]

    _is_that_old(on, ".".join(map(str, (*OLDEST_LIBRARY, 0))))
    for command in commands:
        code, out, err = on("3.34.0", "-m", "astra", *command)
        assert code == 0, (command, out, err)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_library_that_is_older_in_truth_is_refused(on, db_file, command):
    _is_that_old(on, "3.26.0")

    code, _, err = on("3.26.0", "-m", "astra", *command)

    assert (code, err.count("\n")) == (78, 1), err
    assert "SQLite 3.26.0 is too old" in err


@pytest.mark.slow
def test_the_doctor_finds_it_and_goes_on(on, db_file):
    _is_that_old(on, "3.26.0")

    code, out, _ = on("3.26.0", "-m", "astra", "doctor")

    assert code == 78
    assert "fail  database       SQLite 3.26.0 is too old" in out
    assert "ok    space" in out


def _is_that_old(on, version):
    if on(version, "-c", "import sqlite3; print(sqlite3.sqlite_version)")[1] != f"{version}\n":
        pytest.skip("this Python holds its SQLite in itself")
