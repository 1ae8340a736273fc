"""The reader: real files, and every kind of damage, each with a reason that names file and fault."""

import builtins
import gzip
import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits.hdu.compressed import _compression
from builders import write_apstar
from fits_fuzzer import tiled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra.errors import ConfigError, MissingSpectrum, SpectrumError, UnreadableSpectrum
from astra.spectra.apstar import read_combined, read_header
from astra.spectra.grid import N_GRID, wavelength


@pytest.fixture
def good(tmp_path):
    """A good file of several visits."""
    return write_apstar(tmp_path / "apStar-dr17-good.fits")


def _reason(path, kind=UnreadableSpectrum):
    with pytest.raises(kind) as caught:
        read_combined(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_give_their_combined_spectrum(apstars):
    assert len(apstars) in (16, 22)
    for path in apstars:
        spectrum = read_combined(path)
        with fits.open(path) as hdus:
            raw = [np.atleast_2d(hdus[number].data)[0] for number in (1, 2, 3)]
        assert spectrum.flux.dtype == spectrum.e_flux.dtype == np.float64
        assert np.array_equal(spectrum.flux, raw[0].astype(float), equal_nan=True)
        known = np.isfinite(raw[1]) & (raw[1] > 0)
        assert np.array_equal(spectrum.e_flux[known], raw[1][known].astype(float))
        assert np.isinf(spectrum.e_flux[~known]).all()
        assert np.array_equal(spectrum.pixel_flags, raw[2])


def test_the_wavelengths_are_those_of_the_headers(apstars):
    header = fits.getheader(apstars[0], 1)
    expected = 10 ** (header["CRVAL1"] + header["CDELT1"] * np.arange(header["NAXIS1"]))

    assert np.allclose(wavelength(), expected, rtol=1e-12)


@pytest.mark.parametrize("stacked", [True, False], ids=["stack", "single visit"])
def test_stacks_and_single_visits_read_alike(tmp_path, stacked):
    flux = np.arange(N_GRID, dtype=float)
    path = write_apstar(tmp_path / "a.fits", flux, stacked=stacked)

    assert np.array_equal(read_combined(path).flux, flux)


@given(st.lists(st.sampled_from([0.0, -1.0, np.nan, np.inf, -np.inf, 2.0]), min_size=1, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_errors_that_say_nothing_become_infinite(tmp_path, values):
    path = write_apstar(tmp_path / "a.fits")
    with fits.open(path, mode="update") as hdus:
        hdus[2].data[0, : len(values)] = values

    e_flux = read_combined(path).e_flux

    assert not np.isnan(e_flux).any()
    assert (e_flux > 0).all()
    assert [error == 2.0 for error in e_flux[: len(values)]] == [value == 2.0 for value in values]


@pytest.mark.parametrize("name", ["a.fits.gz", "a.fits"])
def test_a_gzip_of_a_good_file_reads_like_the_file(good, tmp_path, name):
    packed = tmp_path / name
    packed.write_bytes(gzip.compress(good.read_bytes()))

    assert read_combined(packed).digest() == read_combined(good).digest()


def test_the_digest_tells_pixels_apart_and_nothing_else(tmp_path):
    flux = np.ones(N_GRID)
    one = write_apstar(tmp_path / "1.fits", flux, header={"SNR": 1.0})
    two = write_apstar(tmp_path / "2.fits", flux, header={"SNR": 2.0})
    flux[4000] = 1.0001
    three = write_apstar(tmp_path / "3.fits", flux)

    digests = [read_combined(path).digest() for path in (one, two, three)]

    assert digests[0] == digests[1] != digests[2]


def test_a_file_that_is_not_there_is_missing(tmp_path):
    assert _reason(tmp_path / "none.fits", MissingSpectrum).startswith("No such file or directory: ")


@pytest.mark.parametrize("content", [b"", b"hello", b"hello\n" * 1000, bytes(2880), b"\xff" * 2880 * 5])
def test_what_is_no_fits_file_says_so(tmp_path, content):
    path = tmp_path / "a.fits"
    path.write_bytes(content)

    assert _reason(path).startswith("not a readable FITS file: ")


def test_a_directory_and_a_pipe_are_no_files(tmp_path):
    folder, pipe = tmp_path / "a.fits", tmp_path / "b.fits"
    folder.mkdir()
    os.mkfifo(pipe)

    assert _reason(folder) == f"not a file, but a folder ({folder})"
    assert _reason(pipe) == f"not a file, but a named pipe ({pipe})"


@pytest.mark.parametrize(
    ("hdu", "place"), [(hdu, place) for hdu in range(10) for place in ("hdrLoc", "datLoc")[: 1 + bool(hdu)]]
)
def test_a_truncated_file_is_found_out_in_each_hdu(simulated, tmp_path, hdu, place):
    original = max(simulated.glob("apStar-*.fits"))
    with fits.open(original) as hdus:
        end = hdus[hdu].fileinfo()[place] + 100
    path = tmp_path / "a.fits"
    path.write_bytes(original.read_bytes()[:end])

    assert _reason(path).startswith(("truncated: ", "damaged: ", "not a readable FITS file: "))


def test_a_truncated_gzip_is_found_out(good, tmp_path):
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzip.compress(good.read_bytes())[:-2000])

    _reason(path)


@pytest.mark.parametrize("shape", [(8574,), (3, 8574), (8575, 3), (0, 8575), (1, 1, 8575), ()])
@pytest.mark.parametrize("hdu", [1, 2, 3])
def test_another_shape_is_refused(good, tmp_path, hdu, shape):
    path = tmp_path / "a.fits"
    with fits.open(good) as hdus:
        hdus[hdu] = fits.ImageHDU(np.ones(shape, np.int16) if shape and 0 not in shape else None)
        hdus.writeto(path)

    assert _reason(path).startswith(f"wrong shape: HDU {hdu} of ")


def test_a_table_where_the_flux_should_be_is_refused(good, tmp_path):
    path = tmp_path / "a.fits"
    with fits.open(good) as hdus:
        hdus[1] = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.ones(3))])
        hdus.writeto(path)

    assert _reason(path).startswith("wrong shape: HDU 1 of ")


def test_a_mask_of_floats_is_refused(good, tmp_path):
    path = tmp_path / "a.fits"
    with fits.open(good) as hdus:
        hdus[3] = fits.ImageHDU(np.ones((4, N_GRID)))
        hdus.writeto(path)

    assert _reason(path).startswith("not a pixel mask: HDU 3 of ")


def test_too_few_hdus_are_refused(good, tmp_path):
    path = tmp_path / "a.fits"
    with fits.open(good) as hdus:
        fits.HDUList(hdus[:3]).writeto(path)

    assert _reason(path) == f"truncated: {path} has no HDU 3"


@pytest.mark.parametrize(
    ("card", "claim"),
    [
        (b"NAXIS2  =                    4", b"NAXIS2  =              3000000"),
        (b"NAXIS1  =                 8575", b"NAXIS1  =          25000000000"),
    ],
)
def test_a_header_that_claims_100_gb_costs_no_memory(good, tmp_path, card, claim):
    path = tmp_path / "a.fits"
    content = good.read_bytes()
    assert card in content
    path.write_bytes(content.replace(card, claim, 1))
    code = (
        "import resource, sys; from astra.spectra.apstar import read_combined\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))\n"
        "try: read_combined(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__)"
    )

    ran = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60)

    assert ran.stdout.strip() == "UnreadableSpectrum", ran.stderr


def test_a_file_that_one_may_not_read_says_so(ordinary_user, open_tmp_path):
    path = write_apstar(open_tmp_path / "a.fits")
    path.chmod(0)
    code = (
        "import sys; from astra.spectra.apstar import read_combined\n"
        "try: read_combined(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code, path],
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        **ordinary_user,
    )

    assert ran.stdout.strip() == f"MissingSpectrum Permission denied: {path}", ran.stderr


def test_headers_are_read_without_the_rest(good):
    assert read_header(good)["TELESCOP"] == "apo25m"


FORMS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "scaled": lambda content: content.replace(b"CTYPE1  =", b"BSCALE  =", 1),
    "tiles": lambda content: tiled(content, compression_type="RICE_1"),
}
ERRORS = [kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, Exception)]
for kind in (MemoryError, ImportError, ModuleNotFoundError):
    ERRORS.remove(kind)
ERRORS += [fits.VerifyError, zlib.error, gzip.BadGzipFile, _compression.CfitsioException]


@pytest.mark.parametrize("form", FORMS)
def test_whatever_a_library_raises_over_the_bytes_is_the_files_fault(good, monkeypatch, form):
    good.write_bytes(FORMS[form](good.read_bytes()))
    for kind in ERRORS:
        with monkeypatch.context() as patched:
            _raise_for_pixels(patched, kind)

            assert _reason(good).startswith(f"not a readable FITS file: {good} (")


@pytest.mark.parametrize("form", FORMS)
def test_a_machine_without_memory_is_not_the_files_fault(good, monkeypatch, form):
    good.write_bytes(FORMS[form](good.read_bytes()))
    _raise_for_pixels(monkeypatch, MemoryError)

    with pytest.raises(MissingSpectrum, match=f"no memory to read it: {good}"):
        read_combined(good)


def test_a_library_that_cannot_be_imported_is_not_the_files_fault(good, monkeypatch):
    class Broken(ImportError):
        name = "astropy.io.fits"

    _raise_for_pixels(monkeypatch, Broken)

    with pytest.raises(ConfigError, match="the package astropy cannot be imported"):
        read_combined(good)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_who_stops_the_program_is_not_held_up(good, monkeypatch, kind):
    _raise_for_pixels(monkeypatch, kind)

    with pytest.raises(kind):
        read_combined(good)


def _raise_for_pixels(monkeypatch, kind):
    def refuse(*asked):
        raise kind.__new__(kind)

    monkeypatch.setattr(np, "frombuffer", refuse)
    for hdu in (fits.ImageHDU, fits.CompImageHDU):
        monkeypatch.setattr(hdu, "section", property(refuse))


@pytest.mark.parametrize("seed", range(20))
def test_two_hundred_flipped_bytes_in_a_compressed_file_give_a_reason(good, tmp_path, seed):
    generator = np.random.default_rng(seed)
    content = np.frombuffer(tiled(good.read_bytes(), compression_type="RICE_1"), np.uint8).copy()
    content[generator.integers(len(content), size=200)] ^= 255
    path = tmp_path / "a.fits"
    path.write_bytes(content)

    _reason(path)


@given(st.lists(st.tuples(st.integers(0, 2880 * 12), st.integers(0, 255)), min_size=1, max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_flipped_bytes_give_a_spectrum_or_a_reason_and_nothing_else(good, tmp_path, flips):
    content = bytearray(good.read_bytes())
    for position, value in flips:
        content[position] = value
    path = tmp_path / "flipped.fits"
    path.write_bytes(content)

    try:
        spectrum = read_combined(path)
    except SpectrumError as error:
        as_promised = str(error).count("\n") == 0
    else:
        as_promised = {array.shape for array in vars(spectrum).values()} == {(N_GRID,)}
    assert as_promised
