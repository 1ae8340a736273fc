"""The pages as files: whole, safe with whatever stands in the database, and honest about draws."""

import json
import re
from html.parser import HTMLParser

import pytest
from builders import a_result, a_source, a_spectrum
from conftest import ROOT
from report_survey import HOSTILE

from astra.cli import main
from astra.models import AstroNNdist, Source, TaskRun
from astra.report.draws import Drawing
from astra.report.making import make_star_page
from astra.report.spectra import read_pixels
from astra.report.stars import read_star

VOID = {"br", "meta"}


class Page(HTMLParser):
    """The tags of a page, and its text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text += data


@pytest.fixture(scope="session")
def page(pages):
    return Page(pages[0].read_text(encoding="utf-8"))


@pytest.fixture
def astra(capsys):
    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


def test_a_page_is_whole_and_runs_no_script_but_its_own(page):
    scripts = [attrs for tag, attrs in page.tags if tag == "script"]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]

    assert page.open == []
    assert len(ids) == len(set(ids))
    assert sum(attrs.get("type") != "application/json" for attrs in scripts) == 2
    assert all("src" not in attrs for attrs in scripts)
    assert HOSTILE in page.text
    policy = next(attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert "unsafe-eval" not in policy


def test_every_figure_has_a_title_and_says_its_numbers(page):
    figures = [attrs for tag, attrs in page.tags if tag == "figure"]
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}

    assert len(figures) > 10
    for attrs in figures:
        assert {attrs["aria-labelledby"], attrs["aria-describedby"]} <= ids


def test_heads_of_tables_say_what_they_are_heads_of(page):
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")


def test_the_head_says_database_version_weights_and_seed(page):
    head = page.text.split("Flags")[0]

    assert re.search(r"(SQLite file|PostgreSQL database) \S+", head)
    assert "weights toy" in head
    assert "seed 4 · 20 draws" in head


def test_the_draws_of_a_star_are_those_that_made_its_row(few, db):
    detail = read_star(str(Source.select().order_by(Source.pk).first().sdss_id)).details[0]
    pixels = read_pixels(detail.spectrum)

    draws = Drawing(few).again(detail, pixels.rectified, pixels.e_rectified)

    assert draws.same
    assert draws.fakemag.mean() == pytest.approx(detail.result.L_fakemag, rel=1e-5)
    assert draws.fakemag.std(ddof=1) == pytest.approx(detail.result.e_model_L_fakemag, rel=1e-4)


def test_a_row_that_other_pixels_made_is_said_to_differ(few, db, tmp_path):
    star = Source.select().order_by(Source.pk).first()
    AstroNNdist.update(L_fakemag=AstroNNdist.L_fakemag * 1.01).execute()

    make_star_page(tmp_path / "star.html", str(star.sdss_id), few)

    assert "their summary differs from the stored row" in (tmp_path / "star.html").read_text()


def test_weights_that_are_not_at_hand_are_named(few, db, tmp_path):
    star = Source.select().order_by(Source.pk).first()
    TaskRun.update(weights_sha256="ab" * 32).execute()

    make_star_page(tmp_path / "star.html", str(star.sdss_id), few)

    assert "The weights toy (sha256 abababababab…) are not at hand" in (tmp_path / "star.html").read_text()


def test_a_star_without_a_result_says_what_is_pending(db, tmp_path, astra):
    star = a_source()
    a_spectrum(star)

    code, out, _ = astra(
        "report", "astronn_dist", "--star", star.sdss4_apogee_id, "--output", tmp_path / "a.html"
    )

    assert code == 0
    assert "1 more is pending" in (tmp_path / "a.html").read_text()


def test_an_empty_database_gives_a_page_that_says_so(db, tmp_path, astra):
    code, out, err = astra("report", "astronn_dist", "--output", tmp_path / "a.html")

    assert (code, err) == (0, "")
    assert "There is no result yet" in (tmp_path / "a.html").read_text()


def test_one_bare_result_is_enough_for_a_page(db, tmp_path, astra):
    a_result(a_spectrum(), k_mag=0.0)

    code, _, err = astra("report", "astronn_dist", "--output", tmp_path / "a.html")

    assert (code, err) == (0, "")


def test_the_command_tells_a_program_what_it_wrote(few, db, tmp_path, astra):
    path = tmp_path / "a.html"

    code, out, _ = astra("report", "astronn_dist", "--output", path, "--json")

    said = json.loads(out)
    (spectra,) = db.execute_sql("SELECT count(*) FROM distances").fetchone()
    assert code == 0
    assert (said["task"], said["spectra"], said["bytes"]) == ("astronn_dist", spectra, path.stat().st_size)
    assert said["flags"]["flag_no_result"] == 1
    assert said["weights"][0]["name"] == "toy"


def test_a_file_that_is_there_stays_unless_it_may_be_replaced(db, tmp_path, astra):
    path = tmp_path / "a.html"
    path.write_text("mine")

    refused = astra("report", "astronn_dist", "--output", path)
    replaced = astra("report", "astronn_dist", "--output", path, "--overwrite")

    assert refused[0] == 2
    assert f"there is a file {path} already: give --overwrite" in refused[2]
    assert replaced[0] == 0
    assert path.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["report", "nothing"], 2, "nothing"),
        (["report", "astronn_dist", "--star", "2M00000000+0000000"], 2, "no star with APOGEE id 2M0"),
        (["report", "astronn_dist", "--output", "/nowhere/a.html"], 74, "report /nowhere/a.html: No such"),
    ],
)
def test_what_cannot_be_done_is_one_line(db, tmp_path, monkeypatch, astra, words, code, message):
    monkeypatch.chdir(tmp_path)

    found, out, err = astra(*words)

    assert (found, out) == (code, "")
    assert message in err.splitlines()[0]
    assert list(tmp_path.glob("*.html")) == []


def test_without_bokeh_it_says_what_to_install(db, tmp_path, monkeypatch, astra):
    monkeypatch.setitem(__import__("sys").modules, "bokeh", None)

    code, _, err = astra("report", "astronn_dist", "--output", tmp_path / "a.html")

    assert code == 78
    assert "install the extra [report]" in err


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_the_blocks_of_the_page_on_reports_are_commands_that_run(few, db, tmp_path, monkeypatch, astra):
    text = (ROOT / "docs" / "report.md").read_text()
    commands = [
        line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
    ]
    star = Source.select().order_by(Source.pk).first()
    monkeypatch.chdir(tmp_path)

    assert len(commands) >= 3
    for command in commands:
        words = command.partition("#")[0].split()
        words = [star.sdss4_apogee_id if word.startswith("2M") else word for word in words]
        if words[0] == "astra":
            code, _, err = astra(*words[1:])
            assert (code, err) == (0, ""), command


def test_every_query_of_the_page_on_reports_runs(few, db):
    text = (ROOT / "docs" / "report.md").read_text()
    queries = re.findall(r"```sql\n(.*?);\n```", text, re.DOTALL)

    assert queries
    for query in queries:
        assert db.execute_sql(query.replace("%", "%%")).fetchall()
