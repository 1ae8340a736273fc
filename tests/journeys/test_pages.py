"""The first ten minutes in a browser: the report, the page of a star, the tables, on every kind of screen."""

import os
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from browser import Opened

from astra.cli import main

SCREENS = [(theme, width) for theme in ("light", "dark") for width in (400, 1280)]
#: The others are for the slow tests.
QUICK = [("light", 400), ("dark", 1280)]
OPEN = "document.querySelector('dialog[open]') !== null"

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def pages(measured, tmp_path_factory):
    """The page of all stars, and that of one."""
    report, star = (tmp_path_factory.mktemp("pages") / name for name in ("report.html", "star.html"))
    name = min((measured / "first").glob("*.fits")).stem.removeprefix("apStar-dr17-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASTRA_DATABASE_PATH", str(measured / "my.db"))
        assert main(["report", "--output", str(report)]) == 0
        assert main(["report", "--star", name, "--output", str(star)]) == 0
    return report, star


@pytest.fixture(scope="module")
def address(measured):
    """Where ``astra serve`` shows the tables."""
    command = [sys.executable, "-m", "astra", "serve", "--port", "0"]
    environment = os.environ | {"ASTRA_DATABASE_PATH": str(measured / "my.db")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture(
    params=[pytest.param(each, marks=[] if each in QUICK else pytest.mark.slow) for each in SCREENS],
    ids=lambda screen: "-".join(map(str, screen)),
)
def look_at(request, chromium):
    """Opens a page on a screen; at the end it has complained of nothing, and fits the screen."""
    theme, width = request.param
    shown = []

    def open_page(path, **options):
        shown.append(Opened(chromium, path, theme, width, **options))
        return shown[-1]

    yield open_page
    for opened in shown:
        assert opened.faults == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        opened.page.close()


def _asked_for(opened):
    return {url for url in opened.requests if not url.startswith("data:")}


def test_a_star_is_found_in_the_report_by_pointing_clicking_and_typing(look_at, pages):
    opened = look_at(pages[0])
    page = opened.page

    x, y, name = opened.first_point("#plot-luminosity")
    page.mouse.move(x, y)
    opened.wait_until(lambda: name in opened.pointed_at())
    page.mouse.click(x, y)
    opened.wait_for(OPEN)
    clicked = page.text_content("dialog[open] h2")
    page.keyboard.press("Escape")
    page.focus("#star-name")
    page.keyboard.type(name.lower())
    page.keyboard.press("Enter")
    opened.wait_for(OPEN)

    assert clicked == name == page.text_content("dialog[open] h2")
    assert opened.contrast() >= 4.5
    assert _asked_for(opened) == {pages[0].as_uri()}


def test_the_page_of_a_star_shows_its_spectrum_and_its_place(look_at, pages):
    opened = look_at(pages[1])
    page = opened.page

    page.keyboard.press("Tab")

    assert opened.focus() == "Skip to the content"
    assert page.locator("main [data-figure]").count() > 4
    assert page.text_content("h1").startswith("2M")
    assert opened.contrast() >= 4.5
    assert _asked_for(opened) == {pages[1].as_uri()}


def test_the_tables_are_reached_by_the_keyboard_and_by_clicks(look_at, address):
    opened = look_at(address, whole=False)
    page = opened.page

    page.locator("a:text-is('distances')").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("td.col-dist")
    head = page.text_content("h3")
    page.click("tbody td.col-source_pk a >> nth=0")
    page.wait_for_selector("td.col-ra")

    assert "22 rows" in head
    assert page.text_content("h1").startswith("source: ")
    assert {urlsplit(url).hostname for url in opened.requests} == {"127.0.0.1"}
