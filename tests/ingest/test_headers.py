"""What a header says, also a strange one, and what a name says where no header can be read."""

import os
import subprocess
import sys
import warnings

import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from astra.errors import UsageError
from astra.ingest.headers import KNOWN, cards_of, read_record
from astra.spectra.fits_structure import BLOCK, cards_among

OBJ = "2M06154934-0100415"


def test_a_real_header(apstar_files):
    path = next(path for path in apstar_files if "r6-2M06154934" in path.name)

    record = read_record(path)

    assert record.product.product_id == f"apstar/dr13/r6/apo25m/210-08/{OBJ}/ap/s"
    assert record.product.location_id == 4123
    assert (record.sdss_id, record.apogee_id, record.path) == (None, OBJ, str(path))
    assert (record.star["k_mag"], record.star["e_k_mag"], record.star["ra"]) == (12.541, None, 93.955603)
    assert record.spectrum == {
        "n_visits": 6,
        "snr": 58.6237,
        "spectrum_flags": 131588,
        "v_rad": -18.3761,
        "e_v_rad": 0.0424222,
    }
    assert len(record.digest) == 32


@pytest.fixture(scope="module")
def texts(apstar_files):
    """The primary headers of real files, and one with a long text and a long keyword."""
    cards = [("SNR", 90.5), ("HIERARCH SDSS4_APOGEE_ID", "2M1"), ("OBJID", "x" * 100), ("K", 9.5)]
    found = [fits.Header.fromfile(path).tostring() for path in apstar_files]
    return [*found, fits.Header(cards).tostring()]


def _strange(card, change):
    """A card as no survey writes it."""
    keyword, rest = card[:8], card[8:]
    return {
        "lower": keyword.lower() + rest,
        "early": (keyword.rstrip() + "=" + rest[2:]).ljust(80),
        "moved": (" " + card)[:80],
        "long": f"{keyword}= 'one&'".ljust(80) + "CONTINUE  'two'".ljust(80),
        "orphan": card + "CONTINUE  'text'".ljust(80),
        "twice": card + card,
        "hierarch": f"HIERARCH {card[:71]}",
        "gone": "",
    }[change]


CHANGES = ("lower", "early", "moved", "long", "orphan", "twice", "hierarch", "gone")


def _read(text):
    """The cards, or what is wrong with them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return cards_of(fits.Header.fromstring(text), "x.fits")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the same
            return type(error)


@given(st.data())
@settings(max_examples=150)
def test_the_cards_that_matter_are_read_as_from_the_whole_header(texts, data):
    text = data.draw(st.sampled_from(texts))
    cards = [text[start : start + 80] for start in range(0, len(text), 80)]
    cards = cards[: next(number for number, card in enumerate(cards) if card.startswith("END "))]
    known = [number for number, card in enumerate(cards) if card[:8].rstrip() in KNOWN]
    places = st.one_of(st.sampled_from(known), st.integers(0, len(cards) - 1))
    for place, change in data.draw(st.lists(st.tuples(places, st.sampled_from(CHANGES)), max_size=6)):
        cards[place] = _strange(cards[place][:80], change)
    content = "".join([*cards, "END".ljust(80)]).encode()
    content = content.ljust(BLOCK * -(-len(content) // BLOCK))

    assert _read(cards_among(content, KNOWN)) == _read(content)


def test_a_real_header_of_dr17(shared):
    folder = shared / "data" / "apstar_dr17"
    if not folder.exists():
        pytest.skip(f"needs {folder}")

    record = read_record(folder / "apStar-dr17-2M19485057+5005279.fits")

    assert record.product.product_id == "apstar/dr17/dr17/apo25m/k04_083+13/2M19485057+5005279/ap/s"
    assert record.star["ebv"] == pytest.approx(0.03213003 / 0.3517, rel=1e-6)
    assert (record.star["ebv_origin"], record.star["ebv_flags"]) == ("AKTARG (RJCE_WISE)", 2**5)
    assert (record.star["k_mag"], record.star["e_k_mag"]) == pytest.approx((10.522, 0.021), rel=1e-6)
    assert record.spectrum["v_rad"] == pytest.approx(13.95981502532959)
    assert record.disagreement is None


def test_a_real_header_of_dr14(apstar_files):
    record = read_record(next(path for path in apstar_files if "r8-2M19463571" in path.name))

    assert record.star["ebv"] == pytest.approx(0.055998 / 0.3517)
    assert record.star["ebv_origin"] == "AKTARG (RJCE_WISE_OPS)"
    assert record.spectrum["v_rad"] == -58.562


# > Published headers

MAGNITUDES = {"j_mag": "J", "h_mag": "H", "k_mag": "K"}
PLACE = {"ra": "RA", "dec": "DEC", "l": "GLON", "b": "GLAT"}
SPECTRUM = {"n_visits": "NVISITS", "snr": "SNR", "spectrum_flags": "STARFLAG", "e_v_rad": "VERR"}
SDSS4 = MAGNITUDES | PLACE | SPECTRUM | {"v_rad": "VHELIO"}
SDSS5 = (
    {
        "j_mag": "JMAG",
        "e_j_mag": "JERR",
        "h_mag": "HMAG",
        "e_h_mag": "HERR",
        "k_mag": "KMAG",
        "e_k_mag": "KERR",
    }
    | PLACE
    | SPECTRUM
    | {"plx": "PLX", "e_plx": "EPLX", "pmra": "PMRA", "e_pmra": "EPMRA", "pmde": "PMDEC", "e_pmde": "EPMDEC"}
    | {"g_mag": "GMAG", "bp_mag": "BPMAG", "rp_mag": "RPMAG", "healpix": "HEALPIX", "v_rad": "VRAD"}
)
#: The card that gives each of our values, release by release.
CARDS = {
    "DR12": SDSS4,
    "DR13": SDSS4,
    "DR14": SDSS4 | {"ebv": "AKTARG"},
    "DR16": SDSS4 | {"ebv": "AKTARG"},
    "DR17": SDSS4 | {"ebv": "AKTARG", "e_j_mag": "J_ERR", "e_h_mag": "H_ERR", "e_k_mag": "K_ERR"},
    "DR19": SDSS5,
}
REDUCTIONS = {"DR12": "r5", "DR13": "r6", "DR14": "r8", "DR16": "r12", "DR17": "dr17", "DR19": "1.0-apo25m"}
INTEGERS = {"n_visits", "spectrum_flags", "healpix"}


@pytest.fixture
def record_of(apstar):
    """Reads a file of a release with these cards."""

    def read(release, header):
        path = apstar(
            f"apStar-{REDUCTIONS[release]}-X.fits", **dict.fromkeys(("J", "H", "K", "FIELD", "TELESCOP"))
        )
        with fits.open(path, mode="update") as hdus:
            hdus[0].header.update({card: value for card, value in header.items() if card not in STRUCTURE})
        return read_record(path, release="dr19")

    return read


def assert_every_card_gives_its_value(record_of, release, header):
    names = enumerate(CARDS[release], 1)
    values = {name: number if name in INTEGERS else number / 10 + 0.05 for number, name in names}

    record = record_of(release, header | {card: values[name] for name, card in CARDS[release].items()})

    found = record.star | record.spectrum
    expected = values | ({"ebv": values["ebv"] / 0.3517} if "ebv" in values else {})
    assert {name: found[name] for name in expected} == pytest.approx(expected), release
    assert record.apogee_id == header["OBJID"]


@pytest.mark.parametrize("release", CARDS)
def test_every_card_of_a_release_gives_its_value(record_of, release):
    assert_every_card_gives_its_value(record_of, release, {"OBJID": OBJ})


def test_published_headers_are_read_and_their_fillers_are_absent(published, record_of):
    for release, cards in CARDS.items():
        header = published("apStar")[release]["hdus"]["hdu0"]["header"]
        sample = {card: _typed(value) for card, value in header}
        assert {*cards.values()} <= sample.keys()
        assert_every_card_gives_its_value(record_of, release, sample)

        record = record_of(release, sample)

        found = record.star | record.spectrum
        for name, card in cards.items():
            fillers = (-9999.990234375, 99.98999786376953)
            is_filler = sample[card] in fillers or (name, sample[card]) == ("e_v_rad", 0)
            scale = 0.3517 if name == "ebv" else 1.0
            expected = None if is_filler else pytest.approx(sample[card] / scale)
            assert found[name] == expected, (release, name)


STRUCTURE = {"SIMPLE", "BITPIX", "NAXIS", "EXTEND"}


def _typed(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text.strip()


#: What SDSS-V writes after the reduction 1.0.
SDSS5_HEADER = {"SDSSID": 71234567, "CATID": 27021597911984196, "GSRCID": 3118900000000000123, "PLX": 44.8}


@pytest.mark.parametrize(
    ("cards", "sdss_id", "gaia_id", "release"),
    [
        ({"GRELEASE": "gaia_dr3"}, 71234567, 3118900000000000123, "dr3"),
        ({"GRELEASE": "gaia_dr2"}, 71234567, None, "dr2"),
        ({"GRELEASE": ""}, 71234567, None, None),
        ({}, 71234567, None, None),
        ({"SDSSID": None, "SDSS_ID": 5, "GRELEASE": "gaia_dr3"}, 5, 3118900000000000123, "dr3"),
        ({"SDSSID": -1, "GSRCID": -1, "PLX": "NaN", "GRELEASE": "gaia_dr3"}, None, None, None),
        ({"GSRCID": 3.118900000000000123e18, "GRELEASE": "gaia_dr3"}, 71234567, None, "dr3"),
    ],
)
def test_identifiers_of_an_sdss_5_header(apstar, cards, sdss_id, gaia_id, release):
    record = read_record(apstar("apStar-1.3-apo25m-X.fits", **(SDSS5_HEADER | cards)), release="sdss5")

    assert record.sdss_id == sdss_id
    assert (record.star["gaia_dr3_source_id"], record.star["gaia_release"]) == (gaia_id, release)


def test_an_identifier_with_the_form_of_a_float_is_said(apstar, caplog):
    read_record(apstar("apStar-1.3-apo25m-X.fits", SDSSID=7.1234567e17), release="sdss5")

    assert "SDSSID is not written as an integer and counts as absent" in caplog.text


def test_cards_without_a_value_say_nothing(apstar):
    path = apstar("apStar-dr17-X.fits")
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["K"] = None
        hdus[0].header["FIELD"] = fits.card.UNDEFINED

    record = read_record(path)

    assert (record.star["k_mag"], record.star["j_mag"], record.product.field) == (None, 11.0, "")


def test_a_card_that_is_no_fits_says_nothing(apstar):
    path = apstar("apStar-dr17-X.fits", SNR=55.0)
    content = path.read_bytes()
    place = content.index(b"SNR     =")
    path.write_bytes(content[:place] + b"SNR     = 'a'b'c".ljust(80) + content[place + 80 :])

    record = read_record(path)

    assert record.spectrum["snr"] is None
    assert record.star["k_mag"] == 10.0


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ({"STARFLAG": -1}, "spectrum_flags", None),
        ({"NVISITS": 10**12}, "n_visits", None),
        ({"VHELIO": None, "VHBARY": 5.5}, "v_rad", 5.5),
        ({"VHELIO": 999999.0, "VHBARY": 5.5}, "v_rad", 5.5),
        ({"VHELIO": -5.5, "VRAD": 7.0}, "v_rad", -5.5),
        ({"VHELIO": "NaN", "VRAD": 7.0}, "v_rad", None),
        ({"VRAD": 7.0}, "v_rad", 7.0),
        ({"VERR": 0.0}, "e_v_rad", None),
        ({"SNR": "NaN"}, "snr", None),
    ],
)
def test_values_of_the_spectrum(apstar, header, name, value):
    assert read_record(apstar("apStar-dr17-X.fits", **header)).spectrum[name] == value


@pytest.mark.parametrize("sdss_id", [0, -1, -999, "", None])
def test_a_filler_is_no_sdss_id(apstar, sdss_id):
    assert read_record(apstar("apStar-dr17-X.fits", SDSS_ID=sdss_id)).sdss_id is None


def test_another_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="not named like an apStar or asStar file"):
        read_record(tmp_path / "notes.fits")


SCRIPT = """
import sys
from astra.ingest.headers import KNOWN, cards_of, read_record
from astra.spectra.fits_structure import BLOCK, cards_among
record = read_record(sys.argv[1])
print(record.readable, record.product.product_id)
"""


@pytest.mark.heavy
def test_a_file_that_may_not_be_read_is_described_by_its_name(apstar, open_tmp_path, ordinary_user):
    path = open_tmp_path / "apStar-dr17-X.fits"
    path.write_bytes(apstar("apStar-dr17-X.fits").read_bytes())
    os.chmod(path, 0)

    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, path],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
        **ordinary_user,
    )

    assert ran.stdout == "False apstar/dr17/dr17/apo25m//X/ap/s\n"
    assert f"Permission denied: {path}" in ran.stderr
