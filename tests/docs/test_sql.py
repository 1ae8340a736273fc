"""Every query of the documentation answers its question, on both databases."""

import contextlib
import math
import re
import shutil

import pytest
from builders import a_result, a_run, a_source, a_spectrum

from astra.config import Settings
from astra.database import open_database
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist
from astra.models.base import bound_to
from astra.schema import runner

from documents import Block, blocks, pages, statements

QUERIES = [block for page in pages() for block in blocks(page, "sql")]
#: What SQLite has not: schemas, roles, rights.
_ONLY_POSTGRESQL = re.compile(r"\b(CREATE ROLE|REVOKE|CREATE SCHEMA)\b")
ON_BOTH = [block for block in QUERIES if not _ONLY_POSTGRESQL.search(block.text)]
COOKBOOK = [block for block in QUERIES if block.page == "docs/sql.md"]
ROLES = [block for block in QUERIES if re.search(r"\b(CREATE ROLE|REVOKE)\b", block.text)]
M67 = "2M08511710+1148160"

on_postgresql = pytest.mark.parametrize(
    "filled", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
on_sqlite = pytest.mark.parametrize("filled", ["sqlite"], indirect=True)


def _star(number: int, dist: float, **values):
    place = {"ra": 132.85 + 0.01 * number, "dec": 11.81, "l": 215.7, "b": 31.9}
    motion = {"pmra": -10.97, "pmde": -2.92, "j_mag": 10.8, "ebv_origin": "SFD", "ebv_flags": 8}
    gaia = {"plx": 1000 / dist + 0.05, "e_plx": 0.05, "ruwe": 1.0}
    return a_source(**(place | motion | gaia | values))


def _measured(source, dist: float, run, *, snr=100.0, telescope="apo25m", v_astra=None, **values):
    relative = 0.05
    parallax = 1000 / dist
    spectrum = a_spectrum(source, snr=snr, telescope=telescope, v_rad=33.9)
    gaia = {"gaia_parallax": parallax + 0.05, "e_gaia_parallax": 0.05}
    combined = {"weighted_parallax": parallax + 0.04, "e_weighted_parallax": 0.04}
    found = {
        "L_fakemag": 100 * parallax,
        "e_L_fakemag": 100 * parallax * relative,
        "dist": dist,
        "e_dist": dist * relative,
        "e_dist_full": dist * relative * 1.5,
        "dist_lo": dist * (1 - relative),
        "dist_hi": dist * (1 + relative),
        "nn_parallax": parallax,
        "e_nn_parallax": parallax * relative,
        "weighted_dist": 1000 / (parallax + 0.04),
        "e_weighted_dist": dist * 0.02,
        "run_pk": run.pk,
    }
    version = {} if v_astra is None else {"v_astra": v_astra}
    return a_result(spectrum, **(found | gaia | combined | version | values))


def _fill() -> None:
    old = a_run(weights_name="old", weights_sha256="0" * 64, seed=0, n_draws=100, processed=1, outcome="done")
    new = a_run(weights_name="new", weights_sha256="1" * 64, seed=0, n_draws=100, processed=9, outcome="done")
    first = _star(0, 400.0, sdss4_apogee_id=M67)
    again = _measured(first, 400.0, new, snr=200.0)
    _measured(first, 440.0, new, snr=50.0, telescope="lco25m")
    a_result(_spectrum_of(again), v_astra=0, dist=380.0, run_pk=old.pk)
    _measured(_star(1, 800.0), 800.0, new)
    _measured(_star(2, 450.0), 450.0, old)
    _measured(_star(3, 900.0, ebv=None), 900.0, new, flag_missing_extinction=True)
    _measured(_star(4, 850.0, k_mag=None), 1.0, new, flag_missing_photometry=True)
    _measured(_star(5, 850.0), 850.0, new, flag_fakemag_unreliable=True, telescope="lco25m")
    _measured(_star(6, 820.0), 820.0, new, telescope="lco25m")
    lost = {"L_fakemag": None, "flag_no_result": True, "no_result_reason": "truncated"}
    _measured(_star(7, 850.0), math.nan, new, **lost)
    a_spectrum(_star(8, 850.0))


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
        _fill()
        yield opened


@pytest.fixture
def survey(filled):
    """The survey; what a test does to it is undone."""
    with filled.atomic() as transaction:
        yield filled
        transaction.rollback()


def _spectrum_of(result):
    key = ApogeeCoaddedSpectrumInApStar.spectrum_pk
    return ApogeeCoaddedSpectrumInApStar.get(key == result.spectrum_pk)


def answer(db, block: Block) -> list[tuple]:
    """What the last statement of a block gives."""
    *before, last = statements(block.text)
    for statement in before:
        db.execute_sql(statement)
    return db.execute_sql(last).fetchall()


def ask(db, heading: str) -> list[tuple]:
    """What the query below a heading of the cookbook gives."""
    (block,) = (block for block in COOKBOOK if block.heading == heading)
    return answer(db, block)


# > All of them


@pytest.mark.parametrize("block", ON_BOTH, ids=str)
def test_every_query_has_an_answer(survey, block):
    rows = answer(survey, block)

    assert rows
    assert all(any(value is not None for value in row) for row in rows)


def test_the_cookbook_is_large_enough_and_asks_every_question_once():
    headings = [block.heading for block in COOKBOOK]

    assert len(headings) >= 15
    assert len(set(headings)) == len(headings)
    assert len(ON_BOTH) + len(ROLES) + 1 == len(QUERIES)


# > Answers that can be checked by hand


def test_a_volume_has_each_star_once_and_only_good_ones(survey):
    rows = ask(survey, "Good distances within a volume")

    assert [row[3] for row in rows] == [400.0, 450.0]


def test_everything_of_a_star_is_everything(survey):
    rows = ask(survey, "Everything of one star")

    assert [(row[1], row[2], row[3]) for row in rows] == [("apo25m", 200.0, 400.0), ("lco25m", 50.0, 440.0)]


def test_a_cone_is_round_on_the_sky(survey):
    """A degree of right ascension is cos(dec) on the sky."""
    cos_dec = math.cos(math.radians(11.81))
    inside, outside = (132.85 + angle / cos_dec for angle in (0.499, 0.501))
    run = a_run()
    for ra, dist in ((inside, 111.0), (outside, 222.0)):
        _measured(_star(0, dist, ra=ra), dist, run)

    found = [row[3] for row in ask(survey, "A cone on the sky")]

    assert 111.0 in found
    assert 222.0 not in found


def test_the_distance_of_a_cluster_is_that_of_the_weighted_mean_of_its_parallaxes(survey):
    ((members, dist, e_mean),) = ask(survey, "The members of a cluster, and its distance")

    parallax = [1000 / each for each in (400.0, 800.0, 450.0, 900.0, 820.0)]
    weight = [1 / (0.05 * each) ** 2 for each in parallax]
    mean = sum(w * p for w, p in zip(weight, parallax, strict=True)) / sum(weight)
    assert (members, dist, e_mean) == (5, pytest.approx(1000 / mean), pytest.approx(sum(weight) ** -0.5))


def test_a_star_of_ones_own_list_that_is_not_there_has_a_line_all_the_same(survey):
    rows = ask(survey, "Stars of a list of one's own")

    assert sorted(rows, key=str)[0][:3] == (M67, 24.3, 400.0)
    assert sorted(rows, key=str)[1][2] is None


def test_pulls_against_gaia_are_of_both_errors(survey):
    rows = ask(survey, "Against Gaia parallaxes")

    assert len(rows) == 5
    for _, nn_parallax, gaia_parallax, _, pull in rows:
        expected = (nn_parallax - gaia_parallax) / math.hypot(0.05, 0.05 * nn_parallax)
        assert pull == pytest.approx(expected)


def test_offset_and_width_are_those_of_each_telescope(survey):
    north, south = ask(survey, "The same as numbers: offset and width, by telescope")

    assert (north[:2], south[:2]) == (("apo25m", 4), ("lco25m", 1))
    assert north[2] == pytest.approx(-0.05)
    assert south[3] == pytest.approx(0.05 / math.hypot(0.05, 0.05 * 1000 / 820))


def test_two_spectra_of_a_star_are_one_pair(survey):
    ((star, _, _, dist, other_dist, pull),) = ask(survey, "Spectra of one star against each other")

    one, other = 1e5 / 400, 1e5 / 440
    assert (star, dist, other_dist) == (M67, 400.0, 440.0)
    assert pull == pytest.approx((one - other) / (0.05 * math.hypot(one, other)))


def test_flags_are_counted_by_spectrum(survey):
    ((spectra, good, unreliable, no_photometry, no_extinction, no_result),) = ask(
        survey, "How many spectra carry which flag"
    )

    assert (spectra, good) == (9, 6)
    assert (unreliable, no_photometry, no_extinction, no_result) == (1, 1, 1, 1)
    assert ask(survey, "Any combination of bits")[0][:2] == (0, 5)
    assert ask(survey, "Why there is no result") == [("truncated", 1)]


def test_positions_have_the_length_of_the_distance(survey):
    rows = ask(survey, "Positions in the Galaxy")

    lengths = sorted(math.hypot(*row[1:]) for row in rows)
    assert lengths == pytest.approx([0.4, 0.45, 0.8, 0.82, 0.9])
    assert all(row[1] < 0 and row[3] > 0 for row in rows)  # l = 215.7, b = 31.9


def test_shells_hold_all_stars_of_the_volume(survey):
    assert ask(survey, "Counts in shells") == [(400.0, 2), (800.0, 2), (900.0, 1)]


def test_results_of_the_newest_weights_are_those_of_the_newest_run(survey):
    rows = ask(survey, "Only results of the newest weights")

    assert [row[1] for row in rows] == [400.0, 800.0, 820.0, 900.0]
    assert [row[-1] for row in ask(survey, "Which runs made what is there")] == [1, 8]


def test_two_versions_of_a_result_are_compared(survey):
    ((_, version, old_version, dist, old_dist, change),) = ask(survey, "This version beside the one before")

    assert (old_version, dist, old_dist) == (0, 400.0, 380.0)
    assert version > old_version
    assert change == pytest.approx(400 / 380 - 1)


def test_a_spectrum_without_a_row_is_found(survey):
    assert len(ask(survey, "Spectra without a row")) == 1


# > Old SQL, and what is of PostgreSQL alone


@pytest.fixture
def upstream(survey):
    """The view of upstream's names, as its page makes it."""
    first, second = blocks("docs/upstream.md", "sql")
    answer(survey, first)
    return survey, second


def test_old_sql_with_quoted_names_finds_the_values_of_the_columns(upstream):
    db, _ = upstream
    names = '"A_k_mag", "L_fakemag", "e_L_fakemag", "L_fakemag_err", dist, e_dist, dist_err, result_flags'

    found = db.execute_sql(f"SELECT {names} FROM astro_nn_dist_upstream ORDER BY task_pk")

    rows = AstroNNdist.select().order_by(AstroNNdist.task_pk)
    for old, row in zip(found.fetchall(), rows, strict=True):
        errors = (row.e_L_fakemag, row.e_L_fakemag, row.dist, row.e_dist, row.e_dist)
        now = (row.A_k_mag, row.L_fakemag, *errors, row.result_flags)
        assert [math.nan if value is None else value for value in old] == pytest.approx(
            list(now), nan_ok=True
        )


def test_every_column_of_upstreams_table_is_in_the_view(upstream):
    db, _ = upstream
    upstreams = (
        "task_pk source_pk spectrum_pk v_astra created modified t_elapsed t_overhead tag k_mag ebv A_k_mag"
    )
    upstreams += " L_fakemag e_L_fakemag dist e_dist result_flags"

    names = [name for name, *_ in db.execute_sql("SELECT * FROM astro_nn_dist_upstream").description]

    assert set(upstreams.split()) <= set(names)


def test_migrations_pass_by_the_view_of_old_names(upstream):
    """It rests on no view of ours, which migrations make anew."""
    db, _ = upstream

    runner(db).down()
    applied = runner(db).up()

    assert len(applied) == 1
    assert db.execute_sql('SELECT "L_fakemag" FROM astro_nn_dist_upstream').fetchone()


@on_postgresql
def test_old_sql_finds_its_table_by_the_search_path(upstream):
    db, block = upstream

    assert len(answer(db, block)) == AstroNNdist.select().count()


@on_sqlite
def test_on_sqlite_old_names_need_no_view(survey):
    assert survey.execute_sql('SELECT "A_k_mag", "L_fakemag" FROM astro_nn_dist').fetchone()


@on_postgresql
def test_rights_are_given_and_taken_as_the_page_on_operations_says(survey):
    (name,) = survey.execute_sql("SELECT current_database()").fetchone()
    given = [
        text.replace("DATABASE survey", f"DATABASE {name}") for b in ROLES for text in statements(b.text)
    ]

    for role in ("astra_writer", "astra_reader"):
        survey.execute_sql(f"CREATE ROLE {role}")
    for statement in given:
        survey.execute_sql(statement)

    member = "SELECT pg_has_role(%s, 'astra_writer', 'member')"
    assert survey.execute_sql(member, ("pipeline",)).fetchone() == (True,)
    assert survey.execute_sql(member, ("ana",)).fetchone() == (False,)
    assert len(given) == 6
