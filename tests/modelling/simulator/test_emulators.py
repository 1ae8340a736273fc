"""Published emulators: spectra of giants and dwarfs, and synthetic ones, from labels."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from astra.errors import ConfigError
from astra.modelling.simulator.emulators import (
    EMULATED,
    QUADRATIC,
    RANGES,
    VMACRO,
    Extended,
    OnGiantsScale,
    QuadraticEmulator,
    on_giants_scale,
    read_dwarfs,
    read_quadratic,
    read_synthetic,
)
from astra.modelling.simulator.published import read_blended
from astra.spectra.grid import DETECTORS, N_GRID, wavelength

GIANT, DWARF = [4700.0, 2.5, -0.2, 0.1], [5600.0, 4.5, 0.1, 0.0]
SOME = [0, 3000, 7213]


# > One pixel, computed another way


def test_pixels_have_the_wavelengths_that_were_published(spectra_models):
    with np.load(spectra_models / "main_sequence" / "apogee_wavelength.npz") as file:
        assert np.allclose(wavelength()[EMULATED], file["wavelength"], rtol=1e-9)


def test_the_emulated_pixels_lie_on_the_detectors():
    for (begin, end), (first, last) in zip(RANGES, DETECTORS, strict=True):
        assert first < begin < end < last


def test_a_pixel_of_a_giant_is_the_quadratic_of_its_labels(models):
    coefficients = np.loadtxt(models / "cannon_giants" / f"{QUADRATIC}.txt")[:, SOME]
    t, g, m, a = np.array(GIANT) - [4500, 2, -0.3, 0.05]
    terms = [1, t, g, m, a, t * t, t * g, t * m, t * a, g * g, g * m, g * a, m * m, m * a, a * a]

    (flux,) = read_quadratic(models / "cannon_giants").spectra(np.array([GIANT]))

    assert flux[EMULATED[SOME]] == pytest.approx(np.dot(terms, coefficients), abs=2e-5)


def test_a_pixel_of_a_dwarf_is_the_network_of_its_labels(models):
    with np.load(models / "main_sequence" / "NN_normalized_spectra.npz") as file:
        arrays = {name: file[name].astype(float) for name in file.files}
    labels = (np.array([*DWARF, VMACRO]) - arrays["x_min"]) / (arrays["x_max"] - arrays["x_min"]) - 0.5
    hidden = 1 / (1 + np.exp(-(arrays["w_array_0"][SOME] @ labels + arrays["b_array_0"][SOME])))

    (flux,) = read_dwarfs(models / "main_sequence").spectra(np.array([DWARF]))

    expected = (arrays["w_array_1"][SOME] * hidden).sum(axis=1) + arrays["b_array_1"][SOME]
    assert flux[EMULATED[SOME]] == pytest.approx(expected, abs=1e-5)


# > Outside of their boxes


class _Linear:
    """Flux that is a multiple of the first label everywhere."""

    def __init__(self, slope):
        self.slope = slope

    def spectra(self, labels):
        return np.repeat(self.slope * labels[:, :1], N_GRID, axis=1)


@settings(max_examples=20)
@given(st.floats(-10, 10))
def test_outside_its_box_an_emulator_goes_on_with_the_changes_of_another(teff):
    box = (0.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0, 1.0)
    extended = Extended(_Linear(2.0), box, _Linear(0.5))

    (flux,) = extended.spectra(np.array([[teff, 0.5, 0.5, 0.5]]))

    inside = min(max(teff, 0.0), 1.0)
    assert flux == pytest.approx(2.0 * inside + 0.5 * (teff - inside))


def test_the_emulator_of_giants_is_asked_on_its_own_scale_and_inside_of_its_box(made_models):
    giants = read_blended(made_models).giants

    assert isinstance(giants, OnGiantsScale)
    assert isinstance(giants.inner, Extended)
    assert isinstance(giants.inner.inner, QuadraticEmulator)


# > The scale of the labels of giants


SEISMIC = ("TEFF_SCALE_2", "KASC_RG_LOGG_SCALE_2", "METAL_SCALE_2", "CORR_ASPCAP ALPHAFE")


@pytest.fixture(scope="module")
def common(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the same giants: of the seismic catalogue, and of the fit; shape (N, 4) each."""
    table = shared / "data/spectra_models/cannon_giants/training_apokasc_gc_ind_feh_fix.txt"
    rows = [line.split() for line in table.read_text().splitlines()]
    fitted = {row[0].rsplit("-", 1)[-1].removesuffix(".fits"): [float(v) for v in row[1:]] for row in rows}
    with fits.open(shared / "data/catalogs/APOKASC_Catalog.v7.1.fits") as hdus:
        data = hdus[1].data
        star = [name.strip().replace("J", "2M", 1) for name in data["2MASS ID"]]
        seismic = np.stack([np.asarray(data[name], float) for name in SEISMIC], axis=1)
    known = np.array([name in fitted for name in star]) & (np.abs(seismic) < 9000).all(axis=1)
    return seismic[known], np.array([fitted[star[row]] for row in np.flatnonzero(known)])


def test_the_scale_is_that_of_the_stars_that_the_emulator_was_fitted_to(common):
    seismic, fitted = common
    assert len(seismic) == 1641

    difference = np.median(fitted - on_giants_scale(seismic), axis=0)

    assert np.all(np.abs(difference) < [10, 0.005, 0.01, 0.005])
    assert np.median(fitted - seismic, axis=0)[0] > 80  # without it, 14 % in distance


#: Of temperature, metallicity and mixture: ranges, the stars that each has at least, the largest differences.
LABEL_RANGES = {
    0: ([(4000, 4350), (4600, 4800), (4800, 5100)], 40, [30, 0.01, 0.03, 0.02]),
    2: ([(-0.9, -0.4), (-0.4, 0.0), (0.0, 0.3)], 100, [25, 0.01, 0.03, 0.02]),
    # In temperature, less than what the simulation scatters labels by.
    3: ([(-0.05, 0.05), (0.05, 0.15), (0.15, 0.3)], 60, [35, 0.01, 0.03, 0.02]),
}


@pytest.mark.parametrize("label", LABEL_RANGES)
def test_the_scale_holds_over_the_whole_range_of_a_label(common, label):
    seismic, fitted = common
    ranges, least, limits = LABEL_RANGES[label]
    for low, high in ranges:
        rows = (seismic[:, label] > low) & (seismic[:, label] < high)
        assert rows.sum() > least

        difference = np.median((fitted - on_giants_scale(seismic))[rows], axis=0)
        assert np.all(np.abs(difference) < limits), (low, high)


def test_metal_poor_giants_keep_the_metallicity_of_their_cluster():
    labels = np.array([[4600.0, 1.5, metallicity, 0.2] for metallicity in (-1.2, -1.5, -2.2)])

    assert on_giants_scale(labels)[:, 2].tolist() == labels[:, 2].tolist()


@given(st.floats(3500, 7000), st.floats(0, 40))
def test_a_hotter_star_is_hotter_on_any_scale(teff, step):
    cooler, hotter = on_giants_scale(np.array([[teff, 2.5, 0.0, 0.0], [teff + step, 2.5, 0.0, 0.0]]))

    assert hotter[0] >= cooler[0]


def test_the_labels_that_are_passed_stay_as_they_are():
    labels = np.array([[4700.0, 2.5, -0.2, 0.1]])

    on_giants_scale(labels)

    assert labels.tolist() == [[4700.0, 2.5, -0.2, 0.1]]


# > Files


FILES = {
    f"cannon_giants/{QUADRATIC}.txt": read_quadratic,
    "cannon_giants/baseline_labels.txt": read_quadratic,
    "main_sequence/NN_normalized_spectra.npz": read_dwarfs,
    "main_sequence/NN_unnormalized_spectra.npz": read_synthetic,
    "main_sequence/cannon_cont_pixels_apogee.npz": read_synthetic,
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_model_is_named_in_one_line(made_models, tmp_path, name, damage):
    path = tmp_path / name
    shutil.copytree((made_models / name).parent, path.parent)
    damage(path)

    with pytest.raises(ConfigError) as caught:
        FILES[name](path.parent)

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arrays_of_other_shapes_are_refused(made_models, tmp_path):
    with np.load(made_models / "main_sequence" / "NN_normalized_spectra.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "NN_normalized_spectra.npz", **arrays | {"w_array_1": arrays["w_array_1"][:-1]})

    with pytest.raises(ConfigError, match=r"w_array_1 has shape \(7213, 5\)"):
        read_dwarfs(tmp_path)
