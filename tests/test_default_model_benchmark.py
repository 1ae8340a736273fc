"""The parts of benchmarks/default_model that are arithmetic."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from astra.modelling.simulator.stars import Stars
from astra.modelling.training.evaluate import evaluate

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "default_model"


@pytest.fixture
def module(monkeypatch):
    """Imports a module of the benchmark, and forgets it afterwards."""
    monkeypatch.syspath_prepend(FOLDER)
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
            del sys.modules[name]


def stars_of(teff, logg, metallicity, abs_ks):
    nothing = np.zeros(len(teff))
    kind = np.full(len(teff), "rgb")
    return Stars(teff, logg, metallicity, nothing, nothing + 1, nothing, nothing, nothing, abs_ks, kind)


def test_the_shares_of_a_mixture_are_found_again(module):
    mean_spectrum = module("mean_spectrum")
    spectra = np.random.default_rng(0).uniform(0.5, 1.0, (6, 7514))
    shares = np.array([0.5, 0.0, 0.2, 0.0, 0.3, 0.0])

    found = mean_spectrum.mixture_shares(spectra, shares @ spectra)

    np.testing.assert_allclose(found, shares, atol=1e-8)


def test_no_share_of_a_mixture_is_negative_and_none_of_them_could_be_better(module):
    mean_spectrum = module("mean_spectrum")
    rng = np.random.default_rng(1)
    spectra = rng.uniform(0.5, 1.0, (6, 7514))
    target = np.array([0.9, -0.4, 0.3, -0.2, 0.2, 0.2]) @ spectra

    shares = mean_spectrum.mixture_shares(spectra, target)

    covered = mean_spectrum.COVERED
    gradient = spectra[:, covered] @ (target - shares @ spectra)[covered]
    assert (shares >= 0).all()
    assert (shares == 0).any()
    np.testing.assert_allclose(gradient[shares > 0], 0, atol=1e-6)
    assert (gradient[shares == 0] < 1e-6).all()


def test_isochrones_give_the_mean_of_the_stars_near_the_labels(module):
    labels = module("isochrone_labels")
    rng = np.random.default_rng(2)
    logg = np.sort(rng.uniform(1, 4, 20_000))
    teff, metallicity = rng.uniform(4000, 5000, 20_000), rng.uniform(-1, 0, 20_000)
    neighbours = labels.Neighbours(stars_of(teff, logg, metallicity, 2 * logg - 6))

    near, far = neighbours.abs_ks(
        np.array([[4500.0, 2.5, -0.5, 0.0], [4500.0, 2.5, -3.0, 0.0]]), (90.0, 0.1, 0.08)
    )

    assert near == pytest.approx(-1, abs=0.03)
    assert far == pytest.approx(-1, abs=0.2)


def test_the_sun_has_the_radius_and_the_luminosity_of_the_sun(module):
    labels = module("isochrone_labels")

    radius = labels.radius_from_gravity(np.array([1.0]), np.array([4.438]))

    assert radius == pytest.approx(1)
    assert labels.bolometric(radius, np.array([5772.0])) == pytest.approx(4.74)


@pytest.mark.parametrize(
    ("value", "limits", "target", "met"),
    [
        (0.09, {"high": 0.1}, "<= 0.100", True),
        (0.11, {"high": 0.1}, "<= 0.100", False),
        (float("nan"), {"high": 0.1}, "<= 0.100", False),
        (-0.05, {"low": -0.04, "high": 0.04}, "within 0.040", False),
        (1.1, {"low": 0.85, "high": 1.15}, "0.850 to 1.150", True),
        (5.0, {}, "", None),
    ],
)
def test_a_target_is_met_or_missed_and_a_number_without_one_is_neither(module, value, limits, target, met):
    line = module("table").Line("something", value, **limits)

    assert (line.target, line.met) == (target, met)


def test_the_report_says_how_many_targets_are_missed(module, tmp_path):
    table = module("table")
    lines = [table.Line("a", 1.0, high=2), table.Line("b", float("nan"), high=2), table.Line("c", 3.0)]
    sections = [table.Section("first", lines)]

    table.save(sections, {}, tmp_path / "metrics.json")

    assert "1 of 2 targets met, 1 missed" in table.printed(sections)
    assert not table.all_met(sections)
    assert '"value": null' in (tmp_path / "metrics.json").read_text()


def test_metrics_for_json_have_null_where_no_star_decides_a_number(module):
    found = evaluate(np.array(["rgb"]), np.ones(1), np.ones(1), np.full(1, 0.1), np.full(1, 60.0))

    plain = module("held_out").plain(found)

    assert plain.keys() == {"rgb", "all"}
    assert (plain["rgb"]["n"], plain["rgb"]["median_r"]) == (1, 0.0)
    assert plain["rgb"]["flagged_bright"] is None
    assert '"flagged_bright": null' in json.dumps(plain, allow_nan=False)


def test_the_limits_of_a_curve_are_numbers_of_json(module):
    held_out = module("held_out")
    shares = np.linspace(0, 1, len(held_out.LIMITS))

    curve = held_out._curve_dict(shares, np.where(shares > 0, 0.1, np.nan))

    json.dumps(curve, allow_nan=False)
    assert [point["limit"] for point in curve if point["flag"]] == [0.2]
    assert curve[0] == {"limit": 0.05, "kept": 0.0, "median_abs_r": None, "flag": False}


def measured(module, n, bias, stated):
    """Single stars of one luminosity, off by a bias and a normal error of 10 per cent."""
    random = np.random.default_rng(2)
    fakemag, nothing = np.full(n, 50.0), np.zeros(n)
    true = fakemag * (1 + bias + 0.1 * random.standard_normal(n))
    snr = np.where(np.arange(n) % 2, 30.0, 300.0)
    stars = stars_of(nothing, nothing, nothing, nothing)
    whole = np.full((n, 3), 0.95)
    return module("measuring").Measured(stars, nothing, nothing, snr, true, fakemag, stated * fakemag, whole)


@pytest.mark.parametrize(
    ("bias", "stated", "met"),
    [(0, 0.1, [True, True, True]), (0.05, 0.1, [False, True, True]), (0, 0.07, [True, False, False])],
)
def test_the_worst_bin_of_luminosity_decides_and_small_ones_do_not_count(module, bias, stated, met):
    in_bins = module("in_bins")

    bins = in_bins.bins_of(measured(module, 8_000, bias, stated))

    of_luminosity = [each for each in bins if each.axis == "M_Ks" and each.n]
    assert [(each.low, each.high, each.n) for each in of_luminosity] == [(-2, -1.5, 8_000)]
    lines = in_bins.bin_lines(bins)
    assert [line.met for line in lines if "M_Ks" in line.measure] == met
    assert in_bins.bin_lines(in_bins.bins_of(measured(module, 900, bias, stated))) == []


def test_larger_errors_flag_more_stars_and_leave_fewer_beyond_three_of_them(module):
    points = module("in_bins").trade_off(measured(module, 8_000, 0, 0.1))

    by_scale = {point["scale"]: point for point in points}
    assert (by_scale[1.5]["flagged"], by_scale[2.0]["flagged"]) == (0, 1)
    assert by_scale[1.0]["within_one"] == pytest.approx(0.683, abs=0.02)
    assert by_scale[0.7]["outliers"] == pytest.approx(0.036, abs=0.01)
    assert by_scale[0.7]["outliers_with_pairs"] == by_scale[0.7]["outliers"]
    assert by_scale[2.0]["outliers"] is None


def test_a_clean_star_has_all_detectors_and_no_flag(module):
    found = measured(module, 3, 0, 0.1)
    found.coverage[1, 2], found.e_fakemag[2] = 0.1, found.fakemag[2]

    assert found.clean.tolist() == [True, False, False]


def test_the_documented_query_takes_the_median_of_members_by_their_weight(module):
    clusters = module("simulated_clusters")
    parallax = np.array([9.0, 2.0, 1.0, 3.0])
    columns = {"nn_parallax": parallax, "e_nn_parallax": parallax * [1, 0.1, 1, 1], "clean": np.ones(4, bool)}

    members, dist, _ = clusters.distance_of(clusters.recipe(), columns, e_ebv=0.0)

    # The one of 2 mas weighs a hundred times as much as any other.
    assert (members, dist) == (4, pytest.approx(500))


def test_the_documented_query_finds_the_distance_of_clean_members(module):
    clusters = module("simulated_clusters")
    parallax = np.array([1.9, 2.1, 9.0])
    columns = {
        "nn_parallax": parallax,
        "e_nn_parallax": 0.1 * parallax,
        "clean": np.array([True, True, False]),
    }

    members, dist, e_dist = clusters.distance_of(clusters.recipe(), columns, e_ebv=0.05)

    assert (members, dist) == (2, pytest.approx(500.0))
    assert e_dist / dist == pytest.approx(np.sqrt(1.57 * 0.1**2 / 2 + 0.03**2 + (0.162 * 0.05) ** 2))


def test_wrong_usage_is_one_line():
    done = subprocess.run(
        [sys.executable, str(FOLDER), "--n", "0"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (2, "default_model: error: --n 0: give 1 or more stars\n")


def test_a_family_that_was_left_out_is_judged_where_it_has_enough_stars(module):
    leave_one_out = module("leave_one_out")
    entry = {"n": 500, "median_r": 0.06, "median_abs_r": 0.1, "within": 0.7}

    section = leave_one_out._section("mist", {"rgb": entry, "hot": entry | {"n": 20, "median_r": 0.9}})

    assert [line.met for line in section.lines] == [False, True, None, None]


def test_real_m_dwarfs_have_the_magnitudes_of_the_published_relations(module):
    # 0.3875 solar radii at 3500 K, which are those of a star of M_Ks = 6.40.
    found = module("families").real_m_dwarfs(np.array([3500.0, 4000.0]))

    assert found[0] == pytest.approx(6.40, abs=0.01)
    assert np.polyval([0.01680, -0.3520, 1.9515], found[1]) == pytest.approx(0.6260, abs=1e-3)
