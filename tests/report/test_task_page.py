"""The report of any task: a page from its models alone, and the sections that it registers."""

import html
import importlib
import json
import re

import guests
import numpy as np
import pytest
from browser import Opened
from builders import a_result, a_run, a_source, a_spectrum, on_sqlite

from astra.cli.json_output import keys_of
from astra.database.connection import database
from astra.database.sql import snapshot
from astra.models import Spectrum
from astra.pipelines.astronn_dist import astronn_dist
from astra.report import task_page
from astra.report.arrays import read_results
from astra.report.contents import gather_results
from astra.system.version import V_ASTRA
from astra.tasks.installed import find_task


@pytest.fixture
def lines(db, tmp_path, monkeypatch, astra):
    """The package with the task ``line_width``, whose tables are there; the current folder is empty."""
    guests.install(tmp_path / "guest", monkeypatch, guests.LINES, "line_width")
    assert astra("init")[0] == 0
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return importlib.import_module("guest_package")


def a_line(lines, source=None, **values):
    """A spectrum with a result."""
    spectrum = lines.LineSpectrum.create(source=source, spectrum_pk=Spectrum.create().pk)
    row = lines.LineWidth.from_spectrum(spectrum, **values)
    row.save()
    return row


def text_of(path):
    """What can be read on a page."""
    text = re.sub(r"(?s)<(script|style).*?</\1>", " ", path.read_text(encoding="utf-8"))
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def panel(text, name):
    """What is said of a column."""
    return re.search(rf" {name} Values: .*?\(NULL\): [\d,]+\.", text)[0]


def test_the_page_of_any_task_has_counts_flags_reasons_and_columns(lines, tmp_path, astra):
    star = a_source(l=30.0, b=5.0)
    for _ in range(2):
        lines.LineSpectrum.create(source=star, spectrum_pk=Spectrum.create().pk)
    assert astra("run", "line_width", "--window", "4")[0] == 0
    a_line(lines, star, width=0.9, flag_shallow=True, flag_blended=True, snr=50.0, pixels=7)
    a_line(lines, flag_no_result=True, no_result_reason="not there: /x.fits")

    code, out, err = astra("report", "line_width", "--json")

    said, text = json.loads(out), text_of(tmp_path / "here" / "line_width-report.html")
    assert (code, err) == (0, "")
    assert {key for key in keys_of("report") if "." not in key} <= said.keys()
    assert [said[name] for name in ("task", "spectra", "stars", "good", "warn", "bad")] == [
        *("line_width", 4, 2, None, 0, 2)
    ]
    assert {name for name, count in said["flags"].items() if count == 1} == {
        *("flag_no_result", "flag_shallow", "flag_blended")
    }
    assert "Report on the task line_width: Measure the width of a line in each spectrum." in text
    assert "4 spectra, 2 stars" in text
    assert "measured 3 (75.0 %) no result 1 (25.0 %)" in text
    assert "flag_shallow Shallower than <the noise> 1 25.0 %" in text
    assert "flag_telluric not described 0 0.0 %" in text
    assert "flag_bad Discard: any of flag_shallow, flag_no_result 2 50.0 %" in text
    assert "not there 1" in text
    assert "3 spectra have coordinates" in text
    said = panel(text, "width")
    assert (
        "Values: 3; median 0.4; 16 to 84 % from 0.4 to 0.74 Angstrom. Equivalent width of the line." in said
    )
    assert said.endswith("Outside of what is shown: 0; without a value (NULL): 1.")
    assert "Without any value: flux, ripple." in text
    assert "the line is of those without flag_bad" in text
    assert "options window 4.0" in text
    assert "run not known" in text
    assert "1 lines have more than 3 pixels & more." in text


def test_results_without_flags_have_a_page_too(db, tmp_path, monkeypatch, astra):
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "count_pixels")
    guests.make_table(db)
    a_spectrum(a_source(ra=10.0, dec=-5.0))
    assert astra("run", "count_pixels")[0] == 0
    path = tmp_path / "a.html"

    plain = astra("report", "count_pixels", "--output", path)
    said = json.loads(astra("report", "count_pixels", "--output", path, "--overwrite", "--json")[1])

    assert plain[1].splitlines()[0] == "spectra 1, stars 1"
    assert [said[name] for name in ("good", "warn", "bad", "flags")] == [None, None, None, {}]
    assert "Values: 1; median" in text_of(path)
    assert 'id="flags"' not in path.read_text()


def test_the_newest_result_of_each_spectrum_is_shown(lines):
    row = a_line(lines, width=1.0, v_astra=V_ASTRA - 1000)
    lines.LineWidth.from_spectrum(row, width=2.0).save()
    a_line(lines, width=3.0, v_astra=V_ASTRA - 1000, flag_no_result=True, no_result_reason="old")

    with snapshot(database):
        contents = gather_results(find_task("line_width"))

    assert sorted(contents.rows["width"]) == [2.0, 3.0]
    assert len(contents.versions) == 2
    assert contents.reasons == {"old": 1}


def test_absent_is_nan_in_the_arrays_and_every_number_is_that_of_the_table(lines):
    star = a_source(ra=10.0, dec=20.0)
    full = a_line(lines, star, width=1.5, pixels=3, flag_narrow=True, flag_telluric=True)
    empty = a_line(lines)

    with snapshot(database):
        rows = read_results(find_task("line_width"))

    first, second = np.argsort(rows["spectrum_pk"])
    assert rows["task_pk"][[first, second]].tolist() == [full.task_pk, empty.task_pk]
    assert (rows["width"][first], rows["pixels"][first], rows["line_flags"][first]) == (1.5, 3, 8)
    assert (rows["flag_warn"][first], rows["flag_bad"][first]) == (True, False)
    assert (rows["source_pk"][first], rows["source.dec"][first]) == (star.pk, 20.0)
    assert np.isnan([rows[name][second] for name in ("width", "pixels", "source.ra")]).all()
    assert rows["source_pk"][second] == 0
    assert {name for name in rows.values if rows[name].shape != (2,)} == set()


@on_sqlite
def test_a_distribution_is_of_the_middle_and_says_what_lies_outside(lines, astra, tmp_path):
    for number in range(400):
        a_line(lines, width=1e4 if number == 0 else 1 + number / 1000, flux=10.0 ** (number % 9))
    a_line(lines)

    assert astra("report", "line_width")[0] == 0

    text = text_of(tmp_path / "here" / "line_width-report.html")
    width = panel(text, "width")
    assert "Values: 400; median 1.2" in width
    assert "Outside of what is shown: 2 (the least is 1.001, the largest 10,000 Angstrom)" in width
    assert "without a value (NULL): 1." in width
    assert "Outside of what is shown: 0; without" in panel(text, "flux")
    assert "All results, whatever their flags." in text


@on_sqlite
@pytest.mark.parametrize("values", [[2.0, 2.0], [0.0], [-1e-30], [1e-5, 1e300], [-1e300, 1e300]], ids=str)
def test_any_values_make_a_page(lines, astra, values):
    for value in values:
        a_line(lines, width=value)

    assert astra("report", "line_width")[::2] == (0, "")


@on_sqlite
def test_columns_beyond_the_most_that_are_drawn_are_named(lines, astra, tmp_path, monkeypatch):
    monkeypatch.setattr(task_page, "MOST_DRAWN", 1)
    a_line(lines, width=1.0, e_width=0.1, snr=50.0)

    astra("report", "line_width")

    text = text_of(tmp_path / "here" / "line_width-report.html")
    assert "Not drawn: e_width, snr." in text
    assert "Signal-to-noise" not in text


def test_options_that_mix_are_said(lines, astra, tmp_path):
    for window in (4.0, 5.0, 5.0):
        run = a_run(task="line_width", options=json.dumps({"window": window}))
        a_line(lines, width=1.0, run_pk=run.pk)

    astra("report", "line_width")

    text = text_of(tmp_path / "here" / "line_width-report.html")
    assert "Results of 2 kinds" in text
    assert "results 2 version of astra 0.1 options window 5.0 results 1" in text


def test_where_the_star_is_follows_from_ra_and_dec_if_need_be(lines):
    # The north Galactic pole, and a star with both.
    a_line(lines, a_source(ra=192.859508, dec=27.128336))
    a_line(lines, a_source(ra=10.0, dec=10.0, l=50.0, b=-20.0))
    a_line(lines, a_source(ra=10.0, dec=99.0))

    with snapshot(database):
        longitude, latitude = task_page.galactic(gather_results(find_task("line_width")))

    order = np.argsort(-np.nan_to_num(latitude, nan=-99))
    assert latitude[order][:2].tolist() == pytest.approx([90.0, -20.0], abs=1e-4)
    assert longitude[order][1] == 50.0
    assert np.isnan([longitude[order][2], latitude[order][2]]).all()


def test_without_a_result_the_page_says_what_to_run(lines, astra, tmp_path):
    code, out, err = astra("report", "line_width")

    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "spectra 0, stars 0: warn 0, bad 0"
    text = text_of(tmp_path / "here" / "line_width-report.html")
    assert "There is no result yet in this database. astra run line_width measures what is pending" in text


@on_sqlite
def test_a_page_of_a_star_is_for_distances(lines, astra, tmp_path):
    code, out, err = astra("report", "line_width", "--star", "2M00000000+0000000")

    assert (code, out) == (2, "")
    assert "--star is for astronn_dist: leave it out to get all results of line_width" in err.splitlines()[0]
    assert list((tmp_path / "here").iterdir()) == []


@on_sqlite
def test_a_task_goes_by_its_dotted_path_too(lines, astra, tmp_path):
    assert astra("report", "guest_package.line_width")[0] == 0

    assert [path.name for path in (tmp_path / "here").iterdir()] == ["line_width-report.html"]


def test_a_table_that_is_missing_is_one_line(db, tmp_path, monkeypatch, astra):
    guests.install(tmp_path / "guest", monkeypatch, guests.LINES, "line_width")

    code, out, err = astra("report", "line_width", "--output", tmp_path / "a.html")

    assert (code, out) == (78, "")
    assert "its table line_spectrum is missing: run `astra init`" in err
    assert len(err.splitlines()) == 1


# > What the task knows better


@on_sqlite
def test_a_section_that_fails_says_so_and_the_page_is_written(lines, astra, tmp_path):
    @lines.line_width.reported_by("Impossible")
    def impossible(rows):
        yield 1 / 0

    a_line(lines, width=1.0)

    code, _, err = astra("report", "line_width")

    text = text_of(tmp_path / "here" / "line_width-report.html")
    assert code == 0
    assert "the section 'Impossible' cannot be made (ZeroDivisionError" in err
    assert "The task could not make this section (ZeroDivisionError: division by zero)." in text
    assert "lines have more than 3 pixels" in text


@on_sqlite
def test_a_section_on_distances_comes_after_all_others(db, astra, tmp_path, monkeypatch):
    monkeypatch.setattr(astronn_dist, "sections", [])
    astronn_dist.reported_by("Nearby")(lambda rows: f"{(rows['dist'] < 1e4).sum()} nearby")
    a_result(a_spectrum(), k_mag=0.0)

    assert astra("report", "--output", tmp_path / "a.html")[0] == 0

    text = text_of(tmp_path / "a.html")
    assert text.index("Nearby 1 nearby") > text.index("belong to no known run")


@on_sqlite
def test_text_is_escaped_and_html_stays_what_it_is(lines, astra, tmp_path):
    from markupsafe import Markup

    lines.line_width.reported_by("One text")(lambda rows: f"{len(rows['width'])} < 2")
    lines.line_width.reported_by("HTML")(lambda rows: [Markup("<b>bold</b>"), "<i>not</i>"])
    a_line(lines, width=1.0)

    astra("report", "line_width")

    page = (tmp_path / "here" / "line_width-report.html").read_text()
    assert "<p>1 &lt; 2</p>" in page
    assert "<b>bold</b>" in page
    assert "<p>&lt;i&gt;not&lt;/i&gt;</p>" in page


@on_sqlite
def test_the_page_opens_without_a_fault_or_a_sideways_scroll(lines, astra, tmp_path, chromium):
    rng = np.random.default_rng(1)
    for number in range(20):
        star = a_source(l=rng.uniform(0, 360), b=rng.normal(0, 20))
        a_line(lines, star, width=rng.lognormal(), snr=rng.uniform(20, 200), flux=10.0**-number)
    astra("report", "line_width")

    opened = Opened(chromium, tmp_path / "here" / "line_width-report.html", "dark", 400)

    assert opened.faults == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 400
    assert opened.page.locator("main [data-figure]").count() == 5
    opened.page.close()
