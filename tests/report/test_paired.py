"""A trial compared with production: what was planted is found, and nothing else."""

import contextlib
import importlib
import json
import math
import re
import shutil
from dataclasses import replace

import guests
import numpy as np
import pytest
from bench_report import insert, made_up
from bench_trials_compare import TABLE, TRIAL, add_parallaxes, copy_results, make_trial
from browser import Opened
from builders import a_result, a_run, a_source, a_spectrum
from conftest import copied

from astra.cli.json_output import keys_of
from astra.config import Settings, load_settings
from astra.database.connection import bound_to, open_database
from astra.models import AstroNNdist, Spectrum
from astra.models.pipeline import TaskTrial
from astra.pipelines.astronn_dist import astronn_dist
from astra.report.paired import comparing, paired_page, wording
from astra.report.paired.differences import column_differences, flag_differences
from astra.report.paired.distance_changes import distance_changes
from astra.report.paired.pairs import Tables

#: A minor version before this one, as ``v_astra``.
V_OLD = 0
STARS = 400


def fill(database):
    """Results of many stars, and the table of a trial with the same rows."""
    settings = Settings.model_validate({"database": database, "models_dir": "/nowhere"})
    with bound_to(open_database(settings)) as opened, opened.atomic():
        a_run(pk=1, weights_name="toy", weights_sha256="ab" * 32, seed=0, n_draws=100)
        insert(made_up(0, STARS))
        add_parallaxes(opened)
        copy_results(opened, TRIAL)


@pytest.fixture(scope="module")
def sqlite_trial(sqlite_template, tmp_path_factory):
    """A SQLite file with them, to be copied."""
    path = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("trial") / "astra.db")
    fill({"path": path})
    return path


@pytest.fixture(scope="module")
def postgres_trial(postgres, postgres_template):
    """A PostgreSQL database with them, to be copied."""
    with postgres.database(postgres_template) as dbname:
        fill({"url": postgres.url(dbname)})
        yield dbname


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def survey(request, tmp_path, monkeypatch):
    """They in a database of one's own, as ``db`` gives it."""
    with copied(request, "trial", tmp_path, monkeypatch) as opened:
        yield opened


survey_on_sqlite = pytest.mark.parametrize("survey", ["sqlite"], indirect=True)


def plant(db, change, where="1 = 1", table=TABLE):
    db.execute_sql(f"UPDATE {table} SET {change} WHERE {where}")


def number(db, where, table=TABLE):
    return db.execute_sql(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]


def compared():
    return comparing.compare(astronn_dist, Tables("astro_nn_dist", TABLE), TRIAL)


def parts(found):
    return {(part.group, part.name): part for part in found.distances.parts}


# > What was planted


def test_distances_that_change_are_found_with_their_size_and_their_place(survey):
    giants = "l_fakemag < 100"  # M_Ks < 0
    plant(survey, "dist = dist * 1.05, nn_parallax = nn_parallax / 1.05", giants)

    found = compared()

    of = parts(found)
    for name in ("below -4", "-4 to -2", "-2 to 0"):
        part = of["M_Ks", name]
        assert [part.median, part.p05, part.p95] == pytest.approx([0.05] * 3)
        assert (part.identical, part.changed) == (0, 1.0)
        assert part.scatter == pytest.approx(0, abs=1e-9)
    for name in ("0 to 2", "2 to 4", "4 and more"):
        assert of["M_Ks", name].identical == of["M_Ks", name].n > 0
    assert sum(part.n for (group, _), part in of.items() if group == "M_Ks") == found.distances.all.n
    column = next(each for each in found.columns if each.name == "dist")
    assert column.n - column.identical == number(survey, giants)
    assert column.largest == pytest.approx(
        survey.execute_sql(f"SELECT max(dist) FROM {TABLE} WHERE {giants}").fetchone()[0] / 21
    )
    said = " ".join(wording.in_sentences(found))
    assert re.search(r"Of the classes, the median is shifted most for (giant|red clump): \+5\.0 %", said)
    assert "Identical in every pair: k_mag, ebv, A_k_mag, L_fakemag" in said


def test_a_change_of_the_extinction_is_in_the_plane_and_grows_with_it(survey):
    make = "dist = dist * power(10, 0.1 * a_k_mag), a_k_mag = a_k_mag / 2"
    plant(survey, make, "ebv > 0 AND source_pk IN (SELECT pk FROM source WHERE abs(b) < 10)")

    found = compared()

    of = parts(found)
    assert of["|b|", "0 to 5"].median > of["|b|", "5 to 10"].median > 0.001
    assert all(of["|b|", name].identical == of["|b|", name].n for name in ("10 to 20", "20 to 40"))
    medians = [part.median for (group, _), part in of.items() if group == "A_Ks"]
    assert medians == sorted(medians)
    # The extinction of a star is that of production.
    middle = "good AND dist > 0 AND a_k_mag >= 0.05 AND a_k_mag < 0.15"
    assert of["A_Ks", "0.05 to 0.15"].n == number(survey, middle, "distances")


def test_gaia_says_which_is_closer(survey):
    plant(survey, "nn_parallax = gaia_parallax + 0.5 * (nn_parallax - gaia_parallax)", "l_fakemag < 100")

    whole, *by_class = compared().distances.agreement

    assert whole.differing < whole.n
    assert (whole.closer, whole.e_closer) == (1.0, pytest.approx(0.5 / math.sqrt(whole.differing)))
    assert whole.trial.width < whole.production.width
    assert sum(part.n for part in by_class if part.group == "class") == whole.n
    dwarfs = next(part for part in by_class if part.name == "dwarf")
    assert (dwarfs.differing, dwarfs.trial) == (0, dwarfs.production)


def test_flags_that_change_are_counted_in_both_directions(survey):
    for table in (TABLE, AstroNNdist._meta.table_name):
        plant(survey, "result_flags = 1", "dist > 0", table)
    plant(survey, "result_flags = 0", "dist > 0 AND mod(spectrum_pk, 4) = 0")
    plant(survey, "result_flags = result_flags | 4", "dist > 0 AND mod(spectrum_pk, 10) = 0")

    found = {flag.name: flag for flag in compared().flags}

    unreliable, extinction = found["flag_fakemag_unreliable"], found["flag_missing_extinction"]
    assert (unreliable.only_trial, unreliable.both) == (0, number(survey, "(result_flags & 1) <> 0"))
    assert unreliable.only_production == number(survey, "dist > 0 AND mod(spectrum_pk, 4) = 0") > 0
    changed = (extinction.only_production, extinction.only_trial, extinction.both)
    assert changed == (0, number(survey, "dist > 0 AND mod(spectrum_pk, 10) = 0"), 0)
    meaning = "Look twice: any of flag_missing_extinction"
    assert found["flag_warn"] == replace(extinction, name="flag_warn", meaning=meaning)
    assert found["flag_bad"].only_production == unreliable.only_production
    # Others are of spectra that are not good in any case.
    assert 0 < found["good"].only_trial < unreliable.only_production


def test_the_largest_changes_are_listed_by_their_factors(survey):
    query = "SELECT spectrum_pk, sdss_id FROM distances WHERE good ORDER BY 1 LIMIT 2"
    (smaller, star), (larger, _) = survey.execute_sql(query).fetchall()
    plant(survey, "dist = dist / 3, result_flags = result_flags | 4", f"spectrum_pk = {smaller}")
    plant(survey, "dist = dist * 2", f"spectrum_pk = {larger}")
    plant(survey, "dist = 9", "(result_flags & 2048) = 2048")

    first, second = compared().largest

    assert [first.spectrum_pk, second.spectrum_pk] == [smaller, larger]
    assert first.change == pytest.approx(-2 / 3)
    assert first.dist_trial == pytest.approx(first.dist_production / 3)
    assert (first.star, wording.flag_words(first.flags_trial)) == (str(star), "missing_extinction")


def swapped(pairs):
    return replace(pairs, production=pairs.trial, trial=pairs.production)


def test_what_one_set_gains_the_other_loses(survey):
    make_rows_differ = "dist = dist * 1.1, result_flags = result_flags | 1, e_dist = NULL"
    plant(survey, make_rows_differ, "mod(spectrum_pk, 3) = 0")
    pairs = compared().pairs

    there, back = distance_changes(pairs), distance_changes(swapped(pairs))

    known = np.isfinite(there.change)
    assert known.sum() > STARS
    np.testing.assert_allclose((1 + there.change[known]) * (1 + back.change[known]), 1)
    assert (there.good.only_production, there.good.only_trial) == (
        back.good.only_trial,
        back.good.only_production,
    )
    for one, other in zip(
        column_differences(AstroNNdist, pairs), column_differences(AstroNNdist, swapped(pairs)), strict=True
    ):
        assert (one.n, one.identical) == (other.n, other.identical)
        assert one.only_production == other.only_trial
        np.testing.assert_allclose([one.median, one.p05], [-other.median, -other.p95])
    flags = zip(
        flag_differences(AstroNNdist, pairs), flag_differences(AstroNNdist, swapped(pairs)), strict=True
    )
    assert all(one.only_trial == other.only_production for one, other in flags)


# > Which rows


def test_each_spectrum_is_compared_once_or_counted_among_those_that_are_not(db):
    rows = {name: a_result(a_spectrum(a_source()), dist=1000.0) for name in "abcdefgh"}
    old = a_result(replace_spectrum(rows["f"]), v_astra=V_OLD, dist=500.0)
    copy_results(db, TRIAL)
    own = f"spectrum_pk = {{}} AND v_astra <> {V_OLD}"
    db.execute_sql(f"DELETE FROM {TABLE} WHERE {own.format(rows['b'].spectrum_pk)}")
    rows["c"].delete_instance()
    # SQLite copies the generated column as it is.
    plant(db, "v_astra = 0, v_astra_major_minor = 0", own.format(rows["d"].spectrum_pk))
    nothing = "dist = NULL, e_dist = NULL, result_flags = 2048"
    plant(db, nothing, own.format(rows["e"].spectrum_pk))
    plant(db, "dist = 1100", own.format(rows["f"].spectrum_pk))
    plant(db, "dist = 5000", f"spectrum_pk = {old.spectrum_pk} AND v_astra = {V_OLD}")
    for table in (TABLE, AstroNNdist._meta.table_name):
        plant(db, "k_mag = 0, result_flags = 2", own.format(rows["g"].spectrum_pk), table)
    AstroNNdist.update(result_flags=2048, dist=math.nan).where(
        AstroNNdist.task_pk == rows["h"].task_pk
    ).execute()

    found = compared()

    counts, results = found.counts, found.measured
    assert (counts.pairs, counts.only_production, counts.only_trial, counts.other_version) == (5, 1, 1, 1)
    assert (results.both, results.only_production, results.only_trial, results.neither) == (3, 1, 1, 0)
    dist = next(column for column in found.columns if column.name == "dist")
    assert (dist.n, dist.identical, dist.only_production, dist.only_trial) == (3, 2, 1, 1)
    assert (found.distances.all.n, found.distances.all.median) == (2, pytest.approx(0.05))
    assert [row.spectrum_pk for row in found.largest] == [rows["f"].spectrum_pk]
    said = " ".join(wording.in_sentences(found))
    assert "1 are in production alone, 1 are in the trial alone and 1 have rows of different" in said
    assert "1 have a result in production alone, 1 in the trial alone." in said
    assert "With only 2 spectra, medians and shares are rough." in said


def replace_spectrum(row):
    """The spectrum of a result, for another result."""
    return Spectrum(pk=row.spectrum_pk).resolve()


def test_rows_that_disappear_meanwhile_are_still_compared(survey, monkeypatch):
    read = comparing.read_pairs

    def read_and_lose(*arguments):
        pairs = read(*arguments)
        with contextlib.closing(open_database(load_settings())) as other:
            other.execute_sql("DELETE FROM apogee_coadded_spectrum_in_apstar")
        return pairs

    monkeypatch.setattr(comparing, "read_pairs", read_and_lose)
    plant(survey, "dist = dist * 2")

    assert len(compared().largest) == 20


# > The command


def test_the_command_says_it_in_words_and_in_json(survey, astra, tmp_path):
    make_changes(survey)
    page = tmp_path / "a.html"

    code, out, err = astra("trials", "compare", TRIAL, "--output", page, "--json")

    said = json.loads(out)
    assert (code, err) == (0, "")
    assert {key for key in keys_of("trials compare") if "." not in key} <= said.keys()
    assert said["compared"]["pairs"] == number(survey, "1 = 1")
    assert "weights toy (sha256 abababababab), seed 0, 100 draws" in said["made_with"]["trial"][0]
    assert said["column_changes"]["weighted_dist"]["median"] is None
    assert set(said["distances"]) == {"parts", "gaia", "largest"}
    assert said["path"] == str(page)

    code, text, _ = astra("trials", "compare", f"astronn_dist@{TRIAL}")

    assert code == 0
    assert text.splitlines()[: len(said["summary"])] == said["summary"]
    assert re.search(r"^class +giant +[\d,]+ +\d+ +\+5\.\d\d %", text, re.MULTILINE)
    assert not {"−", "–"} & set(text)


def make_changes(db):
    """The changes of the benchmark, in the table that is there."""
    drop(db)
    make_trial(db)


def drop(db):
    db.execute_sql(f"DROP TABLE {TABLE}")
    TaskTrial.delete().execute()


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (drop, f"no task has a {TRIAL}"),
        (lambda db: db.execute_sql(f"DELETE FROM {TABLE}"), "nothing to compare: no spectrum has a row"),
    ],
    ids=["no trial", "an empty trial"],
)
def test_a_trial_without_rows_is_one_line(survey, astra, tmp_path, prepare, said):
    prepare(survey)

    code, out, err = astra("trials", "compare", TRIAL, "--output", tmp_path / "a.html")

    assert (code, out) == (2, "")
    assert said in err.splitlines()[0]
    assert not list(tmp_path.glob("*.html"))


def test_a_promoted_trial_is_compared_with_what_production_was_before(survey, astra):
    make_changes(survey)
    before = json.loads(astra("trials", "compare", TRIAL, "--json")[1])
    assert astra("trials", "promote", TRIAL)[0] == 0

    after = json.loads(astra("trials", "compare", TRIAL, "--json")[1])

    assert after["promoted"]
    assert "is promoted: what is called production here is what it was before" in after["summary"][0]
    assert (after["distances"], after["flags"]) == (before["distances"], before["flags"])


@survey_on_sqlite
def test_a_page_that_is_there_stays_unless_it_may_be_replaced(survey, astra, tmp_path):
    page = tmp_path / "a.html"
    page.write_text("mine")

    refused = astra("trials", "compare", TRIAL, "--output", page)
    left = page.read_text()
    replaced = astra("trials", "compare", TRIAL, "--output", page, "--overwrite")

    assert (refused[0], left) == (2, "mine")
    assert replaced[0] == 0
    assert page.read_text().startswith("<!DOCTYPE html>")


# > The page


def figures_of(page):
    """The figures of a page by their names."""
    found = re.findall(r'(?s)<script type="application/json" id="data-([\w-]+)">(.*?)</script>', page)
    return {name: json.loads(item) for name, item in found}


FIGURES = ["changes", "against-snr", "against-m-ks", "against-a-k", "against-latitude", "sky", "pulls"]


@survey_on_sqlite
@pytest.mark.parametrize("most_points", [10, 2000], ids=["cells", "points"])
def test_the_page_has_its_figures_and_its_tables(survey, monkeypatch, most_points):
    make_changes(survey)
    monkeypatch.setattr(paired_page, "MOST_POINTS", most_points)

    page = paired_page.paired_page(compared())

    drawn = figures_of(page)
    assert list(drawn) == FIGURES
    assert ("Image" in json.dumps(drawn["against-snr"])) == (most_points == 10)
    assert "HexTile" in json.dumps(drawn["sky"])
    sections = ("distances", "against", "sky", "parts", "gaia", "flags", "largest", "columns", "origins")
    assert re.findall(r'<section id="(\w+)">', page) == list(sections)
    assert "://" not in re.sub(r"(?s)<script>.*?</script>", "", page)


@survey_on_sqlite
@pytest.mark.parametrize("pairs", [1, 22])
@pytest.mark.parametrize("change", ["dist = dist * 1.5", "tag = 'same'"], ids=["changed", "identical"])
def test_few_spectra_make_a_page_that_says_so(survey, pairs, change):
    kept = f"SELECT spectrum_pk FROM {TABLE} WHERE dist > 0 AND result_flags = 0 ORDER BY 1 LIMIT {pairs}"
    survey.execute_sql(f"DELETE FROM {TABLE} WHERE spectrum_pk NOT IN ({kept})")
    plant(survey, change)

    page = paired_page.paired_page(compared())

    text = re.sub(r"\s+", " ", page)
    assert f"<h1>{pairs} {'spectrum' if pairs == 1 else 'spectra'} in both</h1>" in text
    assert ("all of them identical" in text) == (change == "tag = 'same'")
    assert ("medians and shares are rough" in text) == (change != "tag = 'same'")
    assert "nan" not in re.sub(r"(?s)<(script|style).*?</\1>", "", page)
    assert set(figures_of(page)) <= set(FIGURES)


@survey_on_sqlite
def test_the_page_opens_without_a_fault_a_request_or_a_sideways_scroll(survey, tmp_path, chromium):
    make_changes(survey)
    paired_page.write_page(compared(), tmp_path / "a.html", overwrite=False)

    opened = Opened(chromium, tmp_path / "a.html", "dark", 400)

    assert opened.faults == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [(tmp_path / "a.html").as_uri()]
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 400
    opened.page.close()


# > Other tasks


@pytest.fixture
def lines(db, tmp_path, monkeypatch, astra):
    """The package with the task ``line_width``, some results, and a trial of it."""
    guests.install(tmp_path / "guest", monkeypatch, guests.LINES, "line_width")
    assert astra("init")[0] == 0
    guest = importlib.import_module("guest_package")
    for number in range(30):
        spectrum = guest.LineSpectrum.create(spectrum_pk=Spectrum.create().pk)
        values = {"flag_no_result": True} if number == 29 else {"width": 1.0 + number, "pixels": number}
        guest.LineWidth.from_spectrum(spectrum, **values).save()
    copy_results(db, "trial-wide", guest.line_width)
    return guest


def test_the_columns_and_flags_of_any_task_are_compared(lines, db, astra, tmp_path):
    wide, page = "line_width_trial_wide", tmp_path / "a.html"
    plant(db, "width = width + 0.5, pixels = NULL", "width > 20", wide)
    plant(db, "width = width - 100", "width = 1", wide)
    plant(db, "result_flags = result_flags | 2, line_flags = 8", "width = 2", wide)

    code, out, err = astra("trials", "compare", "line_width@trial-wide", "--output", page, "--json")

    said = json.loads(out)
    assert (code, err, said["distances"]) == (0, "", None)
    width, pixels = said["columns"]["width"], said["columns"]["pixels"]
    assert [width[name] for name in ("n", "identical", "p95", "largest")] == [29, 19, 0.5, -100.0]
    assert width["unit"] == "Angstrom"
    assert [pixels[name] for name in ("n", "identical", "only_production")] == [20, 20, 9]
    changed = {name for name, flag in said["flags"].items() if flag["only_trial"]}
    assert changed == {"flag_shallow", "flag_bad", "flag_telluric"}
    assert said["measured"] == {"both": 29, "only_production": 0, "only_trial": 0, "neither": 1}
    assert list(figures_of(page.read_text())) == ["column-width"]
    assert "10 of 29 differ; the median difference of all is 0 Angstrom." in page.read_text()

    text = astra("trials", "compare", "line_width@trial-wide")[1]

    assert "Flags that are set in the trial alone / in production alone: flag_shallow 1 / 0" in text


def test_results_without_flags_are_compared_too(db, tmp_path, monkeypatch, astra):
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "count_pixels")
    guests.make_table(db)
    a_spectrum(a_source())
    assert astra("run", "count_pixels")[0] == 0
    guest = importlib.import_module("guest_package")
    copy_results(db, "trial-same", guest.count_pixels)

    code, out, _ = astra("trials", "compare", "trial-same", "--output", tmp_path / "a.html")

    assert code == 0
    assert "All columns of numbers are identical in every pair.\nThere are no flags.\n" in out
