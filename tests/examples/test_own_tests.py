"""The tests that each package of examples/ brings along pass where it is installed, and its README holds."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from astra.config import load_settings
from astra.database.connection import bound_to, open_database

from documents import Shell, blocks, stand_ins

pytestmark = [pytest.mark.heavy, pytest.mark.parametrize("package", ["boss_d4000", "template_snr"])]


def test_its_own_tests_pass(example_packages, examples, package):
    folder = example_packages[0] / package
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]

    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"\d\d passed", ran.stdout), ran.stdout


def test_what_its_readme_says_works(example_packages, examples, package, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    programs = [stand_ins(tmp_path / "stand-ins"), examples / "bin", Path(sys.executable).parent]
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, [*programs, os.environ["PATH"]])))
    readme = "README.md", "sh", example_packages[0] / package
    (commands,) = [block.text for block in blocks(*readme) if "astra init" in block.text]

    Shell(monkeypatch.setenv, monkeypatch.delenv).run(commands)

    assert " measured + 0 no_result = " in capsys.readouterr().out
    (code,) = blocks("README.md", "python", readme[2])
    with bound_to(open_database(load_settings())):
        exec(compile(code.text, package, "exec"), {})
