"""Where the E(B-V) of a star comes from: the rules, their limits, errors and origins, on both databases."""

import json
import math

import numpy as np
import pytest
from astropy.io import fits
from builders import a_source
from hypothesis import given, settings
from hypothesis import strategies as st

from astra.errors import UsageError
from astra.ingest.allstar import ingest_allstar
from astra.ingest.apstar import ingest_apstar
from astra.ingest.catalog_alone import ingest_catalog
from astra.ingest.extinction import AUTO, Rule, reddening, rule_of
from astra.ingest.headers import read_record
from astra.models import Source

LIMIT, ZHANG, SFD, GLIMPSE, ALLWISE = 1, 2, 8, 16, 32
NAMES = {"a_k": "AK_TARG", "a_k_method": "AK_TARG_METHOD", "sfd_ebv": "SFD_EBV", "ak_wise": "AK_WISE"}


def found(rule=AUTO, *, is_catalog=False, **values):
    """E(B-V), its error, its bits and its origin for one star."""
    names = {name: NAMES.get(name, name) for name in values}
    columns = reddening({name: [value] for name, value in values.items()}, names, rule, is_catalog=is_catalog)
    labels = ("ebv", "e_ebv", "ebv_flags", "ebv_origin")
    return tuple(columns[name][0] if name in columns else None for name in labels)


def assert_is(star, ebv, flags, origin, error=None):
    approximate = [None if each is None else pytest.approx(each, rel=1e-6) for each in (ebv, error)]
    assert star == (approximate[0], approximate[1], flags, origin)


# > The bits of the survey

METHODS = {"zhang_2023": 2, "edenhofer_2023": 4, "sfd": 8, "rjce_glimpse": 16, "rjce_allwise": 32}
METHODS |= {"bayestar_2019": 64}


def _of_methods(method, flags, **others):
    """A star with the E(B-V) of one method, and others by each other one that the table has."""
    values = {f"ebv_{name}": 0.01 * bit for name, bit in METHODS.items()} | others
    return found(ebv=values[f"ebv_{method}"], ebv_flags=flags, **values)


@pytest.mark.parametrize("limit", [0, 1])
@pytest.mark.parametrize("method", METHODS)
def test_bits_with_our_numbers_stay(method, limit):
    assert _of_methods(method, METHODS[method] | limit)[2:] == (METHODS[method] | limit, f"ebv_{method}")


@pytest.mark.parametrize("limit", [0, 1])
@pytest.mark.parametrize("method", [name for name in METHODS if name != "bayestar_2019"])
def test_bits_with_the_numbers_of_newer_code_are_given_ours(method, limit):
    newer = METHODS[method] >> 1 | 32 * limit

    assert _of_methods(method, newer)[2:] == (METHODS[method] | limit, f"ebv_{method}")


@pytest.mark.parametrize(
    ("flags", "others"),
    [(1, {}), (4, {"ebv": 0.5}), (0, {}), (None, {}), (4, {"ebv_edenhofer_2023": 0.08})],
)
def test_bits_that_cannot_be_told_to_be_of_another_numbering_stay(flags, others):
    values = {"ebv": 0.08, "ebv_sfd": 0.08, "ebv_edenhofer_2023": 0.04, "ebv_zhang_2023": 0.02} | others

    assert found(ebv_flags=flags, **values)[2] == flags


def test_without_the_column_of_a_method_its_bit_stays():
    assert found(ebv=0.08, ebv_sfd=0.08, ebv_flags=4)[2] == 4


def test_the_method_of_other_bits_is_that_of_the_column_which_is_equal():
    assert _of_methods("sfd", 16 | 1)[2:] == (8, "ebv_sfd")


def test_bits_with_other_numbers_are_said_once_with_their_count(db, table, caplog):
    star = {"ebv": 0.08, "ebv_sfd": 0.08, "ebv_edenhofer_2023": 0.04}
    rows = [{"sdss_id": number, **star, "ebv_flags": 4} for number in (1, 2)]
    a_source(sdss_id=1)

    ingest_catalog(table("t.csv", [*rows, {"sdss_id": 3, **star, "ebv_flags": 8}]))

    assert Source.get().ebv_flags == 8
    assert "ebv_flags in 1 rows are in the numbering of newer versions" in caplog.text


# > RJCE


@pytest.mark.parametrize(
    ("values", "ebv", "flags", "origin"),
    [
        ({"wise_4_5": 9.0}, 2.61 * 0.95, ALLWISE, "RJCE (H, WISE_4_5)"),
        ({"irac_4_5": 9.0, "wise_4_5": 9.5}, 2.61 * 0.92, GLIMPSE, "RJCE (H, IRAC_4_5)"),
        ({"w2_mag": 9.0}, 2.61 * 0.92, ALLWISE, "RJCE (H, W2_MAG)"),
        ({"mag4_5": 9.0, "w2_mag": 9.5}, 2.61 * 0.92, GLIMPSE, "RJCE (H, MAG4_5)"),
        ({"mag4_5": None, "w2_mag": 9.0}, 2.61 * 0.92, ALLWISE, "RJCE (H, W2_MAG)"),
        ({"ebv_rjce_glimpse": 0.5, "ebv_rjce_allwise": 0.6}, 0.5, GLIMPSE, "ebv_rjce_glimpse"),
        ({"ebv_rjce_glimpse": None, "ebv_rjce_allwise": 0.6}, 0.6, ALLWISE, "ebv_rjce_allwise"),
        ({"ak_wise": 0.3517}, 1.0, ALLWISE, "AK_WISE"),
        ({"wise_4_5": 9.97}, 2.61 * -0.02, ALLWISE, "RJCE (H, WISE_4_5)"),
        ({"wise_4_5": 10.9}, None, None, None),
        ({"wise_4_5": None}, None, None, None),
    ],
)
def test_rjce_follows_from_h_and_a_magnitude_at_4_5_microns(values, ebv, flags, origin):
    assert_is(found(h_mag=10.0, **values), ebv, flags, origin)


def test_without_h_there_is_no_rjce():
    assert found(h_mag=None, wise_4_5=9.0)[0] is None


def test_the_error_of_rjce_is_that_of_its_colour():
    known = {"h_mag": 10.0, "e_h_mag": 0.03, "wise_4_5": 9.0}

    assert found(**known, e_wise_4_5=0.04)[1] == pytest.approx(2.61 * 0.05)
    assert found(**known, e_wise_4_5=None)[1] is None
    assert found(**known | {"e_h_mag": None}, e_wise_4_5=0.04)[1] is None


def test_a_published_error_counts_before_one_that_follows():
    star = found(h_mag=10.0, e_h_mag=0.03, e_w2_mag=0.04, ebv_rjce_allwise=0.5, e_ebv_rjce_allwise=0.2)

    assert star[1] == 0.2


def test_rjce_equals_what_the_survey_publishes(real_table):
    table = fits.getdata(real_table, 1)
    numbers = (np.asarray(table[name], float) for name in ("H", "WISE_4_5", "IRAC_4_5", "AK_TARG", "AK_WISE"))
    h_mag, wise, irac, a_k, ak_wise = (np.where(np.abs(column) < 90, column, np.nan) for column in numbers)
    by_irac = np.char.strip(table["AK_TARG_METHOD"]) == "RJCE_IRAC"

    for name, magnitude, published in (
        ("wise_4_5", wise, ak_wise),
        ("irac_4_5", irac, np.where(by_irac, a_k, np.nan)),
    ):
        ebv = reddening({"h_mag": h_mag, name: magnitude}, {name: name}, Rule("rjce"))["ebv"]
        computed = 0.918 / 2.61 * np.array(ebv, float)
        both = np.isfinite(computed + published)
        assert both.sum() > (3200 if name == "wise_4_5" else 90)
        np.testing.assert_allclose(computed[both], published[both], atol=2e-7)


def test_rjce_equals_a_published_header(shared):
    folder = shared / "data" / "apstar_dr17"
    if not folder.exists():
        pytest.skip(f"needs {folder}")
    path = folder / "apStar-dr17-2M19485057+5005279.fits"
    # 10.58399963 - 10.49899960 - 0.05, and A_K 0.03213003 of the header.
    by_survey = read_record(path).star

    star = read_record(path, extinction=Rule("rjce")).star

    assert by_survey["ebv"] == pytest.approx(0.03213003 / 0.3517, rel=1e-6)
    assert star["ebv"] == by_survey["ebv"]
    assert 2.61 * (10.58399963 - 10.49899960 - 0.05) == pytest.approx(star["ebv"], rel=1e-4)


# > Upper limits


@pytest.mark.parametrize(
    ("values", "is_limit"),
    [
        ({"wise_4_5": 6.99}, True),
        ({"wise_4_5": 7.01}, False),
        ({"w2_mag": 6.99}, True),
        ({"irac_4_5": 6.49}, True),
        ({"irac_4_5": 6.51}, False),
        ({"mag4_5": 6.49}, True),
        # The magnitude follows from H and the published value: 7.1 - 0.25 / 2.61 - 0.08.
        ({"ebv_rjce_allwise": 0.25}, True),
        ({"ak_wise": 0.0}, False),
        ({"wise_4_5": 7.01, "b": 31.0, "sfd_ebv": 0.01}, True),
        ({"wise_4_5": 7.01, "b": -29.0, "sfd_ebv": 0.01}, False),
        ({"wise_4_5": 7.01, "b": 31.0, "sfd_ebv": None}, False),
        ({"wise_4_5": 7.01, "b": 31.0, "ebv_sfd": 0.5}, False),
    ],
)
def test_rjce_is_an_upper_limit_if_saturated_or_more_than_all_the_dust(values, is_limit):
    flags = found(Rule("rjce"), h_mag=7.1, **values)[2]

    assert bool(flags & LIMIT) == is_limit


@pytest.mark.parametrize(
    ("place", "is_limit"),
    [
        ({"b": 30.1}, False),
        ({"b": -30.1}, False),
        ({"b": 30.0}, True),
        ({"b": 0.0}, True),
        ({"b": None}, True),
        ({}, True),
        # The north pole of the Galaxy, and its centre.
        ({"ra": 192.859, "dec": 27.128}, False),
        ({"ra": 266.405, "dec": -28.936, "b": None}, True),
        ({"ra": 266.405, "dec": -28.936, "b": 45.0}, False),
    ],
)
def test_sfd_is_fair_out_of_the_plane_and_else_an_upper_limit(place, is_limit):
    flags = SFD | LIMIT if is_limit else SFD

    assert_is(found(sfd_ebv=0.5, **place), 0.442, flags, "0.884 SFD_EBV", math.hypot(0.01, 0.05))
    assert_is(found(ebv_sfd=0.442, **place), 0.442, flags, "ebv_sfd", math.hypot(0.01, 0.05))
    assert found(ebv_sfd=0.442, e_ebv_sfd=0.3, **place)[1] == 0.3


SATURATED = {"h_mag": 6.0, "wise_4_5": 4.0}


def test_an_upper_limit_counts_only_where_nothing_better_is_known():
    fair, lower = found(**SATURATED, sfd_ebv=0.03, b=60.0), found(**SATURATED, sfd_ebv=0.03, b=3.0)

    assert_is(fair, 0.884 * 0.03, SFD, "0.884 SFD_EBV", math.hypot(0.01, 0.003))
    assert_is(lower, 0.884 * 0.03, SFD | LIMIT, "0.884 SFD_EBV", math.hypot(0.01, 0.003))
    assert_is(found(**SATURATED, sfd_ebv=9.0, b=3.0), 2.61 * 1.95, ALLWISE | LIMIT, "RJCE (H, WISE_4_5)")
    assert_is(found(**SATURATED, sfd_ebv=None, b=60.0), 2.61 * 1.95, ALLWISE | LIMIT, "RJCE (H, WISE_4_5)")


def test_what_the_survey_states_counts_even_as_an_upper_limit():
    star = found(ebv=0.9, e_ebv=0.1, ebv_flags=SFD | LIMIT, ebv_rjce_allwise=0.5, h_mag=12.0)

    assert_is(star, 0.9, SFD | LIMIT, "ebv_sfd", 0.1)


# > Rules


def test_the_values_of_the_survey_come_first():
    everything = {"ebv_rjce_allwise": 0.5, "sfd_ebv": 0.4, "b": 50.0}

    assert_is(found(ebv=0.2, ebv_flags=ZHANG, **everything), 0.2, ZHANG, "ebv_zhang_2023")
    assert_is(found(ebv=0.2, ebv_origin="mine", **everything), 0.2, None, "mine")
    assert_is(found(ebv=None, a_k=0.3517, **everything), 1.0, 0, "AK_TARG")
    assert_is(
        found(ebv=None, a_k=-0.01, a_k_method="RJCE_IRAC"), -0.01 / 0.3517, GLIMPSE, "AK_TARG (RJCE_IRAC)"
    )


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("RJCE_IRAC", 2.61 * 0.05),
        ("RJCE_WISE_PARTSKY", 2.61 * 0.13),
        ("SFD", math.hypot(0.01, 0.1 * 0.302 / 0.302)),
        ("none", None),
    ],
)
def test_the_error_of_ak_targ_follows_from_its_method(method, error):
    errors = {"e_h_mag": 0.03, "e_irac_4_5": 0.04, "e_wise_4_5": math.sqrt(0.13**2 - 0.03**2)}

    assert found(a_k=0.302, a_k_method=method, **errors)[1] == (error and pytest.approx(error))


def test_the_error_of_the_magnitude_that_was_taken_counts():
    star = found(a_k=0.3, a_k_method="RJCE_WISE_OPS", e_h_mag=0.03, e_targ_4_5=0.04, e_wise_4_5=0.1)

    assert star[1] == pytest.approx(2.61 * 0.05)


STAR = {"a_k": 0.3517, "a_k_method": "SFD", "h_mag": 10.0, "wise_4_5": 9.0, "sfd_ebv": 0.5, "b": 10.0}


@pytest.mark.parametrize(
    ("rule", "ebv", "flags", "origin", "error"),
    [
        ("auto", 1.0, SFD, "AK_TARG (SFD)", math.hypot(0.01, 0.1 * 0.3517 / 0.302)),
        ("ak_targ", 1.0, SFD, "AK_TARG (SFD)", None),
        ("ak_targ_sfd", 1.0, SFD, "AK_TARG (SFD)", None),
        ("rjce", 2.61 * 0.95, ALLWISE, "RJCE (H, WISE_4_5)", None),
        ("sfd", 0.442, SFD | LIMIT, "0.884 SFD_EBV", math.hypot(0.01, 0.05)),
    ],
)
def test_each_rule_takes_its_own(rule, ebv, flags, origin, error):
    assert_is(found(Rule(rule), **STAR), ebv, flags, origin, error)


def test_the_old_rule_takes_sfd_as_it_is():
    assert_is(found(Rule("ak_targ_sfd"), **STAR | {"a_k": None}), 0.5, SFD, "SFD_EBV")


@pytest.mark.parametrize("rule", ["ak_targ", "rjce", "sfd", "ak_targ_sfd"])
def test_the_ebv_of_a_catalogue_counts_if_it_has_nothing_for_the_rule(rule):
    assert found(Rule(rule), is_catalog=True, ebv=0.7)[0] == 0.7
    assert found(Rule(rule), ebv=0.7)[0] is None


def test_a_catalogue_with_columns_for_the_rule_gives_those():
    stars = {"ebv": 0.7, "ebv_rjce_allwise": 0.5, "ebv_sfd": 0.4}

    assert found(Rule("rjce"), is_catalog=True, **stars)[0] == 0.5
    assert found(Rule("sfd"), is_catalog=True, **stars)[0] == 0.4
    assert found(Rule("ak_targ"), is_catalog=True, **stars)[0] == 0.7


def test_a_table_without_extinction_gives_no_column():
    assert reddening({"h_mag": [10.0]}, {"h_mag": "H"}, AUTO) == {}
    assert reddening({"e_ebv": [0.1]}, {"e_ebv": "e_ebv"}, AUTO) == {}
    assert reddening({}, {}, AUTO) == {}


def test_an_unknown_rule_is_refused():
    with pytest.raises(UsageError, match="unknown extinction: 'best'; it is one of auto, ak_targ, rjce"):
        rule_of("best")


MAGNITUDE, DUST = st.none() | st.floats(-0.9, 15), st.none() | st.floats(-0.9, 20)
COLUMNS = {
    **dict.fromkeys(("h_mag", "wise_4_5", "irac_4_5", "w2_mag", "mag4_5"), MAGNITUDE),
    **dict.fromkeys(("ebv", "a_k", "ak_wise", "sfd_ebv", "ebv_sfd", "ebv_rjce_glimpse"), DUST),
    "a_k_method": st.sampled_from(["none", "RJCE_IRAC", "RJCE_WISE_OPS", "SFD", None]),
    "b": st.none() | st.floats(-90, 90),
}


STARS = st.sets(st.sampled_from(sorted(COLUMNS)), min_size=1).flatmap(
    lambda names: st.lists(
        st.fixed_dictionaries({name: COLUMNS[name] for name in names}), min_size=1, max_size=4
    )
)


@settings(max_examples=40)
@given(STARS, st.sampled_from(["auto", "ak_targ", "rjce", "sfd", "ak_targ_sfd"]))
def test_any_columns_give_each_star_what_they_give_it_alone(stars, rule):
    values = {name: [star[name] for star in stars] for name in stars[0]}

    columns = reddening(values, {name: name for name in values}, Rule(rule))

    for row, star in enumerate(stars):
        alone = found(Rule(rule), **star)
        together = [columns[name][row] if name in columns else None for name in ("ebv", "e_ebv", "ebv_flags")]
        assert together == list(alone[:3])
        ebv, error, flags, origin = alone
        assert ebv is None or -1 < ebv < 98
        assert error is None or error > 0
        assert ebv is not None or (error, flags, origin) == (None, None, None)
        # A value is a limit only if no other source has one that is not.
        if rule == "auto" and flags and flags & LIMIT:
            assert (star.get("ebv"), star.get("a_k")) == (None, None)


# > In the database

OBJECTS = ["2M00000001+0000001", "2M00000002+0000002", "2M00000003+0000003"]
DR17 = {"TELESCOPE": "apo25m", "FIELD": "M67", "COMMISS": 0, "SNR": 90.0, "GLAT": 1.0, "GLON": 10.0}


def _row(obj, **values):
    return DR17 | {"FILE": f"apStar-dr17-{obj}.fits", "APOGEE_ID": obj} | values


@pytest.fixture
def planar(table):
    """Three stars of the plane: one of RJCE, one of SFD by the targeting, one of SFD alone (15 mag)."""
    unknown = {"AK_TARG": -9999.99, "AK_TARG_METHOD": "none", "SFD_EBV": 15.0, "H_ERR": 0.02}
    rjce = unknown | {"AK_TARG": 0.7, "AK_TARG_METHOD": "RJCE_WISE", "TARG_4_5_ERR": 0.02}
    by_sfd = unknown | {"AK_TARG": 0.0906, "AK_TARG_METHOD": "SFD", "TARG_4_5_ERR": -9999.99}
    rows = [rjce, by_sfd, unknown | {"TARG_4_5_ERR": -9999.99}]
    return table("allStar.fits", [_row(obj, **row) for obj, row in zip(OBJECTS, rows, strict=True)])


def _stars():
    columns = (Source.sdss4_apogee_id, Source.ebv, Source.e_ebv, Source.ebv_flags, Source.ebv_origin)
    return {obj: rest for obj, *rest in Source.select(*columns).tuples()}


def _changed(before, after):
    """The names of the stars that were modified."""
    pks = {pk for pk, time in after[0].items() if time != before[0][pk]}
    return {star.sdss4_apogee_id for star in Source.select().where(Source.pk << pks)} if pks else set()


@pytest.mark.parametrize("rule", ["ak_targ", "rjce"])
def test_one_command_withdraws_what_came_from_sfd_and_modifies_no_other_star(
    db, planar, made_old, modified, rule
):
    ingest_allstar(planar, extinction="ak_targ_sfd" if rule == "ak_targ" else "auto")
    assert _stars()[OBJECTS[2]][0] in (15.0, pytest.approx(13.26))
    made_old()
    before, stars = modified(), _stars()

    counts = ingest_allstar(planar, extinction=rule)

    assert _stars()[OBJECTS[2]] == [pytest.approx(math.nan, nan_ok=True)] * 2 + [0, None]
    lost = {"ak_targ": OBJECTS[2:], "rjce": OBJECTS[1:]}[rule]
    assert _changed(before, modified()) == set(lost)
    assert (counts.sources_updated, counts.sources_unchanged) == (len(lost), 3 - len(lost))
    assert _stars()[OBJECTS[0]] == pytest.approx(stars[OBJECTS[0]], nan_ok=True)


def test_a_value_whose_origin_was_kept_in_the_first_form_is_withdrawn_too(db, planar, made_old, modified):
    ingest_allstar(planar, extinction="ak_targ_sfd")
    for star in Source.select():
        origin = next(iter(json.loads(star.origins)))
        Source.update(origins=json.dumps({"*": origin})).where(Source.pk == star.pk).execute()
    made_old()
    before = modified()

    ingest_allstar(planar, extinction="ak_targ")

    assert math.isnan(_stars()[OBJECTS[2]][0])
    assert _changed(before, modified()) == {OBJECTS[2]}


def test_a_header_withdraws_its_value_from_sfd_and_no_other(db, apstar, the_source, made_old):
    path = apstar("apStar-dr17-X.fits", SFD_EBV=15.0, GLAT=0.5)
    ingest_apstar([path], extinction="ak_targ_sfd")
    assert the_source().ebv == 15.0

    ingest_apstar([path], extinction="ak_targ")

    assert math.isnan(the_source().ebv)
    assert (the_source().ebv_flags, the_source().ebv_origin) == (0, None)
    assert the_source().k_mag == 10.0


def test_what_came_from_a_catalogue_is_not_withdrawn_by_a_header(db, apstar, table, the_source):
    path = apstar("apStar-dr17-X.fits", SFD_EBV=15.0)
    ingest_apstar([path], catalog=table("mine.csv", [{"apogee_id": "2M06154934-0100415", "ebv": 0.3}]))

    ingest_apstar([path], extinction="rjce")

    assert the_source().ebv == 0.3


def test_the_next_ingest_gives_the_values_of_the_new_rule(db, planar, caplog):
    ingest_allstar(planar, extinction="ak_targ_sfd")

    ingest_allstar(planar)

    stars = _stars()
    assert stars[OBJECTS[0]] == [
        pytest.approx(0.7 / 0.3517),
        pytest.approx(2.61 * math.hypot(0.02, 0.02)),
        ALLWISE,
        "AK_TARG (RJCE_WISE)",
    ]
    assert stars[OBJECTS[2]] == [
        pytest.approx(13.26),
        pytest.approx(math.hypot(0.01, 1.5)),
        SFD | LIMIT,
        "0.884 SFD_EBV",
    ]
    assert "E(B-V) is an upper limit in 1 of 3 sources (bit 0 of ebv_flags)" in caplog.text


def test_a_star_is_told_once_and_only_if_its_limit_is_kept(db, apstar, table, caplog):
    paths = [apstar(f"{folder}/apStar-dr17-X{folder}.fits", SFD_EBV=15.0, GLAT=0.5) for folder in "ab"]
    mine = table("mine.csv", [{"apogee_id": "2M06154934-0100415", "ebv": 0.3}])

    ingest_apstar(paths, catalog=mine)
    assert "upper limit" not in caplog.text

    mine.unlink()
    Source.update(ebv=None, ebv_flags=0, origins=None).execute()
    ingest_apstar(paths)
    assert "an upper limit in 1 of 1 sources" in caplog.text


#: Rows as SDSS-V publishes them; RJCE there is 2.61 (H - [4.5] - 0.08).
MWM = [
    {"sdss_id": 1, "ebv": 0.12, "e_ebv": 0.02, "ebv_flags": ZHANG, "b": 5.0, "ebv_sfd": 0.5},
    {"sdss_id": 2, "ebv": 0.5, "e_ebv": 0.05, "ebv_flags": SFD | LIMIT, "b": 5.0, "ebv_sfd": 0.5},
    {"sdss_id": 3, "ebv": 0.031, "e_ebv": 0.01, "ebv_flags": SFD, "b": 50.0, "ebv_sfd": 0.031},
    {"sdss_id": 4, "ebv": np.nan, "e_ebv": np.nan, "ebv_flags": 0, "b": 5.0, "ebv_sfd": 0.5},
]


def _file(apstar, sdss_id):
    return apstar(f"apStar-1.3-apo25m-X{sdss_id}.fits", SDSSID=sdss_id, OBJID=f"X{sdss_id}")


def test_a_summary_table_of_sdss_5_is_a_catalogue_like_any_other(db, apstar, table):
    h_mag, w2_mag = np.float32(10.107), np.float32(9.8310676)
    rjce = np.float32(2.61 * (10.107 - 9.8310676 - 0.08))
    more = {"h_mag": h_mag, "w2_mag": w2_mag, "ebv_rjce_allwise": rjce, "e_ebv_rjce_allwise": 0.07}
    path = table("mwmAllStar.fits", [row | more | {"l": 10.0} for row in MWM])
    files = [_file(apstar, row["sdss_id"]) for row in MWM]

    ingest_apstar(files, catalog=path, release="sdss5")

    columns = (Source.sdss_id, Source.ebv, Source.e_ebv, Source.ebv_flags, Source.ebv_origin)
    stars = {sdss_id: rest for sdss_id, *rest in Source.select(*columns).tuples()}
    assert stars == {
        1: [0.12, 0.02, ZHANG, "ebv_zhang_2023"],
        2: [0.5, 0.05, SFD | LIMIT, "ebv_sfd"],
        3: [0.031, 0.01, SFD, "ebv_sfd"],
        4: [pytest.approx(float(rjce), rel=1e-6), 0.07, ALLWISE, "ebv_rjce_allwise"],
    }
    computed = found(Rule("rjce"), h_mag=10.107, w2_mag=9.8310676)[0]
    assert computed == pytest.approx(float(rjce), rel=1e-6)
