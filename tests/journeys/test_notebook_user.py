"""The first ten minutes of a notebook user: every cell of the notebook of the docs, in an empty folder."""

import os
import re
import sysconfig

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """The cells with code after all were run: what each says, by kind."""
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    folder = tmp_path_factory.mktemp("notebook")
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}).execute(
        env=os.environ | {"PATH": path}
    )
    return [_said(cell) for cell in notebook.cells if cell.cell_type == "code"]


def _said(cell):
    outputs = [output for output in cell.outputs if "data" in output]
    kinds = {kind: text for output in outputs for kind, text in output["data"].items()}
    streams = "".join(output["text"] for output in cell.outputs if output.output_type == "stream")
    return cell.source, kinds, streams


def _of(cells, source):
    [found] = [(kinds, streams) for text, kinds, streams in cells if source in text]
    return found


def test_several_stars_are_a_table_that_names_them_with_units_and_flags_in_words(cells):
    kinds, streams = _of(cells, "stars[:8]")

    assert streams == ""
    assert kinds["text/html"].count("<tr") == 9
    assert kinds["text/html"].count("2M") >= 8
    assert "pc" in kinds["text/html"]
    assert len(kinds["text/plain"].splitlines()) <= 12


def test_they_are_chosen_like_an_array(cells):
    kinds, _ = _of(cells, "stars.clean &")
    every, near = map(int, re.findall(r"\d+", kinds["text/plain"])[:2])

    assert every == 40
    assert 0 < near < 40
    assert "kpc" in kinds["text/plain"]


def test_a_star_is_two_lines_and_is_drawn(cells):
    kinds, _ = _of(cells, "star = stars[4]")
    drawn, _ = _of(cells, "star.plot()")

    assert len(kinds["text/plain"].splitlines()) == 2
    assert "text/html" in kinds
    assert "image/png" in drawn


def test_a_star_that_is_not_clean_says_why(cells):
    kinds, _ = _of(cells, "why_not_clean")

    assert re.search(r"[a-z]+ [a-z]+", kinds["text/plain"])


def test_the_truth_is_met_as_often_as_the_errors_say(cells):
    _, said = _of(cells, "within one error")
    within = float(re.search(r"within one error: (\d+) ?%", said)[1])

    assert 40 <= within <= 90  # of 40 stars
