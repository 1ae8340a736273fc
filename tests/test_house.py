"""The layout is what its maps say, and each room can do without those above it."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "astra"
PACKAGES = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))
# A line of a map: some names, then what they are.
LINE = re.compile(r"^ *((?:[\w./]+\.py|\w+/)(?:, (?:[\w./]+\.py|\w+/))*)(?::? {2,}.+)?$")
NAME = re.compile(r"\w+\.py|\w+/")
#: Public names, and where they stand.
PUBLIC = {
    "astra.fields": ["astra.models.fields"],
    "astra.glossary": ["astra.models.glossary"],
    "astra.pending": ["astra.tasks.queries"],
    "astra.products.apstar": ["astra.spectra.apstar"],
    "astra.pipelines.astronn_dist.rectify": ["astra.spectra.rectify"],
    "astra.utils": ["astra.config", "astra.system.nested", "astra.system.version"],
}


def map_of(package: Path) -> list[str]:
    """The files and folders that the docstring of a package names, in its order."""
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    return [name for line in text.splitlines() if LINE.match(line) for name in NAME.findall(line)]


def contents_of(package: Path) -> set[str]:
    modules = {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    return modules | {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}


def layers() -> list[str]:
    contract, *_ = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return contract["layers"]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_a_map_names_each_file_of_its_room_once(package):
    named = map_of(package)

    assert sorted(named) == sorted(contents_of(package))


def test_the_map_of_the_house_has_the_order_that_the_linter_checks():
    rooms = [name.removesuffix("/").removesuffix(".py") for name in map_of(PACKAGE)]

    assert [room for room in rooms if room in layers()] == layers()[::-1]


@pytest.mark.parametrize("public", PUBLIC)
def test_a_public_name_is_what_stands_in_a_room(public):
    names = [name for name in vars(import_module(public)) if not name.startswith("_")]
    homes = [import_module(home) for home in PUBLIC[public]]

    assert names
    for name in names:
        here = getattr(import_module(public), name)
        assert any(here is getattr(home, name, None) for home in homes)


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("astra.spectra.rectify", ["peewee", "torch", "astra.models"]),
        ("astra.running.runner", ["torch", "astra.modelling", "astra.report"]),
        ("astra.pipelines.astronn_dist", ["torch", "astra.modelling"]),
    ],
)
def test_what_is_imported_loads_nothing_that_it_can_do_without(module, unwanted):
    script = f"import sys, {module}; print(*sys.modules)"

    loaded = subprocess.check_output([sys.executable, "-c", script], text=True).split()

    assert not set(unwanted) & set(loaded)
