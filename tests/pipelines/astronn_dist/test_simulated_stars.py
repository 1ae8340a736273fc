"""Simulated stars from their files to a weighted parallax: its stated error is the one that it has."""

import csv

import numpy as np
import pytest
from astropy.table import vstack
from builders import ZERO_POINT

import astra
from astra.modelling.simulator import TARGETS, TRUTH, compact
from astra.modelling.simulator.apstar_files import file_name
from astra.modelling.simulator.survey import write_survey
from astra.pipelines.astronn_dist.distances.distance import Stars
from astra.pipelines.astronn_dist.distances.gaia_errors import factor_of_dr3
from astra.pipelines.astronn_dist.distances.zero_point import zero_point

STARS = 1000
#: Every second star is as faint for Gaia as this [mas].
FAINT = 0.4
KNOWN = ("k_mag", "e_k_mag", "ebv", "e_ebv", "plx", "e_plx")


def _half_width(values):
    low, high = np.percentile(values, [15.865, 84.135])
    return 0.5 * (high - low)


@pytest.mark.slow
def test_pulls_of_the_weighted_parallax_of_simulated_stars_have_a_width_of_1(tmp_path):
    folder = tmp_path / "survey"
    write_survey(folder, compact.load(), STARS, seed=11, min_snr=50)
    targets, truth = (
        list(csv.DictReader((folder / name).read_text().splitlines())) for name in (TARGETS, TRUTH)
    )
    parallax = np.array([1000 / float(row["dist_pc"]) for row in truth])
    (offset,) = zero_point(Stars.of(ZERO_POINT | {"plx": 1.0, "e_plx": FAINT}, 1)).value
    random = np.random.default_rng(12)
    for row, true in zip(targets[::2], parallax[::2], strict=True):
        row["plx"], row["e_plx"] = true + random.normal(0, FAINT), FAINT
    # As in the catalogue of Gaia, whose errors are too small.
    for row in targets:
        row["plx"] = float(row["plx"]) + offset
        row["e_plx"] = float(row["e_plx"]) / factor_of_dr3(ZERO_POINT["g_mag"])

    results = [
        astra.distance_from_apstar(
            folder / file_name(row["apogee_id"]),
            **{name: float(row[name]) for name in KNOWN if row[name]},
            **ZERO_POINT,
        )
        for row in targets
    ]

    table = vstack([result.to_table() for result in results])
    good, plx = ~table["flag_bad"], table["gaia_parallax"].value
    pulls = (table["weighted_parallax"].value - parallax) / table["e_weighted_parallax"].value
    assert good.sum() > 0.6 * STARS
    assert (plx < 0).sum() > 0.05 * STARS
    assert np.isfinite(pulls).all()
    assert _half_width(pulls[good]) == pytest.approx(1, abs=0.1)
    assert _half_width(pulls) == pytest.approx(1, abs=0.1)
