"""How far the distances in the database are from the truth of a simulation."""

import math

import pytest
from builders import a_result, a_source, a_spectrum
from hypothesis import given
from hypothesis import strategies as st

from astra.errors import UsageError
from astra.modelling.comparison import ABSENT, Compared, compare, summarise

COLUMNS = "apogee_id,kind,snr,dist_pc,flux_ratio"


@pytest.fixture
def truth(tmp_path):
    """Writes the truth: name, kind, S/N and distance of each star, and the light of its companion."""

    def write(*rows):
        lines = [",".join(map(str, row if len(row) == 5 else (*row, 0))) for row in rows]
        (tmp_path / "truth.csv").write_text("\n".join([COLUMNS, *lines]) + "\n")
        return tmp_path

    return write


def _in_database(name, field="simulated", flags=0, **result):
    source = a_source(sdss4_apogee_id=name)
    return a_result(a_spectrum(source, obj=name, field=field, spectrum_flags=flags), **result)


def _star(kind="dwarf", dist=110.0, e_dist=10.0, good=True, flux_ratio=0.0):
    return Compared("2M", kind, 100.0, 100.0, flux_ratio, dist, e_dist, good, ())


def test_each_distance_is_put_beside_the_true_one(db, truth):
    _in_database("2M1", dist=1100.0, e_dist=50.0)

    (row,) = compare(truth(("2M1", "rgb", 80, 1000)))

    assert (row.true_dist, row.dist, row.e_dist, row.snr) == (1000, 1100, 50, 80)
    assert row.deviation == pytest.approx(0.1)
    assert row.sigmas == pytest.approx(2.0)
    assert row.good
    assert row.flags == ()


def test_a_star_without_a_row_is_shown_as_absent(db, truth):
    _in_database("2M1", dist=1000.0)

    rows = compare(truth(("2M1", "rgb", 80, 1000), ("2M2", "rgb", 80, 2000)))

    assert [row.apogee_id for row in rows] == ["2M1", "2M2"]
    assert math.isnan(rows[1].dist)
    assert math.isnan(rows[1].deviation)
    assert math.isnan(rows[1].sigmas)
    assert rows[1].flags == (ABSENT,)
    assert not rows[1].good


def test_a_real_star_of_the_same_name_is_another(db, truth):
    _in_database("2M1", field="M67", dist=1000.0)

    (row,) = compare(truth(("2M1", "rgb", 80, 1000)))

    assert row.flags == (ABSENT,)


def test_stars_are_sorted_by_kind_and_distance(db, truth):
    folder = truth(("2M1", "hot", 1, 5), ("2M2", "rgb", 1, 9), ("2M3", "other", 1, 1), ("2M4", "rgb", 1, 2))

    assert [row.apogee_id for row in compare(folder)] == ["2M4", "2M2", "2M1", "2M3"]


def test_what_speaks_against_a_result_is_said(db, truth):
    _in_database("2M1", flag_fakemag_unreliable=True, flag_missing_extinction=True)
    _in_database("2M2", flags=1 << 4)
    nothing = {"dist": math.nan, "e_dist": math.nan, "L_fakemag": math.nan, "e_L_fakemag": math.nan}
    _in_database("2M3", flag_no_result=True, no_result_reason="truncated", **nothing)
    _in_database("2M4", flag_missing_extinction=True)

    rows = compare(truth(*((f"2M{n}", "rgb", 80, 1000 + n) for n in (1, 2, 3, 4))))

    assert [(row.good, row.flags) for row in rows] == [
        (False, ("fakemag_unreliable", "missing_extinction")),
        (False, ("bad spectrum (STARFLAG)",)),
        (False, ("no_result",)),
        (True, ("missing_extinction",)),
    ]
    assert math.isnan(rows[2].dist)


def test_more_stars_than_are_asked_for_at_a_time_are_all_found(db, truth, monkeypatch):
    monkeypatch.setattr("astra.modelling.comparison.CHUNK", 2)
    for number in range(5):
        _in_database(f"2M{number}", dist=100.0)

    rows = compare(truth(*((f"2M{number}", "rgb", 80, 100) for number in range(5))))

    assert [row.dist for row in rows] == [100.0] * 5


def test_a_summary_is_of_the_good_ones_and_counts_the_others():
    rows = [
        *(_star(dist=dist) for dist in (105, 90, 145)),
        _star(dist=1000, good=False),
        Compared("2M", "dwarf", 1, 100),
        _star("rgb", dist=100),
    ]

    rgb, dwarf, total = summarise(rows)

    assert (rgb.kind, dwarf.kind, total.kind) == ("rgb", "dwarf", "all")
    assert (dwarf.stars, dwarf.measured, dwarf.good) == (5, 4, 3)
    assert dwarf.flagged_share == 0.25
    assert (dwarf.bias, dwarf.scatter) == pytest.approx((0.05, 0.1))
    assert dwarf.scatter_of_all == pytest.approx(0.275)
    assert (dwarf.within_1, dwarf.beyond_3) == pytest.approx((2 / 3, 1 / 3))
    assert (total.stars, total.good) == (6, 4)


def test_pairs_are_summarised_by_themselves_after_the_single_stars(db, truth):
    folder = truth(("2M1", "dwarf", 9, 100, 0.9), ("2M2", "hot", 9, 100), ("2M3", "rgb", 9, 100, 0.01))

    *stars, pairs, total = summarise(compare(folder))

    assert [(each.kind, each.stars) for each in stars] == [("hot", 1)]
    assert (pairs.kind, pairs.stars) == ("pairs", 2)
    assert (total.kind, total.stars) == ("all", 3)


def test_a_kind_without_good_ones_has_no_figures():
    (kind, _) = summarise([_star(good=False)])

    assert kind.flagged_share == 1
    assert all(map(math.isnan, (kind.bias, kind.scatter, kind.within_1, kind.beyond_3)))
    assert math.isnan(summarise([Compared("2M", "rgb", 1, 1)])[0].flagged_share)


@given(
    st.lists(
        st.builds(
            _star,
            kind=st.sampled_from(["rgb", "hot", "new"]),
            flux_ratio=st.sampled_from([0.0, 0.5]),
            dist=st.floats(1, 1e4) | st.just(math.nan),
            good=st.booleans(),
        )
    )
)
def test_the_kinds_add_up_to_all(rows):
    *kinds, total = summarise(rows)

    for count in ("stars", "measured", "good"):
        assert sum(getattr(kind, count) for kind in kinds) == getattr(total, count)
    assert total.stars == len(rows)
    assert total.good <= total.measured <= total.stars


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no truth.csv in .*: give a folder that `astra simulate` has filled"),
        ("apogee_id,kind\n2M1,rgb\n", "not the truth of a simulation: .*it has no snr"),
        (f"{COLUMNS}\n2M1,rgb,80,far,0\n", "not the truth of a simulation: .*far"),
        (f"{COLUMNS}\n2M1,rgb\n", "not the truth of a simulation"),
        (f'{COLUMNS}\n"' + 2**14 * "2M1,rgb,80,1,0\n", "not the truth of a simulation: .*limit"),
    ],
)
def test_a_folder_without_the_truth_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "truth.csv").write_text(content)

    with pytest.raises(UsageError, match=message):
        compare(tmp_path)


def test_a_truth_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "truth.csv").mkdir()

    with pytest.raises(UsageError, match="not the truth .*truth.csv .not a file, but a folder"):
        compare(tmp_path)
