"""Samples of observed stars."""

from dataclasses import fields, replace

import numpy as np
import pytest
from toy_simulator import toy_simulator

from astra.modelling.simulator import sample as module
from astra.modelling.simulator.sample import Sample, simulate, simulate_chunk
from astra.modelling.simulator.simulator import Conditions
from astra.modelling.simulator.stars import MIX
from astra.spectra.grid import N_GRID

CHUNK = 10


@pytest.fixture
def toy(monkeypatch):
    """A simulator without files, that draws a few stars at a time."""
    monkeypatch.setattr(module, "CHUNK", CHUNK)
    return toy_simulator()


def _same(first: Sample, second: Sample) -> bool:
    names = [field.name for field in fields(Sample) if field.name != "stars"]
    stars = zip(vars(first.stars).values(), vars(second.stars).values(), strict=True)
    arrays = [(getattr(first, name), getattr(second, name)) for name in names]
    return all(np.array_equal(a, b) for a, b in [*arrays, *stars])


def _first(sample: Sample, n: int) -> Sample:
    return sample.take(np.arange(n))


@pytest.mark.parametrize("n", [1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_a_star_is_the_same_however_many_are_drawn(toy, n):
    many = simulate(toy, CHUNK + 5, seed=3)

    assert _same(simulate(toy, n, seed=3), _first(many, n))


def test_a_simulator_from_files_repeats_itself_too(simulator, noisy):
    assert _same(simulate(simulator, 5, seed=1), _first(noisy, 5))


def test_another_seed_gives_other_stars(toy):
    first, second = (simulate(toy, 2 * CHUNK, seed=seed) for seed in (1, 2))

    assert not np.isin(first.abs_ks, second.abs_ks).any()


def test_chunks_of_a_seed_have_no_star_in_common(toy):
    first, second = (simulate_chunk(toy, 1, index, Conditions()) for index in range(2))

    assert not np.isin(first.abs_ks, second.abs_ks).any()


def test_a_sample_has_a_row_for_each_star_in_every_array(noisy):
    assert len(noisy) == len(noisy.stars) == 256
    for name in ("flux", "e_flux", "pixel_flags"):
        assert getattr(noisy, name).shape == (256, N_GRID)
    for name in ("abs_ks", "fakemag", "flux_ratio", "separation", "snr", "n_visits"):
        assert getattr(noisy, name).shape == (256,)


def test_classes_have_their_shares(noisy):
    for kind, share in MIX.items():
        assert abs((noisy.stars.kind == kind).sum() - 256 * share) < 5 * np.sqrt(256 * share), kind


def test_a_pseudo_luminosity_times_the_distance_gives_the_magnitude(noisy):
    distance = 250.0
    apparent = noisy.abs_ks + 5 * np.log10(distance / 10)

    assert np.allclose(noisy.fakemag, 1000 / distance * 10 ** (0.2 * apparent))


def test_systems_are_brighter_than_their_primaries(noisy):
    assert (noisy.abs_ks <= noisy.stars.abs_ks).all()
    assert ((noisy.abs_ks < noisy.stars.abs_ks) == (noisy.flux_ratio > 0)).all()
    giants = np.isin(noisy.stars.kind, ("rgb", "red_clump"))
    assert not noisy.flux_ratio[giants].any()
    assert 0.02 < (noisy.flux_ratio > 0).mean() < 0.12


def test_conditions_decide_the_mix_and_the_signal_to_noise_ratio(toy):
    conditions = Conditions(mix={"dwarf": 1.0}, snr=(50.0, 60.0))

    sample = simulate(toy, 40, conditions=conditions)

    assert set(sample.stars.kind) == {"dwarf"}
    assert 50 <= sample.snr.min() < sample.snr.max() <= 60


def test_noise_changes_nothing_but_the_pixels(noisy, clean):
    assert np.array_equal(noisy.abs_ks, clean.abs_ks)
    assert np.array_equal(noisy.snr, clean.snr)
    assert not np.array_equal(noisy.flux, clean.flux)


def test_no_more_chunks_are_drawn_than_are_needed(toy, monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "simulate_chunk", lambda *a: drawn.append(a[2]) or simulate_chunk(*a))

    simulate(toy, CHUNK + 1)

    assert drawn == [0, 1]


def test_labels_of_a_spectrum_are_a_little_off_those_of_the_star(toy, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 100)
    seen = []

    class Emulator:
        def spectra(self, labels):
            seen.append(labels)
            return toy.emulator.spectra(labels)

    conditions = Conditions(companions={}, label_jitter=(35.0, 0.04, 0.03, 0.02))
    sample = simulate(replace(toy, emulator=Emulator()), 100, conditions=conditions)

    offset = seen[0] - sample.stars.labels()
    assert np.allclose(offset.std(axis=0), conditions.label_jitter, rtol=0.3)
    assert np.abs(offset.mean(axis=0) / conditions.label_jitter).max() < 0.4


def test_only_stars_of_the_classes_named_get_spectra_of_other_emulators(full):
    conditions = Conditions(foreign={"dwarf": 1.0}, companions={})
    without = replace(conditions, foreign={})

    mixed, pure = (simulate(full, CHUNK, seed=4, conditions=each) for each in (conditions, without))

    changed = (mixed.flux != pure.flux).any(axis=1)
    assert set(mixed.stars.kind[changed]) == {"dwarf"}
    assert changed[mixed.stars.kind == "dwarf"].all()
