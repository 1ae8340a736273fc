"""Files of the survey's form are read without a library; astropy reads all others, and says what is right."""

import contextlib
import dataclasses
import gzip

import numpy as np
import pytest
from astropy.io import fits
from builders import write_apstar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra.errors import SpectrumError
from astra.spectra.apstar import ApStarFile
from astra.spectra.fits_structure import BLOCK, CARD
from astra.spectra.grid import N_GRID
from astra.system.processes import silenced

PRIMARY = [
    "SIMPLE  =                    T",
    "BITPIX  =                    8",
    "NAXIS   =                    0",
]
PRIMARY += ["EXTEND  =                    T"]
HARMLESS = [
    "EXTNAME = 'FLUX    '",
    "BUNIT   = 'a/b'",
    "COMMENT BSCALE  = 2",
    "HISTORY NAXIS   = 3",
    "DATE    = ''",
]
ODD = [
    f"{keyword:<8}= {value:>20}" for keyword in ("BSCALE", "BZERO", "BLANK", "bzero") for value in (0, 1, 7)
]
ODD += [
    f"{keyword:<8}= {value:>20}" for keyword in ("NAXIS", "NAXIS1", "BITPIX", "GCOUNT") for value in (1, 8)
]
ODD += [
    "BSCALE=                     3",
    "HIERARCH BZERO = 4",
    "EXTEND  =                    x",
    "END\0",
    "END    x",
]
ODD += ["GROUPS  =                    T", "SIMPLE  =                    F", "XTENSION= 'TABLE   '", "A\x80"]


def _hdu(cards, data=b""):
    header = "".join(card.ljust(CARD) for card in [*cards, "END"]).encode("latin-1")
    return header + b" " * (-len(header) % BLOCK) + data + bytes(-len(data) % BLOCK)


def _image(bitpix, rows, comment, more, seed):
    """An HDU of random bits, among which are NaN of all kinds; of one dimension if it has no rows."""
    axes = [N_GRID, rows] if rows else [N_GRID]
    sizes = {"BITPIX": bitpix, "NAXIS": len(axes)} | {f"NAXIS{n}": side for n, side in enumerate(axes, 1)}
    sizes |= {"PCOUNT": 0, "GCOUNT": 1}
    cards = [f"{keyword:<8}= {value:>20}{comment}" for keyword, value in sizes.items()]
    data = np.random.default_rng(seed).bytes(abs(bitpix) // 8 * int(np.prod(axes)))
    return _hdu(["XTENSION= 'IMAGE   '", *cards, *more], data)


@st.composite
def recipes(draw, n_odd):
    """Of files of three images and more, with headers of many lengths and some cards that are odd."""
    more = [draw(st.lists(st.sampled_from(HARMLESS), max_size=80)) for _ in range(4)]
    for _ in range(n_odd):
        cards = more[draw(st.integers(0, 3))]
        cards.insert(draw(st.integers(0, len(cards))), draw(st.sampled_from(ODD)))
    floats, integers = st.sampled_from([-32, -64]), st.sampled_from([8, 16, 32, 64])
    types = [draw(floats), draw(floats), draw(integers), *draw(st.lists(floats | integers, max_size=3))]
    comment = draw(st.sampled_from(["", " /", " / of the image"]))
    return more[0], [
        (bitpix, draw(st.integers(0, 3)), comment, cards)
        for bitpix, cards in zip(types, [*more[1:], [], [], []], strict=False)
    ]


def _write(path, recipe, pack=bytes):
    more, images = recipe
    content = [_image(*image, seed) for seed, image in enumerate(images)]
    path.write_bytes(pack(b"".join([_hdu([*PRIMARY, *more]), *content])))


def _outcomes(file):
    """The pixels and the header of a file, bit for bit, or why there are none."""
    for read in (lambda: [(x.dtype, x.tobytes()) for x in vars(file.combined()).values()], file.header):
        try:
            yield read()
        except SpectrumError as error:
            yield str(error)


def _assert_read_as_by_astropy(path):
    with ApStarFile.opened(path) as file:
        by_astropy = dataclasses.replace(file, _hdus=[hdu._replace(shape=None) for hdu in file._hdus])
        (pixels, header), (expected, expected_header) = _outcomes(file), _outcomes(by_astropy)
    assert pixels == expected
    with silenced():
        assert str(header) == str(expected_header)
    return "_by_astropy" not in vars(file)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.fits"


several = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@given(recipes(n_odd=0), st.sampled_from([bytes, gzip.compress]))
@several
def test_images_of_the_standards_form_are_read_directly_and_as_by_astropy(path, recipe, pack):
    _write(path, recipe, pack)

    assert _assert_read_as_by_astropy(path)


@given(st.integers(1, 3).flatmap(recipes))
@several
def test_whatever_else_a_header_holds_is_read_as_by_astropy(path, recipe):
    _write(path, recipe)

    with contextlib.suppress(SpectrumError):  # not a file that either would read
        _assert_read_as_by_astropy(path)


def test_real_files_are_read_directly_and_as_by_astropy(apstar_files, shared):
    files = [*apstar_files, *(shared / "data" / "apstar_dr17").glob("*.fits")]

    assert len(files) == 23
    assert all(map(_assert_read_as_by_astropy, files))


def test_scaled_pixels_are_read_by_astropy(path):
    write_apstar(path)
    with fits.open(path, mode="update") as hdus:
        hdus[3].scale("int16", bzero=2**15)

    assert not _assert_read_as_by_astropy(path)
