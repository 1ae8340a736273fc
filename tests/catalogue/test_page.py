"""What docs/catalogue.md says is so: its blocks run, its table of names is that of the package."""

import re
import shlex

from builders import on_sqlite
from catalogue_values import of_sqlite
from conftest import ROOT
from full_survey import fill

from astra.catalogue.columns import OF_GAIA_DR3, PUBLISHED, columns
from astra.catalogue.options import Format
from astra.cli import main
from astra.pipelines.astronn_dist import astronn_dist

_OF_ANY_FILE = {"BOSS", "APOGEE", "CREATED", "CHECKSUM", "DATASUM", "HISTORY"}
PAGE = (ROOT / "docs" / "catalogue.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def table(heading):
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| \n").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip("` |") for cell in row] for row in rows]


@on_sqlite
def test_every_block_runs(db, tmp_path, monkeypatch, capsys):
    fill(db, 60)
    monkeypatch.chdir(tmp_path)
    names = {}

    for line in "".join(blocks("sh")).splitlines():
        words = shlex.split(line)
        assert main(words[1 : words.index(">") if ">" in words else None]) == 0, line
    for block in blocks("python"):
        exec(compile(block, "docs/catalogue.md", "exec"), names)

    assert "80 spectra of 60 stars, as of 2026-" in capsys.readouterr().out
    assert names["of_pandas"]["gaia_dr3_source_id"].dtype == "Int64"
    assert names["of_polars"]["cc_flg"].dtype.is_(names["polars"].String)


def test_the_table_of_names_is_that_of_the_package():
    assert {row[0]: row[1] for row in table("The names of DR19")} == PUBLISHED | OF_GAIA_DR3


def test_the_table_of_formats_names_them_all():
    assert {row[0] for row in table("Formats")} == {"--format", *Format}


@of_sqlite
def test_every_column_and_every_card_that_is_named_is_there(survey, create):
    names = {column.name for column in columns(astronn_dist, mixed=True)}
    keywords = {keyword for keyword, _, _ in create(condition="good").table.facts()}

    cards = set(re.findall(r"`([A-Z][A-Z_0-9]+)`", PAGE)) - _OF_ANY_FILE
    assert cards <= keywords
    assert {row[0] for row in table("The names of DR19")} <= names
    (added,) = re.findall(r"adds the\s+columns\s+`(.*?)`", PAGE)
    assert set(added.split(", ")) <= names
