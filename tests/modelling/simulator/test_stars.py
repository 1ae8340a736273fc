"""Which stars are drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra.modelling.simulator.stars import KINDS, MIX, Stars, classify, is_young

N = 60_000


@pytest.fixture(scope="module")
def drawn(simulator):
    return simulator.population.draw(N, np.random.default_rng(0))


@given(st.floats(2500, 50_000), st.floats(-1, 6), st.booleans())
def test_every_star_is_of_one_kind(teff, logg, burns_helium):
    (kind,) = classify(np.array([teff]), np.array([logg]), np.array([burns_helium]))

    assert kind in KINDS


@pytest.mark.parametrize(
    ("teff", "logg", "burns_helium", "kind"),
    [
        (4300, 1.5, False, "rgb"),
        (4800, 2.5, True, "red_clump"),
        (4800, 2.5, False, "rgb"),
        (5600, 3.8, False, "subgiant"),
        (5772, 4.44, False, "dwarf"),
        (3800, 4.8, False, "m_dwarf"),
        (9600, 4.0, False, "hot"),
        (6200, 2.7, True, "hot"),  # the horizontal branch, with RR Lyrae stars
    ],
)
def test_well_known_stars_are_of_the_kind_that_everyone_calls_them(teff, logg, burns_helium, kind):
    assert classify(np.array([teff]), np.array([logg]), np.array([burns_helium])) == [kind]


def test_the_classes_have_the_shares_that_were_asked_for(drawn):
    total = sum(share for kind, share in MIX.items() if kind != "young")
    for kind, share in MIX.items():
        # Neither holds stars that still contract.
        expected = 0 if kind == "young" else N * share / total
        assert abs((drawn.kind == kind).sum() - expected) <= 5 * np.sqrt(expected), kind


def test_another_mix_draws_only_what_it_names(simulator):
    stars = simulator.population.draw(3000, np.random.default_rng(1), {"dwarf": 3, "hot": 1})

    assert set(stars.kind) == {"dwarf", "hot"}
    assert abs((stars.kind == "dwarf").mean() - 0.75) < 0.04


def test_the_kind_of_a_star_is_the_one_of_its_labels(drawn):
    assert (drawn.kind == classify(drawn.teff, drawn.logg, drawn.kind == "red_clump")).mean() > 0.9999


def test_gravity_mass_temperature_and_magnitude_belong_to_one_star(drawn):
    log_l = np.log10(drawn.mass) + 4 * np.log10(drawn.teff / 5772) - (drawn.logg - 4.438)
    correction = 4.74 - 2.5 * log_l - drawn.abs_ks  # bolometric, for Ks

    # From the colour of a star: Bessell, Castelli & Plez 1998, A&A 333, 231, table 5 (K, solar metallicity).
    expected = np.interp(drawn.teff, [3500, 4000, 4500, 5000, 5500, 6000], [2.8, 2.5, 2.1, 1.8, 1.5, 1.2])
    cool = drawn.teff < 6000
    assert np.abs(correction - expected)[cool].max() < 0.5
    assert np.median(np.abs(correction - expected)[cool]) < 0.1


def test_alpha_enhanced_stars_lie_on_the_isochrone_of_their_total_metallicity(simulator, drawn):
    total = drawn.metallicity + np.log10(0.638 * 10**drawn.alpha + 0.362)

    grid = np.round(total, 1)  # isochrones in steps of a tenth, stars up to half a step from them
    assert np.abs(total - grid).max() <= 0.05 + 1e-9
    of_several_groups = simulator.name == "compact simulator"
    assert (grid.min(), grid.max()) == ((-2.5, 0.3) if of_several_groups else (-2.0, 0.2))


def test_alpha_is_that_of_two_discs(drawn):
    old, young = drawn.log_age > 9.7, drawn.log_age <= 9.7
    poor, rich = drawn.metallicity < -1, drawn.metallicity > 0

    assert (drawn.alpha[young] > 0.2).mean() < 0.01
    assert (drawn.alpha[old & poor] > 0.15).mean() > 0.7
    assert (drawn.alpha[old & rich] > 0.15).mean() < 0.3
    assert drawn.alpha.min() >= -0.15
    assert drawn.alpha.max() <= 0.45


def test_the_rare_tip_of_the_giant_branch_is_well_represented(drawn):
    magnitude = drawn.abs_ks[drawn.kind == "rgb"]

    for brightest in (-7, -6, -5, -4):
        assert ((magnitude > brightest) & (magnitude < brightest + 1)).mean() > 0.03


def test_some_stars_can_be_taken_by_index_or_by_mask(drawn):
    hot = drawn.take(drawn.kind == "hot")
    twice = drawn.take(np.array([5, 5]))

    assert set(hot.kind) == {"hot"}
    columns = (drawn.teff, drawn.logg, drawn.metallicity, drawn.alpha)
    assert twice.labels().tolist() == [[column[5] for column in columns]] * 2


def test_a_survey_sees_mostly_giants_and_the_clump_and_hardly_any_subgiant(simulator):
    kinds = simulator.population.draw(20_000, np.random.default_rng(0), None).kind

    share = {kind: (kinds == kind).mean() for kind in KINDS}
    assert 0.3 < share["rgb"] < 0.5
    assert 0.2 < share["red_clump"] < 0.35
    assert 0.15 < share["dwarf"] < 0.3
    assert share["subgiant"] < 0.1


@pytest.mark.parametrize(
    ("mass", "million_years", "young"),
    [(0.5, 10, True), (0.5, 120, False), (1.0, 20, True), (1.0, 50, False), (3.0, 1, True), (3.0, 5, False)],
)
def test_stars_contract_the_longer_the_less_massive_they_are(mass, million_years, young):
    assert is_young(np.array([mass]), np.log10(np.array([million_years * 1e6]))) == [young]


def _stars(**columns):
    ones = np.ones(len(next(iter(columns.values()))))
    usual = {"teff": 5000, "logg": 4.6, "metallicity": 0, "alpha": 0, "mass": 0.8, "log_age": 9.5}
    usual |= {"abs_j": 4.6, "abs_h": 4.1, "abs_ks": 4.0}
    stars = {name: value * ones for name, value in usual.items()} | columns
    return Stars(**{"kind": np.full(len(ones), "dwarf", "U10")} | stars)


def test_stars_that_no_emulator_covers_are_known():
    stars = _stars(
        teff=np.array([5000, 3400, 30_000, 5000, 4000.0]),
        metallicity=np.array([0, 0, 0, -2.3, 0]),
        kind=np.array(["dwarf", "m_dwarf", "hot", "dwarf", "young"]),
    )

    assert stars.beyond.tolist() == [False, True, True, True, True]


def test_the_same_generator_draws_the_same_stars(simulator):
    first, second = (simulator.population.draw(50, np.random.default_rng(3)) for _ in range(2))

    for name, column in vars(first).items():
        assert np.array_equal(column, getattr(second, name)), name
