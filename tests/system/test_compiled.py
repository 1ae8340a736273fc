"""Compiled functions: kept on disk where there is a place, and working where there is none."""

import os
import subprocess
import sys

CODE = """
import sys; sys.path.insert(0, sys.argv[1])
from doubling import double
print(double(21), sum(double.stats.cache_hits.values()), sum(double.stats.cache_misses.values()))
"""

MODULE = (
    "from astra.system.compiled import compiled\n\n\n"
    "@compiled()\ndef double(number):\n    return 2 * number\n"
)


def _run(folder, **environment):
    command = [sys.executable, "-B", "-c", CODE, str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def test_the_second_process_compiles_nothing(tmp_path):
    (tmp_path / "doubling.py").write_text(MODULE)
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    assert _run(tmp_path, **environment) == ["42", "0", "1"]
    assert _run(tmp_path, **environment) == ["42", "1", "0"]


def test_without_a_place_to_keep_it_each_process_compiles(tmp_path):
    (tmp_path / "doubling.py").write_text(MODULE)
    (tmp_path / "a_file").touch()
    nowhere = str(tmp_path / "a_file" / "folder")
    # Beside the module: a file where the folder would be.
    (tmp_path / "__pycache__").touch()

    for _ in range(2):
        assert _run(tmp_path, HOME=nowhere, XDG_CACHE_HOME=nowhere) == ["42", "0", "1"]
