"""The same numbers on batch nodes and in containers: whatever is missing there that is only a convenience."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hard_ground import as_unknown_user, in_its_own_mounts

ROOT = Path(__file__).resolve().parents[1]

#: Runs commands one after the other, as the program does, and says how each ended.
PROGRAM = """
import json, sys
from astra.cli import main
# Such as astropy for tables of the rotation of the Earth.
network = ("socket.connect", "socket.getaddrinfo")
sys.addaudithook(lambda event, about: event in network and print("reached for", about, file=sys.stderr))
for words in json.loads(sys.argv[1]):
    code = main(words)
    print(f"\\n{words[0]} ended with {code}", flush=True)
"""
COMMANDS = [
    ["config", "show"],
    ["doctor"],
    ["run", "astronn_dist"],
    ["status", "--json"],
    ["distance", "SPECTRUM", "--json"],
    ["create", "astraAllStarAstroNNdist", "--overwrite"],
]


@dataclass(frozen=True)
class Situation:
    """What is unusual: the beginning of the command line, variables, and what is said of it once."""

    prefix: Callable[[Path], list[str]] = lambda place: []
    variables: dict[str, str | None] = field(default_factory=dict)
    said: str | None = None


def _mounted(script: str) -> Callable[[Path], list[str]]:
    return lambda place: in_its_own_mounts(f"cd '{place}' && {script}")


def _instead_of_tmp(options: str, then: str = "true") -> Callable[[Path], list[str]]:
    """Another file system in each place of temporary files, through which the test's own folder is seen."""
    return _mounted(
        'here="$PWD" && mount --bind "$here" /mnt && for each in /tmp /var/tmp; do '
        f"mount -t tmpfs -o size=64k,{options} tmpfs $each; done && "
        'mkdir -p "$here" && mount --bind /mnt "$here" && cd "$here/work" && '
        f"for each in /tmp /var/tmp; do {then}; done"
    )


FULL = "dd if=/dev/zero of=$each/filler bs=1k 2>/dev/null || true"
HOMELESS = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"))
AT_HOME = HOMELESS | {"HOME": "HOME"}

SITUATIONS = {
    "no home, and in no list of users": Situation(lambda place: as_unknown_user(), HOMELESS),
    "a home that may not be entered": Situation(
        lambda place: [*as_unknown_user(), "sh", "-c", f"chmod 0 '{place}/home'; exec \"$@\"", "sh"], AT_HOME
    ),
    "a home that does not exist": Situation(variables=HOMELESS | {"HOME": "/proc/none"}),
    "a home that is read-only": Situation(_mounted("mount -t tmpfs -o ro tmpfs home"), AT_HOME),
    "a home that is full": Situation(_mounted("mount -t tmpfs -o size=4k,nr_inodes=1 tmpfs home"), AT_HOME),
    "temporary folders that are full": Situation(
        _instead_of_tmp("rw", FULL), said="nothing can be written for temporary"
    ),
    "temporary folders that are read-only": Situation(_instead_of_tmp("rw", "mount -o remount,ro $each")),
    "temporary folders without execution": Situation(_instead_of_tmp("noexec")),
    "a limit of addresses": Situation(lambda place: ["prlimit", "--as=1000000000"]),
    "no network": Situation(lambda place: ["unshare", "-rn"]),
    "the locale C": Situation(variables={"LC_ALL": "C", "LANG": None, "PYTHONUTF8": None}),
    "the locale POSIX, not coerced": Situation(variables={"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"}),
    "a locale that is not installed": Situation(variables={"LC_ALL": "xx_YY.UTF-8"}),
    "one core of a job": Situation(variables={"SLURM_CPUS_PER_TASK": "1", "OMP_NUM_THREADS": None}),
    "an installation that is read-only": Situation(
        _mounted(f"mount --bind {ROOT} {ROOT} && mount -o remount,bind,ro {ROOT}"), AT_HOME
    ),
    "nowhere to keep compiled code": Situation(
        _mounted(
            "mount -t tmpfs -o size=12k tmpfs home && for each in $(find "
            f"{ROOT}/python -name __pycache__); do mount -t tmpfs -o size=4k tmpfs $each; done"
        ),
        AT_HOME | {"NUMBA_CACHE_DIR": "HOME"},
        said="compiled code cannot be kept in",
    ),
}

#: One that costs little; the others are as many programs with all their libraries.
QUICK = "no home, and in no list of users"


@pytest.fixture(scope="module")
def place(tmp_path_factory, sqlite_template, simulated, toy_weights):
    """A folder with a database of two spectra, in a folder whose name is not ASCII."""
    place = tmp_path_factory.mktemp("node") / "Zürich a"
    for name in ("work", "spectra"):
        (place / name).mkdir(parents=True)
    shutil.copyfile(sqlite_template, place / "astra.db")
    shutil.copy(toy_weights, place)
    for path in sorted(simulated.glob("apStar-*.fits"))[:2]:
        shutil.copy(path, place / "spectra")
    environment = os.environ | {"ASTRA_DATABASE_PATH": str(place / "astra.db")}
    ingest = [sys.executable, "-m", "astra", "ingest", "apstar", str(place / "spectra")]
    subprocess.run(ingest, env=environment, check=True, capture_output=True)
    return place


@pytest.fixture(scope="module")
def usual(place):
    """The numbers where nothing is unusual."""
    return _numbers(place, Situation())


@pytest.mark.parametrize(
    "name", [name if name == QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SITUATIONS]
)
def test_every_command_ends_with_0_and_the_numbers_are_the_same(name, place, usual):
    assert _numbers(place, SITUATIONS[name]) == usual


def _numbers(place, situation):
    """The rows of a run, and what `astra distance` prints."""
    home, work, database = place / "home", place / "work", place / "work" / "a.db"
    for folder in (home, work):
        if folder.exists():
            folder.chmod(0o755)
            shutil.rmtree(folder)
        folder.mkdir()
    assert not any(Path(folder, "~").exists() for folder in (place, work))
    shutil.copyfile(place / "astra.db", database)
    (place / "astra.yml").write_text("# Zürich\n", encoding="utf-8")
    paths = {
        "ASTRA_DATABASE_PATH": database,
        "ASTRA_WEIGHTS": place / "toy.safetensors",
        "ASTRA_CONFIG": place / "astra.yml",
    }
    changed = {key: str(home) if value == "HOME" else value for key, value in situation.variables.items()}
    environment = os.environ | {name: str(path) for name, path in paths.items()} | changed
    spectrum = str(min((place / "spectra").iterdir()))
    commands = [[spectrum if word == "SPECTRUM" else word for word in words] for words in COMMANDS]
    ran = subprocess.run(
        [*situation.prefix(place), sys.executable, "-B", "-c", PROGRAM, json.dumps(commands)],
        env={name: value for name, value in environment.items() if value is not None},
        cwd=work,
        capture_output=True,
        check=False,
        timeout=300,
    )
    home.chmod(0o755)
    out, err = (stream.decode("utf-8") for stream in (ran.stdout, ran.stderr))
    ended = [line for line in out.splitlines() if " ended with " in line]
    assert ended == [f"{words[0]} ended with 0" for words in commands], out + err
    assert "Traceback" not in err, err
    assert "reached for" not in err, err
    assert situation.said is None or (out + err).count(situation.said) == 1, out + err
    assert not [each for each in work.iterdir() if each.name == "~"]
    told = json.loads(
        next(line for line in out.splitlines() if line.startswith('{"schema"') and '"n_draws"' in line)
    )
    rows = sqlite3.connect(database)
    try:
        return rows.execute("SELECT dist, e_dist FROM astro_nn_dist ORDER BY spectrum_pk").fetchall(), told
    finally:
        rows.close()
