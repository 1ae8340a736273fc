"""What the program did at an earlier commit, done again by that code and by this one, and compared.

The wording may differ, and something may have been added. Names, types, units, exit codes, JSON, rows of
queries and numbers are as they were. The earlier code is taken from the history of the project.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import peewee
import pytest

from astra.config import Settings
from astra.database.connection import open_database

from documents import ROOT, blocks, statements

pytestmark = pytest.mark.slow

REFERENCE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from astra_reference import commands, tables
import astra.models
models = [model.__name__ for model in (*astra.models.TABLES, astra.models.Distance)]
parts = {f"columns of {name}": tables.columns(name) for name in models}
parts |= {f"flags of {name}": tables.flags(name) for name in models}
parts |= {"exit codes": tables.exit_codes(), "settings": tables.settings(), "commands": commands.commands()}
print(json.dumps(parts))
"""


@dataclass(frozen=True)
class Code:
    """The program at one commit: it works on a database, in a folder with a survey."""

    root: Path
    folder: Path
    database: str

    def python(self, *words: str) -> subprocess.CompletedProcess:
        """Run Python with this code first in its path."""
        kind = "URL" if "://" in self.database else "PATH"
        environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        environment |= {"HOME": str(self.folder), "PYTHONWARNINGS": "ignore"}
        environment |= {"PYTHONPATH": f"{self.root / 'python'}", f"ASTRA_DATABASE_{kind}": self.database}
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def astra(self, line: str) -> subprocess.CompletedProcess:
        """Run one command."""
        return self.python("-m", "astra", *line.split())


# > The reference


def _parts(root: Path) -> dict[str, str]:
    done = Code(root, root, "unused.db").python("-c", REFERENCE, str(root / "docs/_ext"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _names(text: str) -> list[str]:
    """What a part of the reference says without its prose: rows without their meaning, options, examples."""
    lines = text.splitlines()
    head = next((line.split(" | ") for line in lines if line.startswith("| ")), [])
    meaning = next((index for index, name in enumerate(head) if "meaning" in name), None)
    names = []
    for line in lines:
        if line.startswith("| "):
            names.append(" | ".join(cell for index, cell in enumerate(line.split(" | ")) if index != meaning))
        elif found := re.match(r"## `.*`|\* `.*?`|astra .*", line):
            names.append(found[0])
    return names


def test_the_reference_has_all_that_it_had(old_root):
    now = {part: _names(text) for part, text in _parts(ROOT).items()}

    for part, text in _parts(old_root).items():
        rest = iter(now[part])
        # Each is looked for behind the one before it.
        assert [name for name in _names(text) if name not in rest] == [], part


def test_each_documented_name_of_python_is_still_there(old_root):
    api = (old_root / "docs/reference/api.md").read_text()
    modules = re.findall(r"automodule:: (\S+)", api)
    names = re.findall(r"auto(?:function|class):: (\S+)", api)

    assert len(modules) > 5
    assert len(names) > 10
    for module in modules:
        import_module(module)
    for module, _, name in (name.rpartition(".") for name in names):
        assert getattr(import_module(module), name).__doc__


# > A survey, from its files to its results

#: What an operator types, one after the other; each of them ends as it did, and prints the same JSON.
LINES = """
status --json
ingest apstar survey
init
init
ingest apstar nowhere --json
ingest apstar survey --catalog survey/nowhere.csv --json
ingest apstar survey --catalog survey/targets.csv --json
ingest apstar survey --catalog survey/targets.csv --json
status astronn_dist --json
status no_such_task --json
run astronn_dist --dry-run --json
run astronn_dist --count --json
run no_such_task --json
run astronn_dist --limit 0 --json
run astronn_dist --page 3/2 --json
run astronn_dist --weights nowhere.pt --json
run astronn_dist --limit 4 --json
run astronn_dist --limit 2 --workers 2 --json
run astronn_dist --seed 1 --json
run astronn_dist --json
run astronn_dist --json
run astronn_dist --limit 2 --overwrite --json
status --json
status --check --max-no-result 0% --max-pending 0
explain 2051 --json
explain flag_nonsense --json
models list --json
models show simulated-5 --json
models show nowhere --json
config show --json
version
create astraAllStarAstroNNdist --output made.fits --json
create astraAllStarAstroNNdist --output made.fits --json
create astraAllStarAstroNNdist --output made.csv --where good --json
create astraAllStarAstroNNdist --output made.csv --where nonsense --overwrite --json
compare survey --json
report astronn_dist --output report.html --json
doctor --json
no_such_command
""".strip().splitlines()
#: Keys of JSON and columns whose values are of a moment or of a machine; and prose.
MOMENT = set("at bytes created date elapsed elapsed_s finished modified pid spectra_per_s started".split())
MOMENT |= set("inputs_read source_read t_elapsed t_overhead".split())
PROSE = set("said remedy help range description text".split())
#: Columns that leave Gaia out by now where its zero-point is not known.
CORRECTED = set("weighted_parallax e_weighted_parallax weighted_dist e_weighted_dist".split())
#: What `astra doctor` looks at now, and did not.
ADDED_CHECKS = {"package", "tasks"}
TABLES = ("source", "spectrum", "apogee_coadded_spectrum_in_apstar", "astro_nn_dist", "distances")


@pytest.fixture(scope="module")
def folders(old_root, tmp_path_factory) -> tuple[Path, Path]:
    """A folder for the code of then, and one for that of now, each with the survey that it simulated."""
    found = []
    for root in (old_root, ROOT):
        folder = tmp_path_factory.mktemp("replay")
        assert Code(root, folder, "unused.db").astra("simulate survey --n 12 --seed 1").returncode == 0
        found.append(folder)
    return tuple(found)


def test_a_simulated_survey_has_the_same_bytes(folders):
    then, now = ({path.name: path.read_bytes() for path in (each / "survey").iterdir()} for each in folders)

    assert len(then) > 12
    assert now == then


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def codes(request, old_root, folders, tmp_path_factory):
    """The code of then and of now, each with an empty database."""
    roots = old_root, ROOT
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            folder = tmp_path_factory.mktemp("databases")
            databases = [str(folder / "then.db"), str(folder / "now.db")]
        else:
            server = request.getfixturevalue("postgres")
            databases = [server.url(stack.enter_context(server.database())) for _ in roots]
        yield tuple(map(Code, roots, folders, databases))


@pytest.fixture(scope="module")
def replayed(codes) -> list[tuple[str, tuple, tuple]]:
    """Each line, with its exit code and its JSON of then and of now."""
    return [(line, *(_outcome(code, line) for code in codes)) for line in LINES]


def _outcome(code: Code, line: str) -> tuple[int, Any]:
    done = code.astra(line)
    assert "Traceback" not in done.stderr
    is_json = done.stdout.startswith("{")
    return done.returncode, _comparable(json.loads(done.stdout), code) if is_json else None


def _comparable(found: Any, code: Code) -> Any:
    if isinstance(found, dict):
        kept = found.keys() - MOMENT - PROSE
        return {key: _comparable(value, code) for key, value in found.items() if key in kept}
    if isinstance(found, list):
        kept = [each for each in found if not (isinstance(each, dict) and each.get("check") in ADDED_CHECKS)]
        return [_comparable(each, code) for each in kept]
    if isinstance(found, str):
        places = {code.database: "DATABASE", str(code.folder): "FOLDER", str(code.root): "ROOT"}
        for place, name in places.items():
            found = found.replace(place, name)
    return found


def test_each_command_ends_as_it_did_and_prints_the_same_json(replayed):
    assert sum(then[1] is not None for _, then, _ in replayed) > 20
    for line, then, now in replayed:
        assert (now[0], _without_added(now[1], then[1])) == then, line


def _without_added(now: Any, then: Any) -> Any:
    """What is printed now, without the keys that it did not have then."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {key: _without_added(now[key], then[key]) for key in then if key in now}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [_without_added(*pair) for pair in zip(now, then, strict=True)]
    return now


@contextlib.contextmanager
def _opened(code: Code):
    kind = "url" if "://" in code.database else "path"
    settings = Settings.model_validate({"database": {kind: code.database}, "models_dir": "/nowhere"})
    opened = open_database(settings)
    yield opened
    opened.close()


def _rows(database, query: str) -> list[dict]:
    cursor = database.execute_sql(query)
    names = [column[0] for column in cursor.description or ()]
    return [
        {name: value for name, value in zip(names, row, strict=True) if name not in MOMENT | CORRECTED}
        for row in (cursor.fetchall() if names else ())
    ]


def _all_rows(code: Code) -> dict[str, list[dict]]:
    with _opened(code) as database:
        return {table: _rows(database, f"SELECT * FROM {table} ORDER BY 1") for table in TABLES}


@pytest.mark.usefixtures("replayed")
def test_each_row_has_the_same_numbers_to_the_last_bit(codes):
    then, now = map(_all_rows, codes)

    assert len(then["distances"]) == 12
    for table in TABLES:
        assert [
            {name: row[name] for name in old} for old, row in zip(then[table], now[table], strict=True)
        ] == [{name: _relocated(value, *codes) for name, value in old.items()} for old in then[table]], table


def _mentions(statement: str, names: set[str]) -> bool:
    return bool(names & set(re.findall(r"\w+", statement)))


def _relocated(value: Any, then: Code, now: Code) -> Any:
    return value.replace(str(then.folder), str(now.folder)) if isinstance(value, str) else value


@pytest.mark.usefixtures("replayed")
def test_each_question_in_sql_has_the_same_answer(codes, old_root):
    """A statement that the database of then does not understand is for the other kind of database."""
    then, now = codes
    pages = ("README.md", "docs/sql.md", "docs/distances.md", "docs/report.md")
    found = [block for page in pages for block in blocks(page, "sql", old_root)]
    asked = [each for block in found for each in statements(block.text) if not _mentions(each, CORRECTED)]
    answered = 0

    with _opened(then) as before, _opened(now) as after:
        for statement in asked:
            with contextlib.suppress(peewee.DatabaseError):
                with before.atomic() as transaction:
                    expected = _rows(before, statement)
                    transaction.rollback()
                with after.atomic() as transaction:
                    assert _rows(after, statement) == expected, statement
                    transaction.rollback()
                answered += 1
    assert answered > 20


@pytest.mark.usefixtures("replayed")
@pytest.mark.parametrize(
    "page", ["README.md", "docs/catalogue.md", "docs/python.md", "docs/start.md", "docs/tables-in-python.md"]
)
def test_the_python_of_a_page_prints_the_same(codes, old_root, page, tmp_path):
    text = "\n".join(block.text for block in blocks(page, "python", old_root))
    then, now = (_printed(code, text, tmp_path / code.folder.name) for code in codes)

    assert now == then


def _printed(code: Code, text: str, folder: Path) -> str:
    path = min((code.folder / "survey").glob("apStar-dr17-*.fits"))
    folder.mkdir()
    (folder / path.name).symlink_to(path)
    star = path.stem.removeprefix("apStar-dr17-")
    done = replace(code, folder=folder).python("-c", text.replace("2M00000001+0000001", star))
    assert done.returncode == 0, done.stderr
    said = done.stdout.replace(str(folder), "FOLDER").replace(str(code.folder), "FOLDER")
    return re.sub(r"20\d\d-\d\d-\d\dT[\d:.]+", "TIME", said)


# > An upgrade


@pytest.mark.usefixtures("replayed")
def test_a_database_of_then_is_upgraded_and_keeps_its_rows(codes):
    """Migrations after it make each distance pending, so that the first run derives it again: the same."""
    then, now = codes
    before = _all_rows(then)
    upgraded = Code(now.root, then.folder, then.database)
    behind = upgraded.astra("status --json").returncode

    assert (behind, upgraded.astra("init").returncode) == (78, 0)
    first, second = (json.loads(upgraded.astra("run astronn_dist --json").stdout) for _ in range(2))
    assert (first["processed"], first["exit_code"]) == (0, 0)
    assert (second["outcome"], second["rederived"]) == ("nothing_pending", 0)
    after = _all_rows(upgraded)
    for table in TABLES:
        kept = [
            {name: row[name] for name in old} for old, row in zip(before[table], after[table], strict=True)
        ]
        assert kept == before[table], table
