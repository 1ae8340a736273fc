"""Compiled functions: kept on disk where there is a place, and working where there is none."""

import importlib.util
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from hard_ground import in_its_own_mounts

from astra.system import compiled, processes

CODE = """
import sys; sys.path.insert(0, sys.argv[1])
from astra.system.processes import set_up_logging
set_up_logging(20)
from doubling import double
print(double(21), sum(double.stats.cache_hits.values()), sum(double.stats.cache_misses.values()))
"""

MODULE = (
    "from astra.system.compiled import compiled\n\n\n"
    "@compiled()\ndef double(number):\n    return 2 * number\n"
)
COMPILED, LOADED = ["42", "0", "1"], ["42", "1", "0"]


def _said(folder, prefix=(), **environment):
    """What it computed, from the disk or not, and its messages."""
    command = [*prefix, sys.executable, "-B", "-c", CODE, str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split(), ran.stderr.splitlines()


def _run(folder, **environment):
    found, messages = _said(folder, **environment)
    assert messages == []
    return found


@pytest.fixture
def kept(tmp_path):
    """The folder of the module, and the folder where its function is kept."""
    (tmp_path / "doubling.py").write_text(MODULE)
    assert _run(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache")) == COMPILED
    (folder,) = (tmp_path / "cache").iterdir()
    return tmp_path, folder


def test_the_second_process_compiles_nothing(kept):
    module, folder = kept

    assert _run(module, NUMBA_CACHE_DIR=str(folder.parent)) == LOADED


def test_without_a_place_to_keep_it_each_process_compiles(tmp_path):
    (tmp_path / "doubling.py").write_text(MODULE)
    (tmp_path / "a_file").touch()
    nowhere = str(tmp_path / "a_file" / "folder")
    # Beside the module: a file where the folder would be.
    (tmp_path / "__pycache__").touch()

    for _ in range(2):
        assert _run(tmp_path, HOME=nowhere, XDG_CACHE_HOME=nowhere) == COMPILED


def _truncated(file):
    file.write_bytes(file.read_bytes()[:-20])


def _flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def _zeroed(file):
    file.write_bytes(bytes(file.stat().st_size))


def _of_another_format(file):
    file.write_bytes(pickle.dumps(("of", "another", "program")))


def _folder(file):
    file.unlink()
    file.mkdir()


#: What may have become of a file, and whether what it held is kept again after the next process.
DAMAGES = {
    _truncated: True,
    _flipped: True,
    _zeroed: True,
    _of_another_format: True,
    lambda file: file.write_bytes(b""): True,
    _folder: False,
    Path.unlink: True,
}


@pytest.mark.parametrize("suffix", ["nbi", "nbc"], ids=["index", "code"])
@pytest.mark.parametrize(
    "damage", DAMAGES, ids=lambda damage: getattr(damage, "__name__", "emptied").strip("_<>")
)
def test_what_is_damaged_is_said_once_and_made_anew(in_process, damage, suffix, caplog):
    module, folder = in_process
    assert _found(module) == COMPILED
    (file,) = folder.rglob(f"*.{suffix}")
    damage(file)

    assert _found(module) == COMPILED

    assert len(caplog.messages) <= 2
    assert all(str(folder) in each for each in caplog.messages), caplog.messages
    if DAMAGES[damage]:
        assert _found(module) == LOADED


def test_what_another_numba_kept_is_left_alone_and_made_anew(in_process, monkeypatch, caplog):
    module, _ = in_process
    with monkeypatch.context() as another:
        another.setattr(numba, "__version__", "0.1")
        assert _found(module) == COMPILED

    assert _found(module) == COMPILED
    assert _found(module) == LOADED
    assert caplog.messages == []


def test_what_is_kept_for_another_processor_stays(kept):
    module, folder = kept

    assert _run(module, NUMBA_CACHE_DIR=str(folder.parent), NUMBA_CPU_NAME="generic") == COMPILED
    assert _run(module, NUMBA_CACHE_DIR=str(folder.parent)) == LOADED


@pytest.fixture
def in_process(tmp_path, monkeypatch, caplog):
    """The file of a module, and the folder where its function is kept, for ``_found``."""
    (tmp_path / "doubling.py").write_text(MODULE)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(logging.getLogger("astra"), "propagate", True)
    monkeypatch.setattr(compiled, "_functions", [])
    processes.warn_once.cache_clear()
    return tmp_path / "doubling.py", tmp_path / "cache"


def _found(module):
    """What a new process would find, as ``_run`` has it."""
    spec = importlib.util.spec_from_file_location("doubling", module)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    hits, misses = made.double.stats.cache_hits, made.double.stats.cache_misses
    return [str(made.double(21)), str(sum(hits.values())), str(sum(misses.values()))]


@pytest.mark.parametrize(
    "mounted", ["size=8k", "size=8k,nr_inodes=2", "size=8k,ro"], ids=["full", "no inode", "ro"]
)
def test_without_room_each_process_compiles_and_says_so_once(tmp_path, mounted):
    (tmp_path / "doubling.py").write_text(MODULE)
    place = tmp_path / "small"
    place.mkdir()
    # Beside the module: a file where the folder would be.
    (tmp_path / "__pycache__").touch()
    prefix = in_its_own_mounts(f"mount -t tmpfs -o {mounted} tmpfs {place}")
    nowhere = {"NUMBA_CACHE_DIR": str(place), "HOME": "/proc", "XDG_CACHE_HOME": "/proc"}

    found, messages = _said(tmp_path, prefix, **nowhere)

    assert found == COMPILED
    assert len(messages) <= 1
    assert all("each process compiles for itself" in each for each in messages), messages


def test_what_is_kept_on_read_only_media_is_used(kept):
    module, folder = kept
    prefix = in_its_own_mounts(
        f"mount --bind {folder.parent} {folder.parent} && mount -o remount,bind,ro {folder.parent}"
    )
    nowhere = {"NUMBA_CACHE_DIR": str(folder.parent), "HOME": "/proc", "XDG_CACHE_HOME": "/proc"}
    (module / "__pycache__").touch()

    assert _said(module, prefix, **nowhere) == (LOADED, [])
