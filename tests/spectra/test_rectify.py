"""Normalisation: equal to astroNN's wherever that gives numbers, and defined everywhere else."""

import ast
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

import astra
from astra.errors import ConfigError
from astra.spectra.grid import CHIPS, CONTINUUM, DETECTORS, N_GRID, N_PIXELS
from astra.spectra.rectify import rectify, usable

from tolerances import FLOAT64

MASKED_BITS = (0, 1, 2, 3, 4, 5, 6, 7, 12)
OTHER_BITS = (8, 9, 10, 11, 13, 14)

#: Grid pixels of the 7514 pixels, and those of them that show the continuum.
ON_GRID = np.concatenate([np.arange(*ends) for ends in DETECTORS])
CONTINUUM_ON_GRID = ON_GRID[CONTINUUM]


def read(paths):
    """Flux, error and mask of the combined spectra, each (N, 8575), as the files have them."""
    spectra = []
    for path in paths:
        with fits.open(path) as file:
            spectra.append([np.atleast_2d(file[extension].data)[0] for extension in (1, 2, 3)])
    return tuple(np.array(arrays) for arrays in zip(*spectra, strict=True))


@pytest.fixture(scope="module")
def observed(simulated):
    """The same of 16 simulated spectra."""
    return read(sorted(simulated.glob("apStar-*.fits")))


@pytest.fixture(scope="session")
def astronn():
    """``apogee_continuum`` for one spectrum; ``None`` where it fails, NaN where it gives no number."""
    apogee_continuum = pytest.importorskip("astroNN.apogee").apogee_continuum

    def normalise(flux, e_flux, pixel_flags):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                rectified = apogee_continuum(flux, e_flux, bitmask=pixel_flags, dr=17)
            except np.linalg.LinAlgError:
                return None
        # A continuum that is NaN shows in the errors only: the flux has been filled in.
        number = np.isfinite(rectified[0][0]) & np.isfinite(rectified[1][0])
        for chip in CHIPS:
            # Then it depends on where LAPACK stops looking whether the whole detector is lost.
            number[chip] &= np.isfinite(flux[ON_GRID[chip]][CONTINUUM[chip]]).all()
        return [np.where(number, array[0], np.nan) for array in rectified]

    return normalise


def a_spectrum(level=100.0, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(level, 2.0, N_GRID), random.uniform(1.0, 3.0, N_GRID), np.zeros(N_GRID, np.int16)


def assert_equal_numbers(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        number = np.isfinite(theirs)
        np.testing.assert_allclose(ours[number], theirs[number], rtol=1e-10, atol=0)


# > Equal to astroNN


FLUXES = [np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, -1000.0, 100.0, 1e-30, 1e30, -1e30, 3e38]
ERRORS = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1.0, 1e-3, 1e3, 1e5, 1e10, 1e20, 1e200]


@st.composite
def spectra(draw):
    """A noisy spectrum with up to eight faults: in a run of pixels, in scattered ones, in a detector."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    flux = random.normal(
        draw(st.sampled_from([0, 1, 100, 1e4])), draw(st.sampled_from([0, 0.01, 1, 10])), N_GRID
    )
    e_flux = 10 ** random.uniform(*draw(st.sampled_from([(-2, 1), (0, 0.1), (0, 8)])), N_GRID)
    pixel_flags = np.zeros(N_GRID, np.int16)
    if draw(st.booleans()):
        e_flux[:] = draw(st.sampled_from(ERRORS))
    pixels = st.one_of(
        st.builds(slice, st.integers(0, N_GRID), st.integers(0, N_GRID)),
        st.integers(1, 5000).map(lambda count: random.integers(0, N_GRID, count)),
        st.lists(st.sampled_from(list(CONTINUUM_ON_GRID)), min_size=1, max_size=9),
        st.sampled_from([slice(*ends) for ends in DETECTORS]),
    )
    for _ in range(draw(st.integers(0, 8))):
        where, what = draw(pixels), draw(st.integers(0, 2))
        if what == 0:
            flux[where] = draw(st.sampled_from(FLUXES))
        elif what == 1:
            e_flux[where] = draw(st.sampled_from(ERRORS))
        else:
            pixel_flags[where] |= np.int16(1 << draw(st.integers(0, 14)))
    return flux, e_flux, pixel_flags


@pytest.mark.heavy
@settings(max_examples=1000, derandomize=True)
@given(spectra())
def test_wherever_astronn_gives_numbers_ours_are_the_same_and_elsewhere_they_are_defined(astronn, spectrum):
    flux, e_flux = rectify(*spectrum)

    expected = astronn(*spectrum)
    if expected is not None:
        assert_equal_numbers((flux, e_flux), expected)
    assert np.isfinite(flux).all()
    assert (flux >= 0).all()
    assert not np.isnan(e_flux).any()


def test_spectra_come_out_as_those_of_astronn(apstars, astronn):
    spectra = read(apstars)

    found = rectify(*spectra)

    flux, e_flux, pixel_flags = spectra  # astroNN computes in the precision that it gets
    doubles = zip(flux.astype(float), e_flux.astype(float), pixel_flags, strict=True)
    expected = [astronn(*spectrum) for spectrum in doubles]
    assert_equal_numbers(found, np.array(expected).swapaxes(0, 1))


def test_real_spectra_come_out_as_in_the_reference(reference, apstar_files):
    parity = np.load(reference / "parity.npz")
    order = [parity["apstar_file"].tolist().index(path.name) for path in apstar_files]

    found = rectify(*read(apstar_files))

    assert_equal_numbers(found, (parity["normalized_flux"][order], parity["normalized_error"][order]))


@pytest.mark.parametrize("heavy", [1, 2, 3])
@pytest.mark.parametrize("e_flux", [0.0, 1e-3, 1.0])
def test_where_few_pixels_have_all_the_weight_the_digits_are_still_those_of_astronn(astronn, heavy, e_flux):
    flux, _, pixel_flags = a_spectrum()
    errors = np.full(N_GRID, 1e4)
    for chip in CHIPS:
        errors[ON_GRID[chip][CONTINUUM[chip]][:heavy]] = e_flux

    found = rectify(flux, errors, pixel_flags)

    assert_equal_numbers(found, astronn(flux, errors, pixel_flags))


def test_the_continuum_pixels_are_those_of_dr17():
    data = Path(pytest.importorskip("astroNN.data").__file__).parent

    np.testing.assert_array_equal(CONTINUUM, np.load(data / "dr17_contmask.npy"))


@settings(max_examples=50, derandomize=True)
@given(spectra())
def test_the_package_astronn_as_backend_gives_the_same(spectrum):
    pytest.importorskip("astroNN.apogee")

    ours, theirs = rectify(*spectrum), rectify(*spectrum, backend="astronn")

    assert_equal_numbers(ours, theirs)
    assert np.isfinite(theirs[0]).all()
    assert not np.isnan(theirs[1]).any()


def test_without_the_package_its_backend_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "astroNN.apogee", None)

    with pytest.raises(ConfigError, match=r"needs astroNN \(.*\): pip install 'astra-distances\[astronn\]'"):
        rectify(*a_spectrum(), backend="astronn")


def test_an_unknown_backend_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigError, match="'idl'.* astra, astronn"):
        rectify(*a_spectrum(), backend="idl")


# > One spectrum does not know of another


def test_many_spectra_at_once_are_the_same_as_one_by_one(observed):
    together = rectify(*observed)

    for index, spectrum in enumerate(zip(*observed, strict=True)):
        for array, alone in zip(together, rectify(*spectrum), strict=True):
            assert alone.shape == (N_PIXELS,)
            np.testing.assert_allclose(array[index], alone, rtol=FLOAT64)


def test_a_dead_neighbour_changes_nothing(observed):
    flux, e_flux, pixel_flags = (array[:3].copy() for array in observed)
    expected = rectify(flux, e_flux, pixel_flags)
    flux[1], e_flux[1] = np.nan, np.inf

    found = rectify(flux, e_flux, pixel_flags)

    for array, before in zip(found, expected, strict=True):
        np.testing.assert_array_equal(array[[0, 2]], before[[0, 2]])


def test_no_spectra_give_no_spectra():
    flux, e_flux = rectify(*np.zeros((2, 0, N_GRID)), np.zeros((0, N_GRID), int))

    assert flux.shape == e_flux.shape == (0, N_PIXELS)


def test_the_arrays_that_come_in_stay_as_they_are(observed):
    copies = [array.copy() for array in observed]
    for array in copies:
        array.flags.writeable = False

    rectify(*copies)
    usable(*copies)

    for array, copy in zip(observed, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_numbers_as_a_fits_file_has_them_count_the_same(observed):
    flux, e_flux, pixel_flags = observed
    big_endian = flux.astype(">f4"), e_flux.astype(">f4"), pixel_flags.astype(">i2")

    for found, expected in zip(rectify(*big_endian), rectify(*observed), strict=True):
        assert found.dtype == float
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "shapes", [[(7514,)] * 3, [(2, N_GRID), (N_GRID,), (2, N_GRID)], [(1, 1, N_GRID)] * 3]
)
def test_arrays_of_another_shape_are_refused(shapes):
    arrays = [np.ones(shape, int) for shape in shapes]

    with pytest.raises(ValueError, match=r"all \(8575,\) or all \(N, 8575\)"):
        rectify(*arrays)
    with pytest.raises(ValueError, match=r"all \(8575,\) or all \(N, 8575\)"):
        usable(*arrays)


# > Masks and lost pixels


@pytest.mark.parametrize("bit", MASKED_BITS)
def test_a_masked_pixel_holds_1_in_flux_and_error_and_the_others_do_not_notice(bit):
    flux, e_flux, pixel_flags = a_spectrum()
    before = rectify(flux, e_flux, pixel_flags)
    pixel_flags[ON_GRID[1000:1010]] = 1 << bit

    after = rectify(flux, e_flux, pixel_flags)

    for found, expected in zip(after, before, strict=True):
        assert (found[1000:1010] == 1).all()
        np.testing.assert_array_equal(
            np.delete(found, np.s_[1000:1010]), np.delete(expected, np.s_[1000:1010])
        )


@pytest.mark.parametrize("bit", OTHER_BITS)
def test_the_other_bits_mask_nothing(bit):
    flux, e_flux, pixel_flags = a_spectrum()

    flagged = rectify(flux, e_flux, pixel_flags | np.int16(1 << bit))

    for found, expected in zip(flagged, rectify(flux, e_flux, pixel_flags), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_continuum_pixel_without_a_finite_flux_is_as_if_it_had_no_weight(value):
    flux, e_flux, pixel_flags = a_spectrum()
    lost, e_lost = flux.copy(), e_flux.copy()
    pixel = CONTINUUM_ON_GRID[100]
    lost[pixel], e_lost[pixel] = value, np.inf
    index = np.flatnonzero(CONTINUUM)[100]

    found, e_found = rectify(lost, e_flux, pixel_flags)

    assert (found[index], e_found[index]) == (1, np.inf)
    expected, _ = rectify(flux, e_lost, pixel_flags)
    np.testing.assert_array_equal(np.delete(found, index), np.delete(expected, index))


def test_an_error_of_0_or_nan_read_as_infinite_moves_no_other_pixel(observed):
    """The reader of files makes such errors infinite; here is what it saves the spectrum from."""
    flux, e_flux, pixel_flags = (array.copy() for array in observed)
    off_continuum, on_continuum = ON_GRID[~CONTINUUM][2500], CONTINUUM_ON_GRID[250]
    before, _ = rectify(flux, e_flux, pixel_flags)
    e_flux[:, on_continuum] = 1e10  # how the survey says that a pixel is bad
    declared_bad, _ = rectify(flux, e_flux, pixel_flags)
    e_flux[:, on_continuum] = 0
    as_in_the_file, _ = rectify(flux, e_flux, pixel_flags)

    e_flux[:, on_continuum] = np.inf
    on, _ = rectify(flux, e_flux, pixel_flags)
    e_flux[:] = observed[1]
    e_flux[:, off_continuum] = np.inf
    off, _ = rectify(flux, e_flux, pixel_flags)

    np.testing.assert_allclose(off, before, atol=1e-6)
    np.testing.assert_allclose(on, declared_bad, atol=1e-6)
    assert np.median(np.abs(as_in_the_file - declared_bad).max(axis=1)) > 0.01


@pytest.mark.parametrize("nothing", [np.nan, 0.0])
@pytest.mark.parametrize("chip", range(3))
def test_a_detector_without_a_continuum_becomes_1_and_leaves_the_others_alone(chip, nothing):
    flux, e_flux, pixel_flags = a_spectrum()
    expected = rectify(flux, e_flux, pixel_flags)
    flux[slice(*DETECTORS[chip])] = nothing

    found, e_found = rectify(flux, e_flux, pixel_flags)

    assert (found[CHIPS[chip]] == 1).all()
    assert np.isinf(e_found[CHIPS[chip]]).all()
    for other in (index for index in range(3) if index != chip):
        np.testing.assert_array_equal(found[CHIPS[other]], expected[0][CHIPS[other]])
        np.testing.assert_array_equal(e_found[CHIPS[other]], expected[1][CHIPS[other]])


# > What can be used


def test_all_spectra_of_a_survey_can_be_used(apstars):
    spectra = read(apstars)

    assert usable(*spectra).tolist() == [True] * len(apstars)
    assert usable(*(array[0] for array in spectra)).shape == ()


@pytest.mark.parametrize("flux", [np.nan, np.inf, 0.0])
def test_a_spectrum_that_is_all_nan_or_all_zero_cannot_be_used(flux):
    _, e_flux, pixel_flags = a_spectrum()

    assert not usable(np.full(N_GRID, flux), e_flux, pixel_flags)


@pytest.mark.parametrize("bit", MASKED_BITS)
def test_a_spectrum_that_is_masked_everywhere_cannot_be_used(bit):
    flux, e_flux, pixel_flags = a_spectrum()

    assert not usable(flux, e_flux, pixel_flags | np.int16(1 << bit))
    assert usable(flux, e_flux, pixel_flags | np.int16(1 << OTHER_BITS[0]))


def test_a_spectrum_without_any_error_cannot_be_used():
    flux, _, pixel_flags = a_spectrum()

    assert not usable(flux, np.full(N_GRID, np.inf), pixel_flags)


def test_what_lies_between_the_detectors_does_not_count():
    flux, e_flux, pixel_flags = a_spectrum()
    flux[ON_GRID] = np.nan

    assert not usable(flux, e_flux, pixel_flags)


def test_one_good_pixel_is_enough_if_its_detector_has_a_continuum():
    flux, e_flux, pixel_flags = a_spectrum()
    pixel_flags[:] = 1
    pixel_flags[ON_GRID[1]] = 0
    no_continuum = flux.copy()
    no_continuum[CONTINUUM_ON_GRID] = np.nan

    assert usable(flux, e_flux, pixel_flags)
    assert not usable(no_continuum, e_flux, pixel_flags)


def test_each_spectrum_is_judged_alone():
    flux, e_flux, pixel_flags = (np.stack([array] * 3) for array in a_spectrum())
    flux[1] = 0

    assert usable(flux, e_flux, pixel_flags).tolist() == [True, False, True]


# > The room


PIXELS = ("spectra/grid", "spectra/rectify")
ROOM = "pipelines/astronn_dist"
NETWORK = (f"{ROOM}/network/bcnn", f"{ROOM}/network/sampling")
WEIGHTS = (f"{ROOM}/weights/files", f"{ROOM}/weights/formats")
#: All but the zero-point: where the ecliptic lies astropy knows.
DISTANCES = [f"{ROOM}/distances/{name}" for name in ("distance", "full_errors", "parallaxes", "results")]


@pytest.mark.parametrize("name", [*PIXELS, *NETWORK, *DISTANCES])
def test_the_computation_touches_neither_files_nor_rows(name):
    assert not imported(name) & {"astropy", "peewee", "astra.models", "astra.database"}


@pytest.mark.parametrize("name", [*PIXELS, *WEIGHTS, *DISTANCES])
def test_torch_is_not_imported_before_it_is_needed(name):
    assert not imported(name, at_the_top=True) & {"torch", "h5py", "safetensors", "astroNN"}


def imported(name, at_the_top=False):
    """The modules that one of this package imports, and the packages that these are in."""
    (folder,) = astra.__path__
    module = ast.parse(Path(folder, f"{name}.py").read_text(encoding="utf-8"))
    found = set()
    for node in module.body if at_the_top else ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found | {name.partition(".")[0] for name in found}
