"""The pages as files: whole, safe with whatever stands in the database, and honest about draws."""

import contextlib
import json
import pkgutil
import re
from html.parser import HTMLParser

import full_survey
import pytest
from builders import a_result, a_run, a_source, a_spectrum, on_sqlite
from conftest import ROOT
from report_survey import HOSTILE

from astra.config import load_settings
from astra.database.connection import open_database
from astra.models import AstroNNdist
from astra.report.making import make_report

VOID = {"br", "input", "meta"}


class Page(HTMLParser):
    """The tags of a page, and its text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text, self.styles = [], [], "", ""
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
        if "style" in self.open:
            self.styles += data


@pytest.fixture(scope="session")
def page(pages):
    return Page(pages[0].read_text(encoding="utf-8"))


def test_a_page_is_whole_and_runs_no_script_but_its_own(page):
    scripts = [attrs for tag, attrs in page.tags if tag == "script"]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]

    assert page.open == []
    assert len(ids) == len(set(ids))
    assert sum(attrs.get("type") != "application/json" for attrs in scripts) == 2
    assert all("src" not in attrs for attrs in scripts)
    assert HOSTILE in page.text
    assert not {"link", "iframe", "object", "embed", "base", "img"} & {tag for tag, _ in page.tags}
    assert all(
        attrs[name].startswith("#") for _, attrs in page.tags for name in ("href", "src") if name in attrs
    )
    assert "@import" not in page.styles
    assert "url(" not in page.styles
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


# > The command


def test_pages_say_what_is_clean_and_why_the_others_are_not(pages):
    report, star = (" ".join(Page(path.read_text(encoding="utf-8")).text.split()) for path in pages)

    assert "Why good distances are not clean" in report
    assert AstroNNdist.flag_not_clean_gaia.help_text in report
    assert "2 good ones come from before there was clean" in report
    assert "Why it is not clean" in star
    assert AstroNNdist.flag_not_clean_k_mag.help_text in star


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


def test_the_command_tells_a_program_what_it_wrote(db, tmp_path, astra):
    path, star = tmp_path / "a.html", a_source()
    run = a_run(weights_name="toy", weights_sha256="ab" * 32, seed=4, n_draws=20)
    for k_mag in (0.0, 10.0):
        a_result(a_spectrum(star), run_pk=run.pk, flag_missing_photometry=not k_mag, k_mag=k_mag)
    a_result(a_spectrum(), flag_no_result=True, flag_missing_extinction=True)

    code, out, _ = astra("report", "astronn_dist", "--output", path, "--json")

    said = json.loads(out)
    assert code == 0
    assert {name: said[name] for name in ("task", "output", "bytes", "spectra", "stars")} == {
        "task": "astronn_dist",
        "output": str(path),
        "bytes": path.stat().st_size,
        "spectra": 3,
        "stars": 2,
    }
    assert [said[name] for name in ("good", "clean", "warn", "bad")] == [1, 0, 1, 2]
    assert {name for name, count in said["flags"].items() if count == 1} == {
        "flag_missing_photometry",
        "flag_missing_extinction",
        "flag_no_result",
    }
    assert said["weights"] == [{"name": "toy", "sha256": "ab" * 32}]


@pytest.mark.parametrize(
    ("function", "words"),
    [("astra.report.results_page.read_details", []), ("astra.report.contents.read_rows", ["--star", "77"])],
)
def test_a_page_is_of_one_moment_though_rows_disappear_meanwhile(
    db, tmp_path, monkeypatch, astra, function, words
):
    a_result(a_spectrum(a_source(sdss_id=77)), flag_no_result=True, no_result_reason="not there")
    read = pkgutil.resolve_name(function)

    def read_after_a_loss(*arguments):
        with contextlib.closing(open_database(load_settings())) as other:
            other.execute_sql("DELETE FROM astro_nn_dist")
        return read(*arguments)

    monkeypatch.setattr(function, read_after_a_loss)
    code, out, err = astra("report", *words, "--output", tmp_path / "a.html", "--json")

    assert (code, err) == (0, "")
    assert json.loads(out)["spectra"] == 1
    assert "not there" in (tmp_path / "a.html").read_text()
    assert AstroNNdist.select().count() == 0


@on_sqlite
def test_a_file_that_is_there_stays_unless_it_may_be_replaced(db, tmp_path, astra):
    path, link = tmp_path / "a.html", tmp_path / "link.html"
    path.write_text("mine")
    link.symlink_to(path)

    refused = astra("report", "astronn_dist", "--output", link)
    left = path.read_text()
    replaced = astra("report", "astronn_dist", "--output", link, "--overwrite")

    assert (refused[0], left) == (2, "mine")
    assert f"{link} exists already: give --overwrite" in refused[2]
    assert replaced[0] == 0
    assert link.is_symlink()
    assert path.read_text().startswith("<!DOCTYPE html>")


@on_sqlite
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "nothing"),
        (["--star", "2M00000000+0000000"], "no star 2M0"),
        (["--output", "nowhere/a.html"], "there is no folder"),
        (["--output", ".", "--overwrite"], "cannot replace .: it is not a file"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(db, tmp_path, monkeypatch, astra, words, message):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    code, out, err = astra("report", *words)

    assert (code, out) == (2, "")
    assert message in err.splitlines()[0]
    assert list(folder.iterdir()) == []


def test_where_a_page_cannot_be_written_is_said_before_the_database_is_opened(tmp_path, monkeypatch, astra):
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(tmp_path / "nowhere.db"))

    code, _, err = astra("report", "astronn_dist", "--output", tmp_path / "no" / "a.html")

    assert code == 2
    assert "there is no folder" in err


@on_sqlite
def test_without_bokeh_it_says_what_to_install(db, tmp_path, monkeypatch, astra):
    monkeypatch.setitem(__import__("sys").modules, "bokeh", None)

    code, _, err = astra("report", "astronn_dist", "--output", tmp_path / "a.html")

    assert code == 78
    assert "astra report needs bokeh: pip install 'astra-distances[report]'" in err


# > The documentation


@on_sqlite
def test_the_blocks_of_the_page_on_reports_are_commands_that_run(db, tmp_path, monkeypatch, astra):
    a_result(a_spectrum(a_source(sdss4_apogee_id="2M17334253-1654573")), k_mag=0.0)
    text = (ROOT / "docs" / "report.md").read_text()
    commands = [
        line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
    ]
    monkeypatch.chdir(tmp_path)

    assert len(commands) >= 3
    for command in commands:
        words = command.partition("#")[0].split()
        if words[0] == "astra":
            code, _, err = astra(*words[1:])
            assert (code, err) == (0, ""), command


def test_every_query_of_the_page_on_reports_runs(survey):
    text = (ROOT / "docs" / "report.md").read_text()
    queries = re.findall(r"```sql\n(.*?);\n```", text, re.DOTALL)

    assert queries
    for query in queries:
        assert survey.execute_sql(query.replace("%", "%%")).fetchall()


# > Size


@pytest.mark.slow
@on_sqlite
def test_the_page_of_100_000_stars_is_below_10_megabytes_and_ready_within_minutes(db, tmp_path):
    spectra = full_survey.fill(db, 100_000)

    made = make_report(tmp_path / "a.html", load_settings())

    assert (made.spectra, made.bytes) == (spectra, (tmp_path / "a.html").stat().st_size)
    assert made.bytes < 10e6
    assert made.elapsed < 240
