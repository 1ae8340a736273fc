"""The combined spectra of APOGEE in mwmStar files, in the layout that DR19 has published."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from builders import MWMSTAR_COLUMNS, N_PIXELS, write_apstar, write_mwmstar
from hypothesis import given
from hypothesis import strategies as st

from astra.errors import MissingSpectrum, UnreadableSpectrum
from astra.models import ApogeeCombinedSpectrum
from astra.spectra.grid import wavelength
from astra.spectra.mwmstar import MwmStarFile, Row, read_combined

NAME = "mwmStar-0.6.0-103020000.fits"


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / NAME


def test_the_files_of_these_tests_have_the_columns_that_dr19_has_published(shared, path):
    layout = json.loads((shared / "data" / "datamodel" / "mwmStar.json").read_text())
    columns = layout["DR19"]["hdus"]["hdu4"]["columns"]
    theirs = {name: kind.partition("[")[0] for name, (kind, _) in columns.items()}
    assert theirs == {name: kind.partition("[")[0] for name, kind in MWMSTAR_COLUMNS.items()}

    with fits.open(write_mwmstar(path, {"telescope": "lco25m"})) as file:
        assert [len(hdu.data) for hdu in file[1:]] == [0, 0, 0, 1]
        assert file[3].columns["flux"].format == "0E"
        assert file[4].columns["flux"].format == f"{N_PIXELS}E"


def test_each_telescope_has_its_own_spectrum(path):
    write_mwmstar(
        path, {"flux": np.full(N_PIXELS, 1.0)}, {"telescope": "lco25m", "flux": np.full(N_PIXELS, 2.0)}
    )

    assert [read_combined(path, each, "dr17").flux[0] for each in ("apo25m", "lco25m")] == [1.0, 2.0]


def test_the_error_follows_from_the_inverse_variance_and_is_infinite_where_there_is_none(path):
    ivar = np.full(N_PIXELS, 4.0)
    ivar[:4] = 0.0, -1.0, np.nan, np.inf
    write_mwmstar(path, {"ivar": ivar})

    spectrum = read_combined(path, "apo25m", "dr17")

    assert np.isinf(spectrum.e_flux[:4]).all()
    assert (spectrum.e_flux[4:] == 0.5).all()
    assert (spectrum.flux.dtype, spectrum.pixel_flags.dtype) == (np.float64, np.int32)


@given(bits=st.lists(st.integers(0, 2**24), min_size=1, max_size=20))
def test_the_mask_keeps_each_bit(bits):
    ones = np.ones(N_PIXELS, np.float32)
    flags = np.resize(np.array(bits, np.float32), N_PIXELS)
    pixels = {"wavelength": wavelength().astype(np.float32), "flux": ones, "ivar": ones, "pixel_flags": flags}

    assert Row({}, pixels, "here").combined().pixel_flags[: len(bits)].tolist() == bits


def test_a_compressed_file_is_read_as_it_is(path):
    plain = write_mwmstar(path, {}).read_bytes()
    packed = path.with_name(f"{NAME}.gz")
    packed.write_bytes(gzip.compress(plain))

    assert read_combined(packed, "apo25m", "dr17").digest() == read_combined(path, "apo25m", "dr17").digest()


def _half(values):
    return np.where(np.arange(N_PIXELS) == 7, 0.5, values)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"pixel_flags": _half(0.0)}, "not a pixel mask: pixel_flags are not integers in HDU 3"),
        ({"pixel_flags": np.full(N_PIXELS, np.nan)}, "not a pixel mask"),
        ({"pixel_flags": np.full(N_PIXELS, 1e20)}, "not a pixel mask"),
        ({"flux": np.ones(4648)}, r"wrong shape: flux in HDU 3 of .* is \(4648,\), not \(8575,\)"),
        ({"flux": None}, r"wrong shape: flux in HDU 3 of .* is \(0,\)"),
        ({"wavelength": np.linspace(15100, 17000, N_PIXELS)}, "wavelengths are not those of apStar files"),
        ({"wavelength": 10 ** (4.179 + 6e-6 * np.arange(1, N_PIXELS + 1))}, "wavelengths are not those"),
        ({"apred": "1.3"}, "no spectrum of apo25m in the reduction dr17: .*mwmStar"),
        ({"telescope": "lco25m"}, "no spectrum of apo25m"),
    ],
)
def test_what_is_not_such_a_spectrum_is_refused_with_the_reason(path, columns, said):
    write_mwmstar(path, columns)

    with pytest.raises(UnreadableSpectrum, match=said):
        read_combined(path, "apo25m", "dr17")


def test_a_damaged_file_is_unreadable_and_an_absent_one_missing(path):
    with pytest.raises(MissingSpectrum, match="No such file"):
        read_combined(path, "apo25m", "dr17")
    content = write_mwmstar(path, {}).read_bytes()
    for damaged, said in (
        (content[: len(content) // 2], "truncated"),
        (b"no FITS" * 1000, "not a readable FITS file"),
        (b"", "is empty"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableSpectrum, match=said):
            read_combined(path, "apo25m", "dr17")


def test_other_files_are_no_mwmstar_files(path):
    write_mwmstar(path, {}, hdus=3)
    with pytest.raises(UnreadableSpectrum, match="truncated: .* has no HDU 3"):
        read_combined(path, "apo25m", "dr17")
    write_apstar(path)
    with pytest.raises(UnreadableSpectrum, match="not an mwmStar file: HDU 3 of .* is not a table"):
        read_combined(path, "apo25m", "dr17")
    table = fits.BinTableHDU.from_columns([fits.Column("flux", "E", array=[1.0])])
    fits.HDUList([fits.PrimaryHDU(), *[table.copy() for _ in range(4)]]).writeto(path, overwrite=True)
    with pytest.raises(UnreadableSpectrum, match="HDU 3 of .* has no column apred or telescope"):
        read_combined(path, "apo25m", "dr17")


def test_no_damage_to_a_byte_of_the_tables_is_another_error(path):
    whole = write_mwmstar(path, {}).read_bytes()
    generator = np.random.default_rng(3)
    headers = np.flatnonzero(np.frombuffer(whole, np.uint8) == ord("="))
    for place in [*generator.choice(headers, 25), *generator.integers(0, len(whole), 5)]:
        damaged = bytearray(whole)
        damaged[place + 1 : place + 30] = generator.bytes(29)
        path.write_bytes(damaged)
        try:
            read_combined(path, "apo25m", "dr17")
        except (UnreadableSpectrum, MissingSpectrum):
            pass


def test_a_row_of_the_table_of_spectra_reads_its_own_pixels(path):
    write_mwmstar(path, {"flux": np.full(N_PIXELS, 3.0), "ivar": np.full(N_PIXELS, 0.25)})

    row = ApogeeCombinedSpectrum(path=str(path), telescope="apo25m", apred="dr17")

    assert (row.flux[0], row.e_flux[0], row.ivar[0], row.pixel_flags[0]) == (3.0, 2.0, 0.25, 0)
    assert row.wavelength.shape == (N_PIXELS,)


def test_the_star_and_its_spectra_are_read_by_one_opening(path):
    write_mwmstar(path, {"obj": "2M1", "snr": 5.0})

    with MwmStarFile.opened(path) as file:
        (row,) = file.rows()

        assert file.header()["SDSS_ID"] == 103020000
        assert {name: row.facts[name] for name in ("obj", "snr", "telescope", "apred")} == {
            "obj": "2M1",
            "snr": 5.0,
            "telescope": "apo25m",
            "apred": "dr17",
        }
