"""The survey of the report, on both databases, and a browser that opens a page."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CI
from report_survey import fill

from astra.config import Settings
from astra.database import open_database
from astra.models.base import bound_to

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture
def survey(db, toy_weights, tmp_path) -> Settings:
    """The configured database, filled; the settings that lead to it."""
    fill(tmp_path, toy_weights)
    return Settings.model_validate({"database": {}, "models_dir": tmp_path / "models"})


@pytest.fixture(scope="module")
def filled(sqlite_template, toy_weights, tmp_path_factory) -> Iterator[Settings]:
    """A filled SQLite database for all tests of a module, bound to the models."""
    folder = tmp_path_factory.mktemp("survey")
    path = shutil.copyfile(sqlite_template, folder / "astra.db")
    settings = Settings.model_validate({"database": {"path": path}, "models_dir": folder / "models"})
    with bound_to(open_database(settings)):
        fill(folder, toy_weights)
        yield settings


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """A browser without a window."""
    if not Path(CHROMIUM).exists():
        if not CI:
            pytest.skip(f"no {CHROMIUM}")
        install = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]
        subprocess.run(["apt-get", "update"], check=True, capture_output=True)
        subprocess.run(install, check=True, capture_output=True)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
