"""The strongest origin wins per value, in whatever order they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.ingest.precedence import (
    LABELS,
    absorb,
    decode,
    encode,
    joined,
    merge,
    origin_of,
    origin_of_catalog,
    strength,
)

CATALOG = origin_of_catalog("folder/targets.csv")

DR12 = "apstar/dr12/r5/apo25m/n6819/X/ap/s"
DR14 = "apstar/dr14/r8/apo25m/n6819/X/ap/s"
COMMISSIONING = "apstar/dr14/r8/apo25m/n6819/X/ap/c"
WEAK_TO_STRONG = [
    None,
    "apstar/mine/r5/apo25m/n6819/X/ap/s",
    "apstar/dr9/r5/apo25m/n6819/X/ap/s",
    DR12,
    COMMISSIONING,
    COMMISSIONING + "#allstar",
    DR14,
    origin_of(DR14, table="allStar"),
    origin_of(DR14, table="mwmAllStar"),
    origin_of(DR14, table="astra"),
    "apstar/dr19/1.9/apo25m/7/X/ap/s",
    "apstar/dr19/1.10/apo25m/7/X/ap/s",
    "apstar/sdss5/1.3/apo25m/7/X/ap/s",
    CATALOG,
]


def _merged(*steps):
    values, origins = {}, {}
    for new, origin in steps:
        merge(values, origins, new, origin)
    return values, origins


def test_origins_are_ordered_by_release_kind_and_reduction():
    assert sorted(set(WEAK_TO_STRONG), key=strength) == WEAK_TO_STRONG


def test_every_value_is_decided_on_its_own():
    values, _ = _merged(({"k_mag": 9.0, "h_mag": 9.5}, DR14), ({"k_mag": 1.0, "j_mag": 1.5}, DR12))

    assert values == {"k_mag": 9.0, "h_mag": 9.5, "j_mag": 1.5}


@pytest.mark.parametrize(
    "other", [DR14, origin_of(DR12, table="allStar"), origin_of_catalog("other.csv"), None]
)
def test_an_absent_value_of_another_origin_never_erases(other):
    values, _ = _merged(({"k_mag": 9.0}, DR12), ({"k_mag": None}, other))

    assert values["k_mag"] == 9.0


@pytest.mark.parametrize("origin", [DR12, origin_of(DR12, table="allStar"), CATALOG])
def test_a_value_that_its_own_origin_no_longer_has_is_withdrawn_with_its_labels(origin):
    first = {"ebv": 15.0, "e_ebv": 1.5, "ebv_flags": 8, "ebv_origin": "SFD_EBV", "k_mag": 9.0}

    values, origins = _merged((first, origin), ({"ebv": None, "ebv_flags": None}, origin))

    assert _present(values) == {"k_mag": 9.0}
    assert origins == {"k_mag": origin}


def test_a_value_stays_whose_origin_is_unknown_or_whose_column_is_no_longer_read():
    by_hand, _ = _merged(({"k_mag": 9.0}, None), ({"k_mag": None}, None))
    values, _ = _merged(({"k_mag": 9.0}, CATALOG), ({"h_mag": 9.5}, CATALOG))

    assert by_hand == {"k_mag": 9.0}
    assert values == {"k_mag": 9.0, "h_mag": 9.5}


def test_a_middle_release_replaces_an_older_one_though_a_newer_one_came_first_and_said_nothing():
    values, _ = _merged(({"h_mag": 1.0}, DR14), ({"k_mag": 1.0}, DR12), ({"k_mag": 2.0}, COMMISSIONING))

    assert values["k_mag"] == 2.0


def test_the_same_origin_may_correct_itself():
    values, _ = _merged(({"k_mag": 9.0}, CATALOG), ({"k_mag": 9.1}, CATALOG), ({"k_mag": 5.0}, DR14))

    assert values["k_mag"] == 9.1


def test_a_label_goes_with_its_value():
    values, origins = _merged(
        ({"ebv": 0.3, "ebv_flags": 8, "ebv_origin": "SFD_EBV"}, DR14), ({"ebv": 0.1}, CATALOG)
    )

    assert values["ebv"] == 0.1
    assert values["ebv_flags"] is values["ebv_origin"] is None
    assert origins == {"ebv": CATALOG}


def test_the_error_of_a_parallax_is_not_that_of_another_one():
    values, _ = _merged(({"plx": 64.0, "e_plx": 0.3, "gaia_release": "dr3"}, DR14), ({"plx": 10.0}, CATALOG))

    assert _present(values) == {"plx": 10.0}


@pytest.mark.parametrize("given", [{"ebv": 0.1, "e_ebv": None}, {"ebv": 0.1}])
def test_a_label_that_the_origin_of_its_value_no_longer_has_is_withdrawn(given):
    values, origins = _merged(({"ebv": 0.1, "e_ebv": 0.05}, CATALOG), (given, CATALOG))

    assert (values["ebv"], values["e_ebv"], origins) == (0.1, None, {"ebv": CATALOG})


def test_a_label_that_was_written_by_hand_stays_while_its_value_does():
    values, origins = {"ebv": 0.1, "e_ebv": 0.05}, {"ebv": CATALOG}

    merge(values, origins, {"ebv": 0.1, "e_ebv": None}, CATALOG)
    assert values["e_ebv"] == 0.05
    merge(values, origins, {"ebv": 0.2, "e_ebv": None}, CATALOG)
    assert values["e_ebv"] is None


def test_of_two_rows_the_first_value_counts_with_its_own_labels():
    first, second = {"ebv": 0.1, "e_ebv": None, "k_mag": None}, {"ebv": 0.3, "e_ebv": 0.05, "k_mag": 9.0}

    assert joined(first, second) == {"ebv": 0.1, "e_ebv": None, "k_mag": 9.0}
    assert joined(first | {"ebv": None}, second) == second
    assert joined({}, second) == second


def test_the_label_of_a_weaker_value_is_not_taken():
    values, _ = _merged(({"plx": 1.0}, DR14), ({"plx": 2.0, "gaia_release": "dr2"}, DR12))

    assert values.get("gaia_release") is None


def test_a_label_stands_alone_until_its_value_comes():
    values, _ = _merged(
        ({"gaia_release": "dr2", "g_mag": 9.0}, DR12), ({"plx": 1.0, "gaia_release": "edr3"}, DR14)
    )

    assert values["gaia_release"] == "edr3"


@pytest.mark.parametrize("origins", [{}, {"ra": DR12}, {"ra": DR12, "dec": DR12, "k_mag": CATALOG}])
def test_origins_survive_being_written(origins):
    assert decode(encode(origins), dict.fromkeys(origins, 1.0)) == origins


def test_the_text_lists_the_names_of_each_origin():
    assert encode({"ra": DR12, "dec": DR12, "k_mag": CATALOG}) == (
        f'{{"{DR12}":"dec ra","{CATALOG}":"k_mag"}}'
    )


def test_a_value_that_nobody_named_has_no_origin():
    assert decode(encode({"ra": DR12}), {"ra": 1.0, "plx": 2.0, "k_mag": None}) == {"ra": DR12}


def test_of_a_text_that_names_the_most_frequent_origin_once_only_what_is_sure_is_withdrawn():
    values = {"ra": 1.0, "plx": 2.0, "ebv": 15.0, "ebv_origin": "SFD_EBV", "k_mag": 9.0}
    origins = decode(f'{{"*":"{DR12}","k_mag":"{DR14}"}}', values)

    assert strength(origins["ra"]) == strength(DR12)
    merge(values, origins, {"ra": 1.0, "plx": None, "ebv": None}, DR12)
    assert _present(values) == {"ra": 1.0, "plx": 2.0, "k_mag": 9.0}
    assert origins["ra"] == DR12


# > The order does not matter

_NAMES = ("k_mag", "h_mag", "ebv", "ebv_flags", "ebv_origin", "plx", "gaia_release", "g_mag")
_STEPS = st.dictionaries(
    st.sampled_from([origin for origin in WEAK_TO_STRONG if origin]),
    st.dictionaries(st.sampled_from(_NAMES), st.integers(1, 9) | st.none()),
    max_size=6,
)


def _present(values):
    return {name: value for name, value in values.items() if value is not None}


@given(_STEPS, st.randoms(use_true_random=False))
def test_the_outcome_does_not_depend_on_the_order(steps, random):
    items = [(new, origin) for origin, new in steps.items()]
    shuffled = random.sample(items, len(items))

    values, origins = _merged(*items)
    others, other_origins = _merged(*shuffled)

    assert _present(values) == _present(others)
    assert origins == other_origins


@given(_STEPS)
def test_repeating_changes_nothing(steps):
    items = [(new, origin) for origin, new in steps.items()]

    assert _merged(*items) == _merged(*items, *items)


@given(_STEPS, _STEPS)
def test_two_sources_that_become_one_hold_what_one_would_have_held(first, second):
    second = {origin: new for origin, new in second.items() if origin not in first}
    values, origins = _merged(*((new, origin) for origin, new in first.items()))
    others, other_origins = _merged(*((new, origin) for origin, new in second.items()))

    absorb(values, origins, others, other_origins)

    expected, expected_origins = _merged(*((new, origin) for origin, new in (first | second).items()))
    assert _present(values) == _present(expected)
    assert origins == expected_origins


@given(_STEPS)
def test_a_label_and_its_value_have_one_origin(steps):
    _, origins = _merged(*((new, origin) for origin, new in steps.items()))

    for label, about in LABELS.items():
        assert label not in origins or about not in origins or origins[label] == origins[about]


def test_a_label_of_a_catalogue_goes_with_the_value_that_another_one_replaces():
    first = {"ebv": 0.1, "ebv_flags": 32, "ebv_origin": "RJCE"}
    values, _ = _merged((first, CATALOG), ({"ebv": 0.4}, CATALOG))

    assert _present(values) == {"ebv": 0.4}
