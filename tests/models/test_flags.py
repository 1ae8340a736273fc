"""Flags mean the same on an instance, in a query, and in the SQL of the view."""

import math

import pytest
from builders import a_result, a_source, a_spectrum
from hypothesis import given
from hypothesis import strategies as st

from astra.database.connection import now
from astra.models import AstroNNdist, Distance, FlaggedOutputModel
from astra.models.base import BaseModel
from astra.models.fields import BitField, flags_of

BITS = {
    "flag_fakemag_unreliable": 0,
    "flag_missing_photometry": 1,
    "flag_missing_extinction": 2,
    "flag_no_result": 11,
}
SPECIFIED_BAD = ("flag_fakemag_unreliable", "flag_missing_photometry", "flag_no_result")


@pytest.mark.parametrize(("name", "bit"), BITS.items())
def test_the_bits_are_those_of_the_specification(name, bit):
    row = AstroNNdist(**{name: True})

    assert row.result_flags == 2**bit


@given(st.sets(st.sampled_from(sorted(BITS))))
def test_bad_and_warn_follow_from_the_flags(names):
    row = AstroNNdist(**dict.fromkeys(names, True))

    assert row.flag_bad == any(name in names for name in SPECIFIED_BAD)
    assert row.flag_warn == ("flag_missing_extinction" in names)


@pytest.mark.parametrize("bits", range(16))
def test_queries_and_the_view_agree_with_python(db, bits):
    names = [name for position, name in enumerate(BITS) if bits & 2**position]
    row = a_result(a_spectrum(a_source()), **dict.fromkeys(names, True))
    seen = Distance.get()

    for name in (*BITS, "flag_bad", "flag_warn"):
        expected = getattr(row, name)
        assert AstroNNdist.select().where(getattr(AstroNNdist, name)).exists() == expected
        assert AstroNNdist.select().where(~getattr(AstroNNdist, name)).exists() != expected
        assert getattr(seen, name) is expected
        (count,) = db.execute_sql(f"SELECT COUNT(*) FROM distances WHERE {name}").fetchone()
        assert bool(count) == expected


@pytest.mark.parametrize(
    ("starflag", "good"), [(0, True), (1, False), (2, True), (8, False), (16, False), (32, True)]
)
def test_good_also_asks_for_a_spectrum_without_serious_starflags(db, starflag, good):
    a_result(a_spectrum(a_source(), spectrum_flags=starflag))

    assert Distance.get().good is good


def test_good_refuses_what_is_flagged_bad(db):
    a_result(a_spectrum(a_source()), flag_missing_photometry=True)

    assert Distance.get().good is False


def test_the_view_gives_the_absolute_magnitude_and_its_error(db):
    a_result(a_spectrum(a_source()), L_fakemag=20.0, e_L_fakemag=1.0)

    seen = Distance.get()

    assert seen.m_ks_abs == pytest.approx(5 * math.log10(20.0) - 10)
    assert seen.e_m_ks_abs == pytest.approx(5 / math.log(10) / 20.0)


def test_the_view_keeps_stars_without_a_luminosity(db):
    a_result(a_spectrum(), L_fakemag=math.nan, e_L_fakemag=math.nan, flag_no_result=True)

    seen = Distance.get()

    assert seen.flag_no_result
    assert math.isnan(seen.m_ks_abs)


def test_the_primary_spectrum_of_a_star_is_the_one_with_the_best_snr(db):
    source = a_source()
    spectra = [a_spectrum(source, snr=snr) for snr in (50.0, 120.0, 120.0, math.nan)]
    for spectrum in spectra:
        a_result(spectrum)
    a_result(a_spectrum(None, snr=math.nan))

    primary = [row.spectrum_pk for row in Distance.select().where(Distance.primary_spectrum)]

    assert sorted(primary)[0] == spectra[1].spectrum_pk
    assert len(primary) == 2


def test_a_better_spectrum_without_a_result_hides_no_star(db):
    source = a_source()
    missing, failed, good = (a_spectrum(source, snr=snr) for snr in (300.0, 200.0, 100.0))
    a_result(failed, flag_no_result=True)
    a_result(good)

    primary = [row.spectrum_pk for row in Distance.select().where(Distance.primary_spectrum)]

    assert primary == [good.spectrum_pk]
    assert missing.spectrum_pk not in [row.spectrum_pk for row in Distance.select()]


def test_the_view_shows_the_newest_result_of_a_spectrum_alone(db):
    spectrum = a_spectrum(a_source())
    a_result(spectrum, dist=1.0)
    a_result(spectrum, dist=2.0, v_astra=99_000_000)

    assert [row.dist for row in Distance.select()] == [2.0]


def test_a_flag_without_a_value_takes_the_next_free_bit():
    class Toy(BaseModel):
        flags = BitField()
        flag_first = flags.flag()
        flag_second = flags.flag(help_text="The second")
        flag_named = flags.flag(2**5)
        flag_after = flags.flag()

    assert [flag.bit for flag in flags_of(Toy).values()] == [0, 1, 5, 6]
    assert Toy.flag_second.help_text == "The second"
    assert Toy(flag_second=True, flag_after=True).flags == 2**1 | 2**6


# > Flags of other packages


class WeakOrStrong(FlaggedOutputModel):
    """Results with one flag of their own beside the inherited one."""

    flag_weak = FlaggedOutputModel.result_flags.flag(2**3, "The signal is below 3 sigma")
    WARN = 2**3


@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("no_result", [False, True])
def test_inherited_flags_and_those_beside_them_are_bits_of_the_models_own_table(db, weak, no_result):
    db.create_tables([WeakOrStrong])
    spectrum = a_spectrum(a_source())
    a_result(spectrum, flag_no_result=not no_result)
    row = WeakOrStrong.from_spectrum(spectrum, flag_weak=weak, flag_no_result=no_result)
    row.created = row.modified = now(db)
    row.save()

    read = WeakOrStrong.get()

    assert read.result_flags == 2**3 * weak + 2**11 * no_result
    assert (read.flag_weak, read.flag_no_result) == (weak, no_result)
    assert (read.flag_warn, read.flag_bad) == (weak, no_result)
    for name in ("flag_weak", "flag_no_result", "flag_warn", "flag_bad"):
        assert WeakOrStrong.select().where(getattr(WeakOrStrong, name)).exists() == getattr(read, name)
    assert list(flags_of(WeakOrStrong)) == ["flag_weak", "flag_no_result"]


def test_a_flag_is_true_or_false():
    with pytest.raises(ValueError, match="True or False"):
        WeakOrStrong(flag_weak="yes")
