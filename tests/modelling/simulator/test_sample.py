"""Samples of observed stars, and unresolved companions."""

from dataclasses import fields, replace

import numpy as np
import pytest
from toy_simulator import toy_simulator

from astra.modelling.simulator import sample as module
from astra.modelling.simulator.emulators import EMULATED
from astra.modelling.simulator.sample import (
    LOWEST_MASS_RATIO,
    Sample,
    _closest,
    _combined,
    _partners,
    _synchronous,
    add_companions,
    simulate,
    simulate_chunk,
)
from astra.modelling.simulator.simulator import Conditions, with_pairs
from astra.modelling.simulator.stars import KINDS, MIX
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


def test_five_stars_of_either_simulator_are_the_first_of_a_larger_sample(simulator, noisy):
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
    assert 0 < (noisy.flux_ratio[giants] > 0).mean() < 0.15
    assert 0.05 < (noisy.flux_ratio > 0).mean() < 0.2


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


# > Companions

ALL = dict.fromkeys(KINDS, 1.0)


@pytest.fixture(scope="module")
def stars(simulator):
    mix = {"dwarf": 0.5, "m_dwarf": 0.2, "subgiant": 0.3}
    return simulator.population.draw(300, np.random.default_rng(4), mix)


@pytest.fixture(scope="module")
def flux(simulator, stars):
    return simulator.emulator.spectra(stars.labels())


@pytest.fixture(scope="module")
def pair(simulator, stars, flux):
    """Gives all stars companions under some conditions."""

    def call(**changes):
        conditions = replace(Conditions(companions=ALL), **changes)
        return add_companions(simulator, stars, flux, np.random.default_rng(5), conditions)

    return call


def test_the_magnitude_of_a_system_is_that_of_the_light_of_both_stars(pair, stars):
    pairs = pair()

    light = 10 ** (-0.4 * stars.abs_ks)
    assert np.allclose(10 ** (-0.4 * pairs.abs_ks), light + pairs.flux_ratio * light)
    assert (pairs.flux_ratio > 0).all()
    assert (pairs.flux_ratio <= 1).all()


def test_only_the_stars_that_shall_have_companions_get_one(simulator, stars, flux):
    conditions = Conditions(companions={"subgiant": 0.5})

    pairs = add_companions(simulator, stars, flux, np.random.default_rng(6), conditions)

    has = pairs.flux_ratio > 0
    assert set(stars.kind[has]) == {"subgiant"}
    assert has[stars.kind == "subgiant"].mean() == pytest.approx(0.5, abs=0.15)
    assert np.array_equal(pairs.flux[~has], flux[~has])
    assert np.array_equal(pairs.abs_ks[~has], stars.abs_ks[~has])
    assert (pairs.separation[~has] == 0).all()


def test_a_twin_with_lines_at_the_same_place_changes_nothing_but_the_light(pair, flux, stars):
    pairs = pair(twins=1.0, double_lined=0.0)

    together = np.abs(pairs.separation) < 1.0
    assert together.sum() > 10
    assert np.abs(pairs.flux - flux)[together][:, EMULATED].max() < 0.03
    assert np.abs(pairs.flux - flux)[together].mean() < 0.001
    assert ((stars.abs_ks - pairs.abs_ks) > 0.65).all()  # twice the light is 0.75 mag


def test_a_twin_with_its_own_velocity_spreads_the_lines_and_keeps_their_strength(pair, flux):
    pairs = pair(twins=1.0, double_lined=1.0)

    assert (pairs.separation >= 10).all()
    assert (pairs.separation <= 250).all()
    row = np.argmax(pairs.separation)
    before, after = 1 - flux[row], 1 - pairs.flux[row]
    assert after.sum() == pytest.approx(before.sum(), rel=0.01)
    assert (after**2).sum() < 0.9 * (before**2).sum()


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.1, 0.45, 0.6), (1.0, 0.02, 0.2)])
def test_a_star_stays_where_it_is_if_its_velocity_is_taken_out_and_twins_take_turns(ratio, least, most):
    n, pixels = 400, np.arange(N_GRID)
    line = 1 - 0.5 * np.exp(-0.5 * ((pixels - 4000) / 2) ** 2).astype(np.float32)
    first, second = np.tile(line, (n, 1)), np.ones((n, N_GRID), np.float32)

    combined = _combined(first, second, np.full(n, ratio), np.full(n, 60.0), np.random.default_rng(4))

    kept = (1 - combined[:, 4000]) * (1 + ratio) / 0.5
    assert least < np.mean(kept > 0.99) < most


def test_as_many_are_twins_and_double_lined_as_the_conditions_say(pair):
    pairs = pair(twins=0.25, double_lined=0.7)

    assert (np.abs(pairs.separation) >= 10).mean() == pytest.approx(0.7, abs=0.1)
    assert 0.2 < (pairs.flux_ratio > 0.9).mean() < 0.5


def test_companions_are_born_with_their_stars(simulator, stars):
    candidates = simulator.population.draw(
        600, np.random.default_rng(7), {"dwarf": 0.6, "m_dwarf": 0.2, "subgiant": 0.2}
    )

    chosen = candidates.take(_closest(stars, candidates, np.random.default_rng(8)))

    ratio = chosen.mass / stars.mass
    assert (ratio <= 1).mean() > 0.98
    assert LOWEST_MASS_RATIO - 0.15 < np.percentile(ratio, 5) < 0.6
    assert np.median(np.abs(chosen.metallicity - stars.metallicity)) < 0.1
    assert np.median(np.abs(chosen.log_age - stars.log_age)) < 0.2


def test_companions_of_giants_are_fainter_and_as_old_and_often_giants_themselves(simulator):
    giants = simulator.population.draw(200, np.random.default_rng(1), {"rgb": 0.6, "red_clump": 0.4})

    chosen = _partners(simulator, giants, np.random.default_rng(8))

    assert (chosen.abs_ks > giants.abs_ks).all()
    assert np.median(np.abs(chosen.log_age - giants.log_age)) < 0.2
    assert np.median(np.abs(chosen.metallicity - giants.metallicity)) < 0.2
    assert 0.2 < np.isin(chosen.kind, ("rgb", "red_clump")).mean() < 0.6
    assert 0.3 < (chosen.kind == "subgiant").mean() < 0.7


def test_giants_have_companions_but_no_twins(simulator):
    giants = simulator.population.draw(200, np.random.default_rng(1), {"rgb": 0.6, "red_clump": 0.4})
    flux = simulator.emulator.spectra(giants.labels())

    pairs = add_companions(
        simulator,
        giants,
        flux,
        np.random.default_rng(2),
        Conditions(companions={"rgb": 1.0, "red_clump": 1.0}),
    )

    assert (pairs.flux_ratio > 0).all()
    assert (pairs.flux_ratio > 0.9).mean() < 0.1


def test_stars_are_drawn_as_a_survey_sees_them_if_the_conditions_say_so(toy):
    sample = simulate(toy, 256, seed=3, conditions=Conditions(natural=True))

    assert set(sample.stars.kind) == {"dwarf", "rgb"}


def test_the_spectra_that_are_passed_stay_as_they_are(pair, flux):
    before = flux.copy()

    pair()

    assert np.array_equal(flux, before)


def test_without_stars_that_have_companions_nothing_is_done(simulator, stars, flux):
    pairs = add_companions(simulator, stars, flux, np.random.default_rng(9), Conditions(companions={}))

    assert np.array_equal(pairs.flux, flux)
    assert not pairs.flux_ratio.any()


def test_more_of_the_warm_stars_have_companions(simulator, stars, flux):
    conditions = Conditions(companions={"dwarf": 0.1, "subgiant": 0.1}, warm_companions=0.9)

    has = add_companions(simulator, stars, flux, np.random.default_rng(6), conditions).flux_ratio > 0

    warm, others = stars.teff > 6000, np.isin(stars.kind, ("dwarf", "subgiant"))
    assert has[warm & others].mean() > 0.7
    assert has[~warm & others].mean() < 0.25
    assert not has[stars.kind == "m_dwarf"].any()


def test_without_companions_warm_stars_have_none_either(simulator, stars, flux):
    conditions = Conditions(companions={}, warm_companions=0.9)

    assert not add_companions(simulator, stars, flux, np.random.default_rng(6), conditions).flux_ratio.any()


def test_a_part_of_the_companions_can_be_left_out(simulator, stars, flux):
    conditions = Conditions(companions={"dwarf": 0.6, "subgiant": 0.6}, warm_companions=0.9)

    parts = [with_pairs(conditions, *part) for part in ((1.0, 0.9), (1 / 3, 0.9), (0.0, 0.0))]

    assert parts[0] == conditions
    whole, part, none = (
        add_companions(simulator, stars, flux, np.random.default_rng(6), each).flux_ratio > 0
        for each in parts
    )
    warm = stars.teff > 6000
    assert np.array_equal(part[warm], whole[warm])
    assert part[~warm].sum() == pytest.approx(whole[~warm].sum() / 3, rel=0.35)
    assert not none.any()


def test_close_pairs_turn_once_an_orbit_and_wide_ones_hardly():
    rng = np.random.default_rng(7)

    assert np.median(_synchronous(np.full(2000, 200.0), rng)) == pytest.approx(20, rel=0.05)
    assert not _synchronous(np.full(2000, 30.0), rng).any()
    assert _synchronous(np.full(2000, 250.0), rng).max() <= 100
