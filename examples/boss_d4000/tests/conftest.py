"""What the tests share: files, and an empty database with all tables."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import peewee
import pytest

from astra.cli import main
from astra.config import load_settings
from astra.database.connection import bound_to, open_database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for spec files."""
    folder = tmp_path / "spectra"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def all_tables(tmp_path_factory) -> Path:
    """An SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("tables") / "astra.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASTRA_DATABASE_PATH", str(path))
        assert main(["init"]) == 0
    return path


@pytest.fixture
def database(all_tables, tmp_path, monkeypatch) -> Iterator[peewee.Database]:
    """A new database with all tables, which is also the configured one."""
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(shutil.copy(all_tables, tmp_path)))
    with bound_to(open_database(load_settings())) as opened:
        yield opened
