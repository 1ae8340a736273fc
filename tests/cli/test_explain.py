"""``astra explain``: flags in words."""

import json

import guests
import pytest
from builders import a_result, a_source, a_spectrum
from hypothesis import given
from hypothesis import strategies as st

from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Distance, Source
from astra.models.explain import explain, known_flags


@pytest.mark.parametrize("word", ["2053", "0x805", "0b100000000101", "0X805"])
def test_a_value_is_said_bit_by_bit(astra, word):
    code, out, _ = astra("explain", word)

    first, *lines = out.splitlines()
    assert (code, first) == (0, "result_flags 2053 = 0x805")
    assert [line.split(":")[0] for line in lines] == [
        "bit  0  flag_fakemag_unreliable [flag_bad, not good]",
        "bit  2  flag_missing_extinction [flag_warn]",
        "bit 11  flag_no_result [flag_bad, not good]",
    ]
    assert AstroNNdist.flag_no_result.help_text in lines[2]


def test_names_and_numbers_count_together(astra):
    assert astra("explain", "flag_no_result", "MISSING_EXTINCTION", "1") == astra("explain", "2053")


def test_no_flag_is_said_too(astra):
    assert astra("explain", "0") == (0, "result_flags 0: no flag is set\n", "")


def test_a_bit_without_a_name_is_said_to_be_unknown(astra):
    assert "bit  5  unknown: this version of Astra knows no such flag" in astra("explain", "32")[1]


def test_json_has_each_bit_and_what_they_make(astra):
    found = json.loads(astra("explain", "6", "--json")[1])

    assert (found["kind"], found["value"], found["flag_warn"], found["flag_bad"]) == (
        "result_flags",
        6,
        True,
        True,
    )
    assert [(flag["bit"], flag["name"]) for flag in found["flags"]] == [
        (1, "flag_missing_photometry"),
        (2, "flag_missing_extinction"),
    ]


@pytest.mark.parametrize(("name", "bits"), [("flag_bad", [0, 1, 11]), ("FLAG_WARN", [2])])
def test_a_summary_is_said_with_the_bits_that_make_it(astra, name, bits):
    code, out, _ = astra("explain", name)
    found = json.loads(astra("explain", name, "--json")[1])

    meaning = Distance._meta.fields[name.lower()].help_text
    assert (code, out.splitlines()[0]) == (0, f"{name.lower()} [any of its bits makes it]: {meaning}")
    assert [flag["bit"] for flag in found["flags"]] == bits
    assert found["summaries"] == {name.lower(): meaning}


def test_a_summary_is_what_the_view_says(db):
    for bit in range(12):
        a_result(a_spectrum(a_source()), result_flags=1 << bit)

    for name in ("flag_bad", "flag_warn"):
        rows = Distance.select().where(getattr(Distance, name))
        assert sum(row.result_flags for row in rows) == explain([name]).value


def test_the_flags_of_a_spectrum_and_of_a_reddening_are_known_too(astra):
    spectrum = astra("explain", "17", "--kind", "spectrum_flags")[1]
    reddening = astra("explain", "9", "--kind", "ebv_flags")[1]

    assert "flag_bad_pixels [not good]" in spectrum
    assert "flag_low_snr [not good]" in spectrum
    assert "flag_ebv_upper_limit" in reddening
    assert "flag_ebv_from_sfd" in reddening


@pytest.mark.parametrize(
    ("name", "bit"),
    [
        ("SUSPECT_RV_COMBINATION", "bit 16  flag_suspect_rv_combination"),
        ("suspect_rv_combination", "bit 16  flag_suspect_rv_combination"),
        ("RV_FAIL", "bit 22  flag_rv_failure"),
        ("BAD_PIXELS", "bit  0  flag_bad_pixels [not good]"),
        ("flag_ebv_from_sfd", "bit  3  flag_ebv_from_sfd"),
        ("not_clean_gaia", "bit  7  flag_not_clean_gaia"),
    ],
)
def test_a_name_is_enough_to_find_its_column_also_as_the_survey_calls_it(astra, name, bit):
    code, out, _ = astra("explain", name)

    assert code == 0
    assert bit in out.splitlines()[1]


def test_every_flag_of_starflag_is_known_by_the_name_of_the_survey(astra):
    """Names and bits: sdss.org/dr17/irspec/apogee-bitmasks, APOGEE_STARFLAG."""
    first = ["BAD_PIXELS", "COMMISSIONING", "BRIGHT_NEIGHBOR", "VERY_BRIGHT_NEIGHBOR", "LOW_SNR"]
    persistence = [f"PERSIST_{kind}" for kind in ("HIGH", "MED", "LOW", "JUMP_POS", "JUMP_NEG")]
    later = ["SUSPECT_RV_COMBINATION", "SUSPECT_BROAD_LINES", "BAD_RV_COMBINATION", "RV_REJECT", "RV_SUSPECT"]
    later += ["MULTIPLE_SUSPECT", "RV_FAIL", "SUSPECT_ROTATION", "MTPFLUX_LT_75", "MTPFLUX_LT_50"]

    for start, names in ((0, first), (9, persistence), (16, later)):
        for bit, name in enumerate(names, start):
            assert explain([name]).as_dict()["value"] == 1 << bit
    assert astra("explain", "17", "--kind", "STARFLAG") == astra("explain", "17", "--kind", "spectrum_flags")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["SUSPECT_RV_COMBINATON"],
            "did you mean flag_suspect_rv_combination of spectrum_flags",
        ),
        (
            ["no_result", "rv_reject"],
            "'rv_reject' is neither a number nor a flag of result_flags; did you mean",
        ),
        (
            ["no_resalt"],
            "neither a number nor a flag of result_flags; did you mean flag_no_result?",
        ),
        (["12q"], "'12q' is neither a number nor a flag of result_flags; there are flag_fakemag_unreliable"),
        (["1.5"], "neither a number"),
        ([""], "'' is neither a number nor a flag"),
        (["flag_bda"], "did you mean flag_bad"),
        (["flag_bad", "--kind", "spectrum_flags"], "'flag_bad' is neither a number"),
        (["0x"], "neither a number"),
        (["--", "-1"], "not a value of result_flags: '-1'"),
        ([str(2**63)], f"not a value of result_flags: '{2**63}' is not between 0 and 2^63 - 1"),
        (["1", "--kind", "colour"], "'colour'"),
        ([], "FLAGS"),
    ],
)
def test_what_is_no_flag_is_wrong_usage(astra, words, said):
    code, out, err = astra("explain", *words)

    assert (code, out) == (2, "")
    assert said in err
    assert err.splitlines()[-1].endswith(" explain --help`.")


@given(st.integers(0, 2**63 - 1))
def test_the_bits_that_are_said_are_the_value(value):
    assert sum(1 << flag.bit for flag in explain([str(value)]).flags) == value


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("result_flags", AstroNNdist),
        ("not_clean", AstroNNdist),
        ("not_checked", AstroNNdist),
        ("spectrum_flags", ApogeeCoaddedSpectrumInApStar),
        ("ebv_flags", Source),
    ],
)
def test_every_flag_of_a_model_is_known(kind, model):
    flags = {name: getattr(model, name) for name in dir(model) if name.startswith("flag_")}
    named = [name for name, flag in flags.items() if hasattr(flag, "value") and flag.field.name == kind]

    assert sorted(known_flags(kind)) == sorted(named)


def test_not_good_is_what_the_view_says(db):
    for bit in range(26):
        a_result(a_spectrum(a_source(), spectrum_flags=1 << bit))

    bad = [row.spectrum_flags for row in Distance.select().where(~Distance.good)]

    said = [1 << flag.bit for flag in explain([str(2**26 - 1)], "spectrum_flags").flags if flag.not_good]
    assert sorted(bad) == said


# > Of other tasks


@pytest.fixture
def lines(tmp_path, monkeypatch):
    """The task ``line_width`` of another package, whose results have two columns of flags."""
    guests.install(tmp_path / "guest", monkeypatch, guests.LINES, "line_width")


def test_the_flags_of_another_task_are_said_in_its_words(lines, astra):
    code, out, _ = astra("explain", "--task", "line_width", "narrow", "0x802")
    found = json.loads(astra("explain", "--task", "line_width", "2", "--json")[1])

    assert (code, out.splitlines()) == (
        0,
        [
            "result_flags 2051 = 0x803",
            "bit  0  flag_narrow [flag_warn]: Narrower than a pixel",
            "bit  1  flag_shallow [flag_bad]: Shallower than <the noise>",
            "bit 11  flag_no_result [flag_bad]: The spectrum could not be read or used",
        ],
    )
    assert (found["flag_warn"], found["flag_bad"]) == (False, True)
    assert found["flags"] == [
        {
            "bit": 1,
            "name": "flag_shallow",
            "meaning": "Shallower than <the noise>",
            "flag_warn": False,
            "flag_bad": True,
            "not_good": False,
            "not_clean": False,
        }
    ]


def test_a_summary_of_another_task_is_of_its_own_bits(lines, astra):
    out = astra("explain", "--task", "line_width", "flag_bad")[1]

    assert out.splitlines()[0] == "flag_bad [any of its bits makes it]: Discard the row"
    assert [line.split()[2] for line in out.splitlines()[2:]] == ["flag_shallow", "flag_no_result"]


def test_any_column_of_flags_can_be_chosen(lines, astra):
    assert astra("explain", "--task", "line_width", "9", "--kind", "line_flags")[1].splitlines() == [
        "line_flags 9 = 0x9",
        "bit  0  flag_blended: Another line is within 1 Angstrom",
        "bit  3  flag_telluric: not described",
    ]
    assert "flag_ebv_upper_limit" in astra("explain", "1", "--task", "line_width", "--kind", "ebv_flags")[1]


def test_the_task_of_distances_is_meant_where_none_is_named(astra):
    assert astra("explain", "2053", "--task", "astronn_dist") == astra("explain", "2053")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["1", "--task", "nothing"], "unknown task 'nothing'"),
        (
            ["1", "--task", "line_width", "--kind", "colour"],
            "give --kind result_flags or line_flags or ebv_f",
        ),
        (["flag_shalow", "--task", "line_width"], "did you mean flag_shallow"),
        (["flag_fakemag_unreliable", "--task", "line_width"], "neither a number nor a flag of result_flags"),
    ],
)
def test_what_is_no_flag_of_another_task_is_wrong_usage(lines, astra, words, said):
    code, out, err = astra("explain", *words)

    assert (code, out) == (2, "")
    assert said in err.splitlines()[0]


def test_a_flag_of_another_task_is_pointed_to_where_no_task_is_named(lines, astra):
    code, _, err = astra("explain", "flag_narrow")

    assert code == 2
    assert "; line_width has it: give --task line_width" in err
    assert "--task" not in astra("explain", "flag_nonsense")[2].splitlines()[0]


def test_results_without_flags_are_said_to_have_none(astra, tmp_path, monkeypatch):
    guests.install(tmp_path / "guest", monkeypatch, guests.GOOD, "count_pixels")

    code, out, err = astra("explain", "1", "--task", "count_pixels")

    assert (code, out) == (2, "")
    assert "no column of flags 'result_flags' in any of GuestResult, ApogeeCoadded" in err.splitlines()[0]
    assert err.splitlines()[0].endswith("give --kind spectrum_flags or ebv_flags")
