"""Clean in the view: good, without a reason against it, and with a STARFLAG that leaves one star."""

import pytest
from builders import a_result, a_source, a_spectrum
from hypothesis import given
from hypothesis import strategies as st

from astra.models import AstroNNdist, Distance
from astra.models.apogee import ApogeeSpectrum
from astra.models.astronn_dist import not_clean_starflags
from astra.models.explain import explain


@pytest.mark.parametrize(
    ("bits", "clean"),
    [
        ({"not_clean": 0, "not_checked": 0}, True),
        ({"not_clean": 0, "not_checked": 2**8}, True),
        ({"not_clean": 2**7, "not_checked": 0}, False),
        ({"not_clean": 0, "not_checked": 0, "flag_missing_extinction": True}, True),
        ({"not_clean": 0, "not_checked": 0, "flag_fakemag_unreliable": True}, False),
        ({}, False),
    ],
    ids=str,
)
def test_clean_is_good_without_a_reason_and_never_true_where_nobody_looked(db, bits, clean):
    row = a_result(a_spectrum(a_source()), **bits)

    seen = Distance.get()

    assert seen.clean is clean
    assert Distance.select().where(Distance.clean).count() == clean
    assert (seen.not_clean, seen.not_checked) == (row.not_clean, row.not_checked)


@pytest.mark.parametrize(("not_checked", "checked"), [(None, False), (0, True), (2**7, False), (2**8, True)])
def test_gaia_is_checked_where_its_criterion_could_look(db, not_checked, checked):
    a_result(a_spectrum(a_source()), not_clean=0, not_checked=not_checked)

    assert Distance.get().gaia_checked is checked


@pytest.mark.parametrize(
    ("release", "unfit"),
    [
        ("dr12", {1, 12, 13, 18}),
        ("dr16", {1, 12, 13, 18}),
        ("dr17", {1, 12, 13, 21, 22}),
        ("sdss5", {1, 12, 13, 21, 22}),
    ],
)
def test_the_bits_of_starflag_that_count_are_those_of_the_release(db, release, unfit):
    for bit in range(26):
        a_result(a_spectrum(a_source(), spectrum_flags=2**bit, release=release), not_clean=0, not_checked=0)

    rows = Distance.select()

    assert {row.spectrum_flags.bit_length() - 1 for row in rows if row.good and not row.clean} == unfit
    assert not_clean_starflags(release) == sum(2**bit for bit in unfit)


def test_broad_lines_are_no_reason_in_any_release():
    assert not_clean_starflags() & ApogeeSpectrum.flag_suspect_broad_lines.value == 0


@given(st.sets(st.sampled_from(["gaia", "coverage", "k_mag"])))
def test_reasons_are_flags_of_their_column_alone(names):
    row = AstroNNdist(not_clean=0, **{f"flag_not_clean_{name}": True for name in names})

    assert (row.not_clean != 0, row.result_flags, row.not_checked) == (bool(names), 0, None)
    assert not any("not_clean" in name for name in AstroNNdist.flag_names())


def test_explain_says_why_a_star_is_not_clean():
    reasons, unchecked = (explain(["128"], kind).lines()[-1] for kind in ("not_clean", "not_checked"))
    starflag = explain(["multiple_suspect", "suspect_broad_lines"], "spectrum_flags").lines()

    assert reasons.startswith("bit  7  flag_not_clean_gaia [not clean]: Spectrum and Gaia disagree")
    assert unchecked.startswith("bit  7  flag_not_checked_gaia: No parallax")
    assert ["[not clean]" in line for line in starflag[1:]] == [False, True]
