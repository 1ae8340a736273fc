"""``astra show``: all that is known of a star, by any of its names."""

import json

import pytest
from builders import a_result, a_source, a_spectrum

from small_survey import M67, fill_survey


@pytest.fixture
def m67(db):
    fill_survey()


def words(astra, *names):
    code, out, err = astra("show", *names)
    assert (code, err) == (0, "")
    return " ".join(out.split())


def test_a_star_is_shown_with_its_place_its_light_its_spectra_and_its_distances(m67, astra):
    said = words(astra, M67)

    for text in (
        f"{M67} names sdss_id ",
        "position 08:51:24.00 +11:48:36.0 = 132.85000 +11.81000 deg",
        "l, b = 215.7000 +31.9000 deg",
        "J 10.800, Ks 10.000",
        "from Schlegel, Finkbeiner & Davis (1998)",
        "parallax 2.5500 ± 0.0500 mas",
        "motion -10.970, -2.920 mas/yr",
        "Bailer-Jones 400 pc (400 to 400), geometric",
        "S/N 200",
        "lco25m, dr17",
        "astronn_dist version 0.1.0, weights new",
        "distance 400 pc (380 to 420)",
        "to use 400 pc (380 to 420), from: weighted",
        "quality good and clean",
        "not the best spectrum of its star",
        "https://simbad.cds.unistra.fr/simbad/sim-id?Ident=2MASS%20J08511710%2B1148160",
        "https://aladin.cds.unistra.fr/AladinLite/?target=132.850000%20%2B11.810000&fov=0.1",
    ):
        assert text in said


def test_a_star_is_found_by_its_names_in_any_case_and_as_2mass_and_gaia_write_them(db, astra):
    a_source(sdss4_apogee_id=M67)
    a_source(sdss4_apogee_id="Vesta", gaia_dr3_source_id=604917491425350400)

    for name in (M67, M67.lower(), f"2MASS J{M67[2:]}", f"j{M67[2:]}", f" {M67} "):
        assert words(astra, name).startswith(f"{M67} names sdss_id ")
    for name in (
        "VESTA",
        "604917491425350400",
        "Gaia DR3 604917491425350400",
        "gaia edr3 604917491425350400",
    ):
        assert words(astra, name).startswith("Vesta names sdss_id ")


def test_a_spectrum_without_a_star_is_found_by_the_name_that_it_carries(db, astra):
    spectrum = a_spectrum(None, obj="2M00000001+0000009")
    a_result(spectrum, flag_no_result=True, no_result_reason="truncated after 8 bytes")

    said = words(astra, "2m00000001+0000009")

    assert "the table of stars has none" in said
    assert "distance none: truncated after 8 bytes" in said
    assert "(not there)" in said


def test_flags_are_said_in_words_and_what_is_absent_is_left_out(db, astra):
    star = a_source(ebv=None, k_mag=None)
    spectrum = a_spectrum(star, spectrum_flags=2**4, path=None)
    a_result(spectrum, flag_missing_photometry=True, flag_missing_extinction=True)

    said = words(astra, star.sdss4_apogee_id)

    assert "extinction not known" in said
    assert "flag flag_low_snr: Signal-to-noise ratio below 5" in said
    assert "distance none: there is no Ks magnitude" in said
    assert "quality bad: discard it" in said
    assert "flag flag_missing_extinction: Missing extinction" in said
    assert "nan" not in said
    assert "None" not in said


def test_programs_get_one_object_with_every_star(m67, astra):
    code, out, err = astra("show", M67, M67.lower(), "--json")

    found = json.loads(out)["stars"]
    assert (code, err) == (0, "")
    assert [star.pop("asked") for star in found] == [M67, M67.lower()]
    assert found[0] == found[1]
    first, second = found[0]["spectra"]
    assert (first["snr"], second["snr"], first["is_there"]) == (200.0, 50.0, False)
    [result] = first["results"]
    assert (result["task"], result["good"], result["primary_spectrum"]) == ("astronn_dist", True, True)
    assert (result["values"]["dist"], result["units"]["dist"]) == (400.0, "pc")


def test_a_star_that_is_not_there_is_an_error_that_names_the_nearest(m67, astra):
    code, out, err = astra("show", f"{M67[:-1]}1")

    assert (code, out) == (2, "")
    assert err.splitlines()[0] == (f"astra: error: no star {M67[:-1]}1 in the database; did you mean {M67}?")
    assert "ingest its spectra first" in astra("show", "9" * 30)[2]
