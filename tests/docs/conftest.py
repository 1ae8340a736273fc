"""The site, built once, and a survey that every question of the documentation has an answer in."""

import contextlib
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from astra.config import Settings
from astra.database.connection import bound_to, open_database

from documents import DOCS
from small_survey import fill_survey


class Page(HTMLParser):
    """What a test wants to know of a page: where it leads, what it loads, what it says."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.loaded: list[str] = []
        self._words: list[str] = []
        self.feed(path.read_text())
        self.text = " ".join("".join(self._words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Take note of one tag."""
        found = {name: value or "" for name, value in attributes}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif "src" in found or (tag == "link" and "href" in found):
            self.loaded.append(found.get("src") or found["href"])

    def handle_data(self, data: str) -> None:
        """Take note of what can be read."""
        self._words.append(data)


@pytest.fixture(scope="session")
def built(once) -> tuple[Path, str]:
    """The folder of the site, and what the build said."""

    def build(folder: Path) -> None:
        # The notebook is run by tests/journeys.
        options = ["-qW", "--keep-going", "-D", "nb_execution_mode=off"]
        options += ["-b", "html", "-d", f"{folder}.doctrees"]
        command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr + ("" if done.returncode == 0 else "failed")
        folder.with_suffix(".txt").write_text(said)

    folder = once("site", build)
    return folder, folder.with_suffix(".txt").read_text()


@pytest.fixture(scope="session")
def site(built) -> Path:
    """The folder of the site."""
    return built[0]


@pytest.fixture(scope="session")
def read(site):
    """Reads a page of the site, once."""
    known: dict[Path, Page] = {}

    def page(path: Path | str) -> Page:
        path = (site / path).resolve()
        if path not in known:
            known[path] = Page(path)
        return known[path]

    return page


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def filled(request, tmp_path_factory):
    """A small survey in which every question has an answer."""
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            template = request.getfixturevalue("sqlite_template")
            database = {"path": shutil.copyfile(template, tmp_path_factory.mktemp("survey") / "astra.db")}
        else:
            server = request.getfixturevalue("postgres")
            dbname = stack.enter_context(server.database(request.getfixturevalue("postgres_template")))
            database = {"url": server.url(dbname)}
        settings = Settings.model_validate({"database": database, "models_dir": "/nowhere"})
        opened = stack.enter_context(bound_to(open_database(settings)))
        fill_survey()
        yield opened


@pytest.fixture
def survey(filled):
    """The survey; what a test does to it is undone."""
    with filled.atomic() as transaction:
        yield filled
        transaction.rollback()
