"""The labels of the emulator of giants: what it calls the stars that a catalogue calls otherwise."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from astra.modelling.simulator.emulators import on_giants_scale

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
RANGES = {
    0: ([(4000, 4350), (4600, 4800), (4800, 5100)], 40, [30, 0.01, 0.03, 0.02]),
    2: ([(-0.9, -0.4), (-0.4, 0.0), (0.0, 0.3)], 100, [25, 0.01, 0.03, 0.02]),
    # In temperature, less than what the simulation scatters labels by.
    3: ([(-0.05, 0.05), (0.05, 0.15), (0.15, 0.3)], 60, [35, 0.01, 0.03, 0.02]),
}


@pytest.mark.parametrize("label", RANGES)
def test_the_scale_holds_over_the_whole_range_of_a_label(common, label):
    seismic, fitted = common
    ranges, least, limits = RANGES[label]
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


def test_the_labels_given_stay_as_they_are():
    labels = np.array([[4700.0, 2.5, -0.2, 0.1]])

    on_giants_scale(labels)

    assert labels.tolist() == [[4700.0, 2.5, -0.2, 0.1]]
