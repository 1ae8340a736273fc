"""The grid of synthetic spectra, and the emulator of all stars that is made from it and the others."""

import re
import shutil

import numpy as np
import pytest

from astra.errors import ConfigError
from astra.modelling.simulator.emulators import EMULATED, RANGES
from astra.modelling.simulator.observe import broaden
from astra.modelling.simulator.published import (
    COOL,
    GRID,
    HOT,
    LOGGS,
    METALLICITIES,
    _linear,
    _smooth,
    read_blended,
    read_grid,
)
from astra.spectra.grid import N_GRID

GIANT, DWARF = [4700.0, 2.5, -0.2, 0.1], [5600.0, 4.5, 0.1, 0.0]


@pytest.fixture(scope="module")
def emulator(full):
    return full.emulator


# > The grid


def test_the_grid_gives_its_own_spectra_at_its_nodes(models):
    grid = read_grid(models / GRID)
    labels = [(t, g, m, 0.0) for t in COOL for g in LOGGS for m in METALLICITIES]
    labels += [(t, 4.0, 0.0, 0.0) for t in HOT]

    flux = grid.spectra(np.array(labels))

    stored = np.concatenate([grid.cool.reshape(-1, N_GRID), grid.hot])
    assert np.allclose(flux, stored, atol=1e-6)


def test_beyond_its_nodes_the_grid_is_constant_and_linear_between_the_hot_ones(models):
    grid = read_grid(models / GRID)
    outside = grid.spectra(np.array([[3000.0, 6.0, 0.5, 0.0], [30_000.0, 4.0, 0.0, 0.0]]))
    edge = grid.spectra(np.array([[3500.0, 5.0, 0.0, 0.0], [25_000.0, 4.0, 0.0, 0.0]]))
    middle = grid.spectra(np.array([[17_500.0, 4.0, 0.0, 0.0], [12_500.0, 3.5, 0.0, 0.0]]))

    assert np.array_equal(outside, edge)
    assert np.allclose(middle[0], grid.hot[:2].mean(axis=0), atol=1e-6)
    coolest = grid.cool[-1, 1, 2]
    assert np.allclose(middle[1], (coolest + grid.hot[0]) / 2, atol=1e-6)


def test_between_nodes_a_smooth_grid_is_nearer_to_the_truth_than_a_linear_one(emulator):
    network = emulator.synthetic.inner
    nodes = np.array([4000.0, 4500, 5000, 6000, 7000]), LOGGS, np.array([-0.9, -0.2, 0.5])
    corners = np.stack([axis.ravel() for axis in np.meshgrid(*nodes, 0.0, indexing="ij")], axis=1)
    rng = np.random.default_rng(1)
    labels = rng.uniform([4100, 2.1, -0.9, 0], [6900, 4.9, 0.5, 1e-9], (300, 4))
    truth, known = network.spectra(labels)[:, EMULATED], network.spectra(corners)[:, EMULATED]

    def rms(weights_of):
        weights = [weights_of(axis, values) for axis, values in zip(nodes, labels.T, strict=False)]
        found = np.einsum("nt,ng,nm->ntgm", *weights).reshape(len(labels), -1) @ known
        return np.sqrt(np.mean((found - truth) ** 2))

    assert rms(_smooth) < 0.7 * rms(_linear)


# > Real stars


def _fitted(spectra, real, weight, labels):
    """Labels, shift and broadening [km/s] of the best spectrum, by Gauss-Newton steps."""

    def model(values):
        (flux,) = broaden(spectra(np.array([values[:4]])), *(np.array([v]) for v in (*values[4:], 0.0)))
        return flux[EMULATED]

    values, steps = np.array([*labels, 0.0, 5.0]), np.array([20.0, 0.03, 0.02, 0.02, 0.3, 0.3])
    for _ in range(6):
        now = model(values)
        slopes = np.stack([(model(values + step) - now) for step in np.diag(steps)], axis=1)
        change = np.linalg.lstsq(slopes * weight[:, None], (real - now) * weight, rcond=None)[0]
        values = values + steps * np.clip(change, -20, 20)
    return values, real - model(values)


def test_a_real_dwarf_is_matched_as_well_as_the_simulation_assumes(full, spectra_models):
    with np.load(spectra_models / "main_sequence" / "spectrum_ap_id_2M13012770+5754582_.npz") as file:
        real, error = file["spectrum"].astype(float), file["spec_err"].astype(float)
    good = error < 0.05

    values, residual = _fitted(full.emulator.spectra, real, good.astype(float), (5200, 4.4, 0.0, 0.0))

    assert values[:2] == pytest.approx([4920, 4.57], abs=150)
    assert abs(values[4]) < 3
    width = 1.4826 * np.median(np.abs(residual[good]))
    beyond_noise = np.sqrt(width**2 - np.median(error[good]) ** 2)
    assumed = 1.3 * np.median(full.scatter[EMULATED][good])  # of a dwarf, see observe.py
    assert 0.7 < beyond_noise / assumed < 1.4


# > Between the emulators


def _shift(flux, other):
    """How far a spectrum lies to the red of another, detector by detector [pixels]."""
    for begin, end in RANGES:
        difference, slope = (flux - other)[begin:end], np.gradient(other[begin:end])
        yield -np.dot(difference - difference.mean(), slope) / np.dot(slope, slope)


def test_synthetic_spectra_lie_where_the_real_stars_do_and_look_like_them(emulator):
    for name, labels in (("giants", GIANT), ("giants", [4500, 2.0, -0.4, 0.1]), ("dwarfs", DWARF)):
        (real,) = getattr(emulator, name).spectra(np.array([labels]))
        for other in ("synthetic", "grid"):
            (synthetic,) = getattr(emulator, other).spectra(np.array([labels]))
            assert max(map(abs, _shift(synthetic, real))) < 0.1, (name, other)
            assert np.std((synthetic - real)[EMULATED]) < 0.035, (name, other)


PATHS = {
    "gravity": ([5000, 0.5, -0.2, 0.05], [5000, 5.0, -0.2, 0.05]),
    "dwarfs": ([3400, 4.4, -0.2, 0.05], [12_000, 4.4, -0.2, 0.05]),
    "giants": ([3400, 2.0, -0.2, 0.05], [9000, 2.0, -0.2, 0.05]),
    "metals of giants": ([4700, 2.5, -2.0, 0.05], [4700, 2.5, 0.4, 0.05]),
    "metals of dwarfs": ([5500, 4.5, -2.0, 0.05], [5500, 4.5, 0.4, 0.05]),
    "alpha": ([4700, 2.5, -0.5, -0.15], [4700, 2.5, -0.5, 0.45]),
}


@pytest.mark.parametrize("path", PATHS)
def test_similar_stars_have_similar_spectra_also_where_emulators_meet(simulator, path):
    labels = np.linspace(*PATHS[path], 100)

    step = np.abs(np.diff(simulator.emulator.spectra(labels), axis=0)).mean(axis=1)

    # A jump would stand out from the steps around it.
    around = np.maximum(np.median(step), np.convolve(step, np.ones(9) / 9, mode="same"))
    assert (step < 4 * around).all()
    assert step.max() < 0.007


def test_no_spectrum_of_a_drawn_star_is_absurd(simulator):
    stars = simulator.population.draw(300, np.random.default_rng(2))

    flux = simulator.emulator.spectra(stars.labels())

    assert flux.dtype == np.float32
    assert flux.shape == (300, N_GRID)
    assert 0.2 < flux.min() < 0.6
    assert 1.0 < flux.max() < 1.25
    means = flux[:, EMULATED].mean(axis=1)
    assert 0.88 < means.min() < means.max() < 1.02


def test_lines_are_deeper_in_cooler_and_in_richer_stars(simulator):
    def depth(labels):
        return 1 - simulator.emulator.spectra(np.array(labels, float))[:, EMULATED].mean(axis=1)

    for labels in (
        [(t, 2.0, 0, 0) for t in (5000, 4500, 4000, 3700)],
        [(t, 4.5, 0, 0) for t in (6800, 6000, 5000, 4500)],
        [(4500, 2.0, m, 0.1) for m in (-2, -1.2, -0.6, 0, 0.3)],
        [(5500, 4.4, m, 0.1) for m in (-2, -1.2, -0.6, 0, 0.3)],
    ):
        assert (np.diff(depth(labels)) > 0).all(), labels


def test_a_spectrum_does_not_depend_on_those_it_is_computed_with(simulator):
    labels = simulator.population.draw(40, np.random.default_rng(3)).labels()

    together = simulator.emulator.spectra(labels)

    assert np.allclose(together[7], simulator.emulator.spectra(labels[7:8])[0], atol=1e-5)


# > Files


def test_a_damaged_grid_is_named_in_one_line(made_models, tmp_path, damage):
    path = tmp_path / GRID
    shutil.copyfile(made_models / GRID, path)
    damage(path)

    with pytest.raises(ConfigError, match=re.escape(str(path))) as caught:
        read_grid(path)

    assert "\n" not in str(caught.value)


def test_a_grid_without_one_of_the_spectra_is_refused(made_models, tmp_path):
    from astropy.io import fits

    with fits.open(made_models / GRID) as hdus:
        hdus[3].data[:] = 4321.0
        hdus.writeto(tmp_path / GRID)

    with pytest.raises(ConfigError, match=re.escape(GRID)):
        read_grid(tmp_path / GRID)


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path))):
        read_blended(tmp_path)
