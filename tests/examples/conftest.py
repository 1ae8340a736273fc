"""The tasks of the example packages, and a place for their files."""

from pathlib import Path

import pytest
from example_tasks import GUESTS, Guest


@pytest.fixture(params=GUESTS, ids=lambda guest: guest.task)
def guest(request, examples) -> Guest:
    """Each of the tasks, whose package is installed."""
    return request.param


@pytest.fixture
def folder(tmp_path) -> Path:
    """An empty folder for files of spectra."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder
