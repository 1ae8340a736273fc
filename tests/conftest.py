"""What the tests share: where they find data, an empty database each, and a clean environment.

    simulated, apstars                                            spectra made here, and also real ones
    shared, published, reference, apstar_files, targets, reference_weights
                                                                  the data beside the project, read only
    fakemag_to_pc                                                 astroNN's own distances, without TensorFlow
    database_url                                                  an empty database, SQLite and PostgreSQL
    upstream                                                      a database of SDSS Astra, to be ingested
    prefix, survey, become                                        roles on PostgreSQL
    astra                                                         runs a command line in this process
    old_root                                                      the project as it was at an earlier commit
    example_packages, examples                                    the packages of examples/, for one test
    ordinary_user, open_tmp_path                                  to be someone other than root

The environment of whoever runs the tests reaches none of them. Only these variables of it count:

    ASTRA_SHARED       the folder of data (default: ../shared beside the project)
    ASTRA_TEST_PG      host:port:user of a running PostgreSQL server, instead of one of our own
    ASTRA_TEST_PGBIN   the folder of initdb and postgres to start our own from
    CI                 set: a missing PostgreSQL server is an error, not a reason to skip
"""

import contextlib
import ctypes
import gc
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import types
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import peewee
import pytest
from filelock import FileLock
from upstream_database import SCHEMA, AnUpstream

from astra.cli import main
from astra.config import Settings, load_settings
from astra.database.connection import bound_to, is_postgresql, open_database
from astra.schema import upgrade as schema
from astra.system.processes import shared_cores

from postgres_pool import Pool
from postgres_server import (
    NoServer,
    Server,
    as_user,
    find_binaries,
    parse_server,
    temporary_server,
    unprivileged,
)
from roles import quoted, sql

ROOT = Path(__file__).resolve().parents[1]

#: The commit of the last version before this one; its tables have the migrations 0001 to 0005.
THEN = "859a313"

# Read now: when a fixture asks for them, `isolated` may already have taken them away.
SHARED = Path(os.environ.get("ASTRA_SHARED") or ROOT.parent / "shared")
TEST_PG = os.environ.get("ASTRA_TEST_PG")
TEST_PGBIN = os.environ.get("ASTRA_TEST_PGBIN")
CI = os.environ.get("CI", "").lower() not in ("", "0", "false")

# PG*: libpq would fill in from them what an address leaves out.
USERS_PREFIXES = ("ASTRA_", "PG", "XDG_")
USERS_VARIABLES = ("MWM_ASTRA", "SAS_BASE_DIR")


# Without deadlines: how long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("local", deadline=None)
# The same examples at every run of a merge check: a new one that fails is for who looks for it, locally.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("ci" if CI else "local")


def pytest_configure(config: pytest.Config) -> None:
    """Give each process of the tests its share of the cores: more threads would only wait for each other."""
    if processes := getattr(config.option, "numprocesses", None):
        share = contextlib.ExitStack()
        share.enter_context(shared_cores(processes))
        config.add_cleanup(share.close)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Spare the garbage collector what stays until the end: modules, and thousands of tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("gpu"):
        import torch  # seconds, which a run without such tests need not wait for

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what would only repeat a test with data that is not there."""
    if not CI and not SHARED.exists():
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("real")])
        items[:] = [item for item in items if not item.get_closest_marker("real")]


# > Environment


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the settings and the files of whoever runs the tests away from every test."""
    for name in list(os.environ):
        if name.startswith(USERS_PREFIXES) or name in USERS_VARIABLES:
            monkeypatch.delenv(name)
    _move_home(monkeypatch, tmp_path / "home")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Give every test the same numbers from numpy's global generator, whatever ran before it."""
    np.random.seed(20260101)


def _move_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for kind in ("CONFIG", "DATA", "CACHE", "STATE", "RUNTIME"):
        folder = home / kind.lower()
        folder.mkdir(mode=0o700)
        monkeypatch.setenv(f"XDG_{kind}_DIR" if kind == "RUNTIME" else f"XDG_{kind}_HOME", str(folder))
    # Empty: a test that wants other settings writes them there.
    config = home / "astra.yml"
    config.touch()
    monkeypatch.setenv("ASTRA_CONFIG", str(config))


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[..., Path]:
    """Has a new folder filled; once for all processes of the tests."""

    def call(name: str, fill_folder: Callable[[Path], object]) -> Path:
        base = tmp_path_factory.getbasetemp()
        folder = (base if worker_id == "master" else base.parent) / name
        done = folder.with_suffix(".done")
        with FileLock(folder.with_suffix(".lock")):
            if not done.exists():
                folder.mkdir()
                fill_folder(folder)
                done.touch()
        return folder

    return call


# > Spectra


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the apStar files of 16 simulated stars and their ``targets.csv``, read only."""
    from astra.modelling.simulator import compact
    from astra.modelling.simulator.survey import write_survey

    return write_survey(tmp_path_factory.mktemp("simulated") / "spectra", compact.load(), 16, seed=1).folder


@pytest.fixture(scope="session", params=["simulated", pytest.param("real", marks=pytest.mark.real)])
def apstars(request: pytest.FixtureRequest) -> list[Path]:
    """apStar files, simulated and real, sorted by name."""
    if request.param == "real":
        return request.getfixturevalue("apstar_files")
    return sorted(request.getfixturevalue("simulated").glob("apStar-*.fits"))


# > Data beside the project


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of public data beside the project."""
    return _existing(SHARED)


@pytest.fixture(scope="session")
def published(shared: Path) -> Callable[[str], dict[str, Any]]:
    """Reads what the survey has published about a kind of file, by release."""

    def layout(kind: str) -> dict[str, Any]:
        path = shared / "data" / "datamodel" / f"{kind}.json"
        if not path.exists():
            pytest.skip(f"needs {path}")
        return json.loads(path.read_text())

    return layout


@pytest.fixture(scope="session")
def reference(shared: Path) -> Path:
    """The folder of reference numbers, which fix what "the same result" means."""
    return _existing(shared / "reference")


@pytest.fixture(scope="session")
def reference_weights(reference: Path) -> Path:
    """A checkpoint in Astra's layout; fitted to toy spectra, so that its numbers are no distances."""
    return _existing(reference / "astroNN_dist_model_parameter.pt")


@pytest.fixture(scope="session")
def apstar_files(shared: Path) -> list[Path]:
    """The 22 real apStar files, sorted by name."""
    return sorted(_existing(shared / "data" / "apstar").glob("apStar-*.fits"))


@pytest.fixture(scope="session")
def targets(shared: Path) -> Path:
    """The table of photometry and extinction that goes with ``apstar_files``."""
    return _existing(shared / "data" / "apstar" / "targets.csv")


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """A browser without a window."""
    from browser import launched

    with launched(required=CI) as browser:
        yield browser


@pytest.fixture(scope="session")
def toy_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small random weights: of no use for distances, good enough for everything around them."""
    from astra.pipelines.astronn_dist.weights.files import SHAPES, Weights, save_weights

    generator = np.random.default_rng(7)
    tensors = {name: generator.normal(0, 0.05, shape).astype(np.float32) for name, shape in SHAPES.items()}
    tensors["input_mean"] += 1
    tensors["labels_std"] = np.array([30.0], np.float32)
    tensors["dense_var.bias"] = np.array([-6.0], np.float32)
    path = tmp_path_factory.mktemp("weights") / "toy.safetensors"
    save_weights(Weights("toy", "", tensors), path)
    return path


@pytest.fixture
def embedded_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the package's own with the embedded models; the default is sim1."""
    from astra.pipelines.astronn_dist.weights import library

    folder = tmp_path / "embedded"
    folder.mkdir()
    monkeypatch.setattr(library, "EMBEDDED_FOLDER", folder)
    monkeypatch.setattr(library, "DEFAULT", "sim1")
    return folder


def _existing(path: Path) -> Path:
    if not path.exists():
        missing = pytest.fail if CI else pytest.skip
        missing(f"needs {path}, which is not there (ASTRA_SHARED names the folder of shared data)")
    return path


# > The oracle


@pytest.fixture
def fakemag_to_pc(monkeypatch: pytest.MonkeyPatch) -> Callable:
    """astroNN's own conversion to a distance: plain numpy, but its import asks for TensorFlow."""
    pytest.importorskip("astroNN")
    if importlib.util.find_spec("tensorflow") is None:
        absent = types.ModuleType("astroNN.shared.nn_tools")
        absent.cpu_fallback = absent.gpu_memory_manage = None  # imported, and not called
        monkeypatch.setitem(sys.modules, absent.__name__, absent)
    from astroNN.gaia import fakemag_to_pc

    return fakemag_to_pc


# > Databases


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for the whole session: the one of ASTRA_TEST_PG, else one of our own."""
    if TEST_PG:
        yield parse_server(TEST_PG)
        return
    try:
        binaries = find_binaries(TEST_PGBIN)
    except NoServer as error:
        if CI:
            raise
        pytest.skip(str(error))
    with temporary_server(binaries) as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of one's own: the path of a file (SQLite), then an address (PostgreSQL)."""
    if request.param == "sqlite":
        yield str(tmp_path / "astra.db")
        return
    server = request.getfixturevalue("postgres")  # only now: tests on SQLite need no server
    with server.database() as dbname:
        yield server.url(dbname)


@pytest.fixture
def empty_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[peewee.Database]:
    """An open database without tables, which is also the configured one, for child processes too."""
    monkeypatch.setenv("ASTRA_DATABASE_URL" if "://" in database_url else "ASTRA_DATABASE_PATH", database_url)
    with bound_to(open_database(load_settings(), create=True)) as opened:
        yield opened


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "astra.db"
    _migrate({"path": path})
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: Server) -> Iterator[str]:
    """A PostgreSQL database with all tables, to be copied."""
    with postgres.database() as dbname:
        _migrate({"url": postgres.url(dbname)})
        yield dbname


@pytest.fixture(scope="session")
def postgres_pool(postgres: Server, postgres_template: str) -> Iterator[Pool]:
    """Copies of it that tests use one after the other."""
    pool = Pool(postgres, postgres_template)
    yield pool
    if TEST_PG:  # to drop hundreds takes minutes, and the files of a server of our own are removed as a whole
        pool.close()


def _migrate(database: dict) -> None:
    settings = Settings.model_validate({"database": database, "models_dir": "/nowhere"})
    with bound_to(open_database(settings, create=True)) as opened:
        schema.upgrade(opened, settings)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def db(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[peewee.Database]:
    """An open database with all tables, bound to the models; also the configured one."""
    with copied(request, "template", tmp_path, monkeypatch) as opened:
        yield opened


@contextlib.contextmanager
def copied(
    request: pytest.FixtureRequest, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[peewee.Database]:
    """An open copy of what the fixture ``sqlite_WHAT`` or ``postgres_WHAT`` names, as ``db`` gives it."""
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            template = request.getfixturevalue(f"sqlite_{what}")
            monkeypatch.setenv("ASTRA_DATABASE_PATH", str(shutil.copyfile(template, tmp_path / "astra.db")))
        else:
            server = request.getfixturevalue("postgres")
            if what == "template":
                copy = request.getfixturevalue("postgres_pool").database()
            else:
                copy = server.database(request.getfixturevalue(f"postgres_{what}"))
            dbname = stack.enter_context(copy)
            monkeypatch.setenv("ASTRA_DATABASE_URL", server.url(dbname))
        yield stack.enter_context(bound_to(open_database(load_settings())))


@pytest.fixture
def upstream(request: pytest.FixtureRequest, db: peewee.Database) -> AnUpstream:
    """A database of SDSS Astra of the kind of ours: another file, or another schema of the same database."""
    kind = "postgresql" if is_postgresql(db) else "sqlite"
    return request.getfixturevalue(f"upstream_on_{kind}")


@pytest.fixture
def upstream_on_sqlite(published: Callable, tmp_path: Path) -> Iterator[AnUpstream]:
    """One in a file."""
    pragmas = {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 0}
    opened = peewee.SqliteDatabase(tmp_path / "upstream.db", pragmas=pragmas)
    yield AnUpstream(opened, str(tmp_path / "upstream.db"), None, published("astra_database"))
    opened.close()


@pytest.fixture
def upstream_on_postgresql(
    db: peewee.Database, postgres: Server, published: Callable
) -> Iterator[AnUpstream]:
    """One in a schema of our database, or in a database of its own if ours is a file."""
    with contextlib.ExitStack() as stack:
        url = db.database if is_postgresql(db) else postgres.url(stack.enter_context(postgres.database()))
        opened = peewee.PostgresqlDatabase(url)
        stack.callback(opened.close)
        yield AnUpstream(opened, url, SCHEMA, published("astra_database"))
        opened.execute_sql(f"DROP SCHEMA {SCHEMA} CASCADE")


# > Roles on PostgreSQL


@pytest.fixture
def prefix(postgres: Server) -> Iterator[str]:
    """Names that no other test has: roles belong to the whole server. Dropped when all databases are."""
    name, server = f"t{uuid.uuid4().hex[:10]}", postgres.url("postgres")
    yield name
    for (role,) in sql(server, f"SELECT rolname FROM pg_roles WHERE rolname LIKE '{name}%'"):
        sql(server, f"DROP ROLE {quoted(role)}")


@pytest.fixture
def survey(
    postgres: Server, postgres_template: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of a database with all tables, as their owner, which is also the configured one."""
    with postgres.database(postgres_template) as dbname:
        monkeypatch.setenv("ASTRA_DATABASE_URL", postgres.url(dbname))
        yield postgres.url(dbname)


@pytest.fixture
def become(survey: str, prefix: str, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Makes the configured login a new member of a role; gives its address."""

    def change(role: str) -> str:
        login = f"{prefix}_{uuid.uuid4().hex[:6]}"
        sql(survey, f'CREATE ROLE "{login}" LOGIN', f'GRANT "{role}" TO "{login}"')
        url = survey.replace(f"{postgres.user}@", f"{login}@")
        monkeypatch.setenv("ASTRA_DATABASE_URL", url)
        return url

    return change


# > The command line


@pytest.fixture
def astra(capsys):
    """Runs a command line; gives exit code, stdout, stderr."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


# > The program as it was


@pytest.fixture(scope="session")
def old_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project at an earlier commit, from its history: ``python`` below it can be run."""
    folder = tmp_path_factory.mktemp("then")
    wanted = ("python", "migrations", "docs", "README.md")
    archive = subprocess.run(["git", "archive", THEN, *wanted], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"the history of this clone does not reach back to {THEN}")
    subprocess.run(["tar", "x", "-C", folder], input=archive.stdout, check=True)
    (folder / "python/astra/migrations").symlink_to(folder / "migrations")
    metadata = folder / "python/astra-0.1.0.dist-info"
    metadata.mkdir()
    # What an installation of it would have left for importlib.metadata.
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: astra\nVersion: 0.1.0\n")
    return folder


# > The packages of examples/


@pytest.fixture(scope="session")
def example_packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A copy of the folder of the packages, and the folder where pip has installed them: on no path yet."""
    # A build leaves its litter beside the sources.
    litter = shutil.ignore_patterns("__pycache__", "build", "*.egg-info", ".*")
    copy = shutil.copytree(ROOT / "examples", tmp_path_factory.mktemp("examples") / "copy", ignore=litter)
    target = tmp_path_factory.mktemp("installed")
    pip = ["-m", "pip", "install", "-qq", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([sys.executable, *pip, *map(str, copy.iterdir())], check=True, capture_output=True)
    return copy, target


@pytest.fixture
def examples(example_packages: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The packages are installed, for this process and its children, until the end of the test."""
    _, target = example_packages
    # Once imported they stay so, like any module: of each model there is one class.
    monkeypatch.syspath_prepend(target)
    monkeypatch.setenv("PYTHONPATH", str(target))
    return target


# > Other users


@pytest.fixture
def ordinary_user(request: pytest.FixtureRequest) -> dict:
    """Keywords for :mod:`subprocess` that drop root's rights, which no permission would stop.

    Take the right itself away (``chmod 0o555``): the child may be nobody, or still own root's files.
    """
    nobody = as_user(unprivileged("nobody"))
    if not nobody or _can_start_python(nobody):
        return nobody
    if sys.platform != "linux":
        pytest.skip(f"an ordinary user cannot run {sys.executable}")
    # Python 3.12 warns of preexec_fn in a process with threads; this one only calls the kernel.
    request.node.add_marker(pytest.mark.filterwarnings("ignore:.*is multi-threaded, use of fork"))
    return {"preexec_fn": _without_root_rights(ctypes.CDLL(None, use_errno=True).prctl)}


def _can_start_python(keywords: dict) -> bool:
    """Whether neither this Python nor the package lies behind a folder closed to others, e.g. /root."""
    try:
        command = [sys.executable, "-c", "import astra"]
        return subprocess.run(command, cwd="/", capture_output=True, check=False, **keywords).returncode == 0
    except PermissionError:
        return False


def _without_root_rights(prctl: Callable[..., int]) -> Callable[[], None]:
    """Still root by name, but permissions of files count: for a child where nobody cannot start Python."""
    drop_from_bounding_set = 24
    overriding = (1, 2, 3)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER

    def drop() -> None:
        for capability in overriding:
            if prctl(drop_from_bounding_set, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")

    return drop


@pytest.fixture
def open_tmp_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder open to all users, who also find their home in it; removed afterwards.

    ``tmp_path`` is no good for ``ordinary_user``: it lies in a folder that is closed to all but root.
    """
    path = Path(tempfile.mkdtemp(prefix="astra-open-", dir="/tmp"))
    try:
        _move_home(monkeypatch, path / "home")
        for folder in [path, *path.rglob("*")]:
            folder.chmod(0o777)
        yield path
    finally:
        _make_removable(path)
        shutil.rmtree(path, ignore_errors=True)


def _make_removable(path: Path) -> None:
    """Give back the rights that a test took from folders; without them, only root could remove these."""
    path.chmod(0o700)
    for folder, below, _ in os.walk(path):
        for inner in (Path(folder, name) for name in below):
            if not inner.is_symlink():
                inner.chmod(0o700)
