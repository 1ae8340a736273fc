"""``astra serve`` as a person uses it: started in a terminal, clicked in a browser, ended by Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser import Opened

from astra.database.connection import is_postgresql

UNIT = "getComputedStyle(document.querySelector('td.col-ra span'), '::after').content"

pytestmark = pytest.mark.heavy


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """The command on the configured database, with a folder for what is temporary; gives its address."""
    command = [sys.executable, "-m", "astra", "serve", "--port", "0", *arguments]
    environment = os.environ | {"TMPDIR": str(folder)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.fixture
def temporary(tmp_path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def test_a_row_a_count_and_a_query_are_clicked_and_ctrl_c_leaves_nothing(survey, chromium, temporary):
    survey.close()
    beside = sorted(temporary.parent.iterdir())
    with started(temporary) as (process, address):
        assert bool(list(temporary.iterdir())) == is_postgresql(survey)
        opened = Opened(chromium, address, whole=False)
        page = opened.page

        page.click("text=distances >> nth=0")
        assert "9 rows" in page.text_content("h3")
        page.click("#facet-telescope a:has-text('lco25m')")
        assert page.text_content("h3").split()[:5] == ["3", "rows", "where", "telescope", "="]
        page.click("tbody td.col-source_pk a >> nth=0")
        assert page.text_content("h1").startswith("source: ")
        # The style sheet of this package is there: it shows units.
        assert page.evaluate(UNIT) == '" deg"'
        page.goto(address)
        page.click("text=Good distances within a volume")
        page.wait_for_selector("td.col-dist")
        assert page.locator("td.col-dist").all_text_contents() == ["400", "450"]

        assert opened.faults == []
        assert {urlsplit(url).hostname for url in opened.requests} == {"127.0.0.1"}
        page.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    assert list(temporary.iterdir()) == []
    assert sorted(temporary.parent.iterdir()) == beside


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_page_that_is_being_made_and_a_copy_do_not_outlive_the_end_of_the_terminal(survey, temporary):
    """A query that would take a minute is given up."""
    survey.close()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with started(temporary, "--copy") as (process, address):
        parts = urlsplit(address)
        with socket.create_connection((parts.hostname, parts.port)) as asking:
            query = endless.replace(" ", "%20")
            asking.sendall(f"GET {parts.path}.json?sql={query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            process.send_signal(signal.SIGHUP)
            assert process.wait(timeout=20) == 0
    assert list(temporary.iterdir()) == []
