"""What a user installs: the distributions hold the whole package, and the migrations as a part of it."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

from declared import OURS, bounds, pinned, requirements, setup_cfg

ROOT = Path(__file__).resolve().parents[1]
BUILD_INPUTS = ("python", "migrations", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info", ".*", "*~")


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of what the distributions are built from: a build leaves its litter beside the sources."""
    copy = tmp_path_factory.mktemp("tree")
    for name in BUILD_INPUTS:
        original = ROOT / name
        if original.is_dir():
            shutil.copytree(original, copy / name, ignore=NOT_SHIPPED)
        elif original.exists():
            shutil.copy(original, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(tree, tmp_path_factory) -> Path:
    """The wheel, built from the source distribution, as an installer without a wheel would do it."""
    dist = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, tree)
    (built,) = dist.glob("astra_distances-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("target")
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", target, wheel)
    return target


def run(*command, **keywords) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **keywords)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(tree, wheel):
    package = {path.relative_to(tree / "python").as_posix() for path in files(tree / "python" / "astra")}
    migrations = {f"astra/migrations/{path.name}" for path in files(tree / "migrations")}

    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert "astra/migrations/__init__.py" in migrations
    assert inside == package | migrations


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_an_installed_astra_finds_its_own_migrations_and_version(installed, tmp_path):
    code = """
import importlib.metadata, json
import astra, astra.migrations
print(json.dumps([astra.__file__, astra.migrations.__file__, astra.__version__,
                  importlib.metadata.version("astra-distances")]))
"""
    environment = os.environ | {"PYTHONPATH": str(installed)}

    answer = json.loads(run(sys.executable, "-c", code, cwd=tmp_path, env=environment))

    version = setup_cfg()["metadata"]["version"]
    home = installed / "astra"
    assert answer == [str(home / "__init__.py"), str(home / "migrations" / "__init__.py"), version, version]


def test_this_environment_runs_the_sources_of_this_tree():
    import astra
    import astra.migrations

    assert Path(astra.__file__).parent == ROOT / "python" / "astra"
    assert Path(astra.migrations.__file__).parent == ROOT / "migrations"
    version = setup_cfg()["metadata"]["version"]
    assert astra.__version__ == importlib.metadata.version("astra-distances") == version


def test_every_entry_point_leads_to_a_module_of_the_wheel(installed):
    (distribution,) = importlib.metadata.distributions(name="astra-distances", path=[str(installed)])

    found = {(entry.group, entry.name): entry for entry in distribution.entry_points}

    assert set(found) == {("console_scripts", "astra"), ("astra.tasks", "astronn_dist")}
    for entry in found.values():
        module = installed.joinpath(*entry.module.split("."))
        assert module.with_suffix(".py").exists() or (module / "__init__.py").exists(), entry


def test_the_doctor_of_an_installed_astra_knows_it_for_its_own(installed, tmp_path):
    code = """
from astra.doctor.findings import Known
from astra.doctor.installation import check_package
for found in check_package(Known()):
    print(found.line())
"""
    environment = os.environ | {"PYTHONPATH": str(installed)}

    said = run(sys.executable, "-c", code, cwd=tmp_path, env=environment)

    assert said.startswith("ok    package        astra-distances ")
    assert said.rstrip().endswith(f", {installed / 'astra'}")


def test_the_licence_travels_along(wheel):
    with zipfile.ZipFile(wheel) as archive:
        texts = [archive.read(name) for name in archive.namelist() if name.endswith("licenses/LICENSE")]

    assert texts == [(ROOT / "LICENSE").read_bytes()]


def test_each_library_that_users_install_has_one_lower_bound_below_the_version_of_our_own_tests():
    found = {needed.name: set() for extra, needed in requirements() if extra not in OURS}
    for _, needed in requirements():
        if needed.name in found:
            found[needed.name].add(str(needed.specifier))

    for name, bound in bounds().items():
        assert Version(bound) <= Version(pinned().get(name, bound)), name
    for name, specifiers in found.items():
        (specifier,) = specifiers
        assert ">=" in specifier, name
