"""The lines of upstream's notebooks and DAGs: each works, or is answered as the page says."""

import re
import shlex

import peewee
import pytest
from builders import a_source, a_spectrum, write_apstar

from astra.cli import main

from documents import ROOT

_ROW = re.compile(r"^\| `(.+?)` \| (works|says `(.+?)`)")


def _lines(heading):
    """The lines below a heading of the table, each with its answer; ``None`` where it works."""
    table = (
        (ROOT / "docs" / "upstream.md").read_text().split(f"| {heading} | here | why |\n|---|---|---|\n")[1]
    )
    rows = table.split("\n\n")[0].splitlines()
    found = [_ROW.match(row) for row in rows]
    assert all(found), "each line works, or says something"
    return [(row[1], row[3]) for row in found]


@pytest.fixture
def survey(db, toy_weights, tmp_path, monkeypatch):
    """Two spectra of a star, the weights that are configured, and a folder of one's own."""
    for number in (1, 2):
        a_spectrum(a_source(sdss_id=number), write_apstar(tmp_path / f"apStar-dr17-{number}.fits"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASTRA_WEIGHTS", str(toy_weights))
    monkeypatch.setenv("MWM_ASTRA", str(tmp_path))


def test_every_command_of_upstreams_dags_works_or_is_answered(survey, capsys):
    for line, answer in _lines("command"):
        _, *words = shlex.split(line)
        code = main([*words, "--dry-run"] if words[0] == "srun" else words)
        said = capsys.readouterr().err

        assert (line, code) == (line, 2 if answer else 0), said
        assert (answer or "") in said.replace("`", "").partition("\n")[0]


def test_every_line_of_upstreams_notebooks_works_or_is_answered(survey):
    names = {}
    for line, answer in _lines("Python"):
        if answer is None:
            exec(line, names)
            continue
        with pytest.raises((TypeError, ValueError)) as caught:
            exec(line, names)
        assert answer in str(caught.value).replace("`", "")
        assert "\n" not in str(caught.value)

    assert [row.spectrum_pk for row in names["rows"]] == [1, 2]
    assert names["AstroNNdist"].select().count() == 0


def test_every_line_of_upstreams_sql_works_or_is_answered(survey, db):
    for line, answer in _lines("SQL"):
        if answer is None:
            db.execute_sql(line).fetchall()
            continue
        with pytest.raises(peewee.DatabaseError, match=answer), db.atomic():
            db.execute_sql(line)
