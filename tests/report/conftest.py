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
from astra.models import Source
from astra.models.base import bound_to
from astra.report.making import make_report, make_star_page

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture
def survey(db, toy_weights, tmp_path) -> Settings:
    """The configured database, filled; the settings that lead to it."""
    fill(tmp_path, toy_weights)
    return Settings.model_validate({"database": {}, "models_dir": tmp_path / "models"})


@pytest.fixture
def few(db, toy_weights, tmp_path) -> Settings:
    """The same with few stars: each page that is made takes its time."""
    fill(tmp_path, toy_weights, stars=2)
    return Settings.model_validate({"database": {}, "models_dir": tmp_path / "models"})


@pytest.fixture(scope="session")
def pages(sqlite_template, toy_weights, tmp_path_factory) -> tuple[Path, Path]:
    """The report of a survey, and the page of its first star: files that are made once."""
    folder = tmp_path_factory.mktemp("report")
    path = shutil.copyfile(sqlite_template, folder / "astra.db")
    settings = Settings.model_validate({"database": {"path": path}, "models_dir": folder / "models"})
    report, star = folder / "report.html", folder / "star.html"
    with bound_to(open_database(settings)):
        fill(folder, toy_weights)
        make_report(report, settings)
        make_star_page(star, str(Source.select().order_by(Source.pk).first().sdss_id), settings)
    return report, star


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
