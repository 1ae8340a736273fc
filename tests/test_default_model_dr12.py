"""The labels of DR12 that the default model is measured with: what seismic gravities say of them."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astra.modelling.simulator.emulators import on_giants_scale

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "default_model"

# Columns of the emulator's table.
TEFF, LOGG, METALLICITY, ALPHA = range(4)


@pytest.fixture
def dr12(monkeypatch):
    """The module of the benchmark, forgotten afterwards."""
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("dr12")
    del sys.modules["dr12"]


@pytest.fixture(scope="module")
def fitted(shared: Path) -> dict[str, np.ndarray]:
    """By star, the labels that the emulator of giants was fitted to."""
    table = shared / "data/spectra_models/cannon_giants/training_apokasc_gc_ind_feh_fix.txt"
    rows = [line.split() for line in table.read_text().splitlines()]
    return {row[0].rsplit("2M", 1)[-1].removesuffix(".fits"): np.array(row[1:], float) for row in rows}


@pytest.fixture(scope="module")
def seismic(shared: Path, fitted) -> dict[str, np.ndarray]:
    """Giants of known state in the emulator's table: its labels, raw and seismic gravity, and the state."""
    with fits.open(shared / "data/catalogs/APOKASC_Catalog.v7.1.fits") as hdus:
        data = hdus[1].data
        star = [name.strip().lstrip("J") for name in data["2MASS ID"]]
        raw, logg = (np.asarray(data[name], float) for name in ("FIT_ASPCAP LOGG", "KASC_RG_LOGG_SCALE_2"))
        state = np.char.strip(np.asarray(data["SEISMO EVOL"]).astype(str))
    known = np.isin(star, list(fitted)) & np.isin(state, ("RGB", "CLUMP")) & (raw > 0) & (logg > 0)
    rows = np.flatnonzero(known)
    labels = np.array([fitted[star[row]] for row in rows])
    return {"labels": labels, "raw": raw[rows], "logg": logg[rows], "clump": state[rows] == "CLUMP"}


def test_the_emulator_of_giants_was_fitted_to_the_labels_of_dr12(shared, fitted):
    with fits.open(shared / "data/catalogs/APOGEE-allStar-v603-Hipparcos.fits.gz") as hdus:
        data = hdus[1].data
        star = [name[2:].strip() for name in data["APOGEE_ID"]]
        names = {TEFF: "TEFF", METALLICITY: "FE_H", ALPHA: "PARAM_ALPHA_M"}
        theirs = {label: np.asarray(data[name], float) for label, name in names.items()}
    common = [row for row, name in enumerate(star) if name in fitted]

    assert len(common) == 3
    ours = np.array([fitted[star[row]] for row in common])
    for label, tolerance in ((TEFF, 1), (METALLICITY, 0.0006), (ALPHA, 0.0006)):  # as they are rounded
        np.testing.assert_allclose(ours[:, label], theirs[label][common], atol=tolerance)


def test_clump_stars_are_told_from_others_by_their_labels(dr12, seismic):
    labels = seismic["labels"]

    found = dr12.in_clump(labels[:, TEFF], seismic["raw"], labels[:, METALLICITY])

    assert len(found) == 383
    assert found[seismic["clump"]].mean() > 0.9
    assert found[~seismic["clump"]].mean() < 0.1


def test_the_gravity_of_clump_stars_is_the_seismic_one(dr12, seismic):
    clump = seismic["clump"]

    error = dr12.clump_logg(seismic["raw"][clump]) - seismic["logg"][clump]

    assert abs(np.median(error)) < 0.015
    as_released = 1.14 * seismic["raw"][clump] - 0.588 - seismic["logg"][clump]
    assert np.median(as_released) > 0.13


def test_the_emulator_is_asked_for_the_labels_of_dr12(dr12):
    rng = np.random.default_rng(0)
    labels = np.stack(
        [
            rng.uniform(3800, 5500, 1000),
            rng.uniform(0.5, 3.5, 1000),
            rng.uniform(-2, 0.5, 1000),
            rng.uniform(-0.1, 0.4, 1000),
        ],
        axis=1,
    )
    nobody = np.full(len(labels), 9.0)  # no gravity of the clump

    moved = dr12.on_isochrones_scale(labels, nobody)

    np.testing.assert_allclose(on_giants_scale(moved), labels, atol=1e-9)
