"""Every query of the documentation answers its question, on both databases."""

import math
import re

import pytest
from builders import a_run

from documents import Block, blocks, pages, statements
from small_survey import M67, a_measured, a_star

QUERIES = [block for page in pages() for block in blocks(page, "sql")]
#: What SQLite has not, schemas, roles, rights, medians: in test_old_sql.py, test_results_into_upstream.py and
#: test_watching.py.
_ONLY_POSTGRESQL = re.compile(
    r"\b(ALTER DATABASE|CREATE ROLE|GRANT|REVOKE|CREATE SCHEMA|CREATE TEMP TABLE|percentile_cont)\b"
)
ON_BOTH = [block for block in QUERIES if not _ONLY_POSTGRESQL.search(block.text)]
COOKBOOK = [block for block in QUERIES if block.page == "docs/sql.md"]


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
    assert len(ON_BOTH) + 8 == len(QUERIES)


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
        a_measured(a_star(0, dist, ra=ra), dist, run)

    found = [row[3] for row in ask(survey, "A cone on the sky")]

    assert 111.0 in found
    assert 222.0 not in found


def test_the_distance_of_a_cluster_is_that_of_the_median_parallax_and_its_error_has_a_floor(survey):
    ((members, dist, e_dist),) = ask(survey, "The members of a cluster, and its distance")

    # Of 400, 450, 800 and 900 pc, with relative errors of 5 %, and so with the same weight.
    middle = (1000 / 450 + 1000 / 800) / 2
    assert (members, dist) == (4, pytest.approx(1000 / middle))
    of_members = math.sqrt(1.57) * 0.05 / 2
    assert e_dist / dist == pytest.approx(math.hypot(of_members, 0.03, 0.162 * 0.1))


def test_a_star_of_ones_own_list_that_is_not_there_has_a_line_all_the_same(survey):
    rows = ask(survey, "Stars of a list of one's own")

    assert sorted(rows, key=str)[0][:3] == (M67, 24.3, 400.0)
    assert sorted(rows, key=str)[1][2] is None


def test_pulls_against_gaia_are_of_both_errors(survey):
    rows = ask(survey, "Against Gaia parallaxes")

    assert len(rows) == 5
    for _, nn_parallax, gaia_parallax, pull, *_ in rows:
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
