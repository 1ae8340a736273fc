"""What is read from the published isochrones."""

import gzip
import re

import numpy as np
import pytest

from astra.errors import ConfigError
from astra.modelling.simulator.isochrones import read_padova
from astra.modelling.simulator.stars import is_young


@pytest.fixture(scope="module")
def segments(full):
    """Vertex and number of each segment, without the weight of the time that an isochrone stands for."""
    tracks = full.population
    start = tracks.stars.take(tracks.start)
    return start, tracks.number / 10 ** (start.log_age - 9)


def _isochrones(start):
    for metallicity in np.unique(start.metallicity):
        for age in np.unique(start.log_age):
            yield metallicity, age, (start.metallicity == metallicity) & (start.log_age == age)


def test_there_is_an_isochrone_for_each_metallicity_and_age(segments):
    start, _ = segments

    assert np.allclose(np.unique(start.metallicity), np.arange(-2.0, 0.21, 0.1))
    ages = np.unique(start.log_age)
    assert np.allclose(ages, np.arange(6.6, 10.11, 0.05))
    assert all(rows.sum() > 50 for _, age, rows in _isochrones(start) if age > 8.475)


def test_no_star_that_should_still_contract_is_there_as_if_it_had_arrived(segments):
    start, number = segments
    young = start.log_age < 8.475

    assert not is_young(start.mass[young], start.log_age[young] + 0.02).any()
    assert start.mass[start.log_age < 7.02].min() > 1.8
    born = number * 10 ** (start.log_age - 9)
    assert 0 < born[young].sum() < 0.05 * born.sum()


def test_the_clump_is_found_on_every_isochrone_that_has_one(segments):
    start, number = segments
    bright = (start.logg < 3.3) & (start.teff < 5600) & (start.abs_ks < 0.3)

    for metallicity, age, rows in _isochrones(start):
        if metallicity < -0.75 or age < 8.95:
            continue  # the horizontal branch of poor old stars, and the loops of young ones, are hot
        giants = rows & bright
        share = number[giants & (start.kind == "red_clump")].sum() / number[giants].sum()
        # Core burning of helium takes longer the less the core was degenerate at its beginning.
        low, high = (0.27, 0.6) if age > 9.27 else (0.45, 0.88)
        assert low < share < high, (metallicity, age)


def test_the_clump_has_the_magnitude_that_it_is_known_for(segments):
    start, number = segments
    clump = (start.kind == "red_clump") & (start.log_age > 9.3) & (np.abs(start.metallicity + 0.2) < 0.25)

    mean = np.average(start.abs_ks[clump], weights=number[clump])
    scatter = np.sqrt(np.average((start.abs_ks[clump] - mean) ** 2, weights=number[clump]))
    assert abs(mean + 1.6) < 0.1  # e.g. -1.61: Hawkins et al. 2017, MNRAS 471, 722
    assert scatter < 0.2


def test_no_clump_is_left_among_the_giants_of_the_branch(segments):
    start, number = segments
    old = (start.kind == "rgb") & (start.log_age > 9.0) & (start.metallicity > -0.75)

    counts, _ = np.histogram(start.abs_ks[old], np.arange(-3.0, 0.01, 0.25), weights=number[old])
    smooth = np.polyval(np.polyfit(np.arange(len(counts)), np.log(counts), 2), np.arange(len(counts)))
    assert (counts < 2 * np.exp(smooth)).all()


def test_no_temperature_is_missing_between_one_class_and_the_next(full):
    stars = full.population.draw(60_000, np.random.default_rng(1), {"dwarf": 5, "m_dwarf": 1})

    for metallicity in (-0.5, 0.0, 0.2):
        near = np.abs(stars.metallicity - metallicity) < 0.06
        counts, _ = np.histogram(stars.teff[near], np.arange(4000, 4301, 50))
        assert counts.min() > 0.2 * np.median(counts), metallicity


def test_masses_have_the_distribution_of_chabrier(segments):
    start, number = segments
    rows = (start.metallicity == 0) & (np.abs(start.log_age - 9.5) < 0.01) & (start.mass < 1.3)
    limits = [(0.3, 0.6), (0.6, 1.0)]  # where there are vertices
    shares = [number[rows & (start.mass >= low) & (start.mass < high)].sum() for low, high in limits]

    mass = np.linspace(0.3, 1, 7001)
    density = np.exp(-0.5 * (np.log10(mass / 0.079) / 0.69) ** 2) / mass
    expected = density[mass < 0.6].sum() / density[mass >= 0.6].sum()
    assert shares[0] / shares[1] == pytest.approx(expected, rel=0.05)


def test_an_isochrone_stands_for_the_more_time_the_older_it_is(full):
    tracks = full.population
    start = tracks.stars.take(tracks.start)
    rows = (start.metallicity == 0) & (start.mass >= 0.25) & (start.mass < 0.55) & (start.log_age > 8.3)
    ages = np.unique(start.log_age[rows])
    number = [tracks.number[rows & (start.log_age == age)].sum() for age in ages]

    # Ages are in equal logarithmic steps, and stars form at a constant rate.
    assert np.allclose(number / 10**ages / (number[0] / 10 ** ages[0]), 1, atol=0.05)


def test_stars_without_an_envelope_and_the_last_giants_are_left_out(segments):
    start, number = segments

    assert start.teff.min() >= 3400
    assert start.abs_ks.min() >= -7.5
    # A star may leave the asymptotic branch with a little more mass than that.
    old = start.log_age > 8.475
    assert number[old & (start.teff > 10_000) & (start.logg < 3)].sum() < 1e-6 * number.sum()


# > Files


def test_a_folder_without_isochrones_is_one_clear_line(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(f"no padova_*.dat.gz in {tmp_path}")):
        read_padova(tmp_path)


def _row(log_age, values=22):
    return " ".join([str(log_age), *["1.0"] * (values - 1)]) + "\n"


def _with_zeros_in_its_middle(content):
    middle = len(content) // 2
    return content[:middle] + bytes(64) + content[middle + 64 :]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not compressed",
        gzip.compress(b""),
        gzip.compress(b"# only a comment\n"),
        gzip.compress(b"neither numbers nor columns\n"),
        gzip.compress(_row(9.0, values=5).encode()),
        gzip.compress(_row(6.0).encode() * 3),
        gzip.compress(b"\xff\xfe\x00"),
        gzip.compress(_row(9.0).encode() * 50)[:-12],
        _with_zeros_in_its_middle(gzip.compress("".join(map(_row, range(9000, 9999))).encode())),
    ],
    ids=[
        "empty",
        "text",
        "nothing",
        "comment",
        "words",
        "columns",
        "young",
        "binary",
        "truncated",
        "changed",
    ],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path, content):
    path = tmp_path / "padova_0.0.dat.gz"
    path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        read_padova(tmp_path)

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "give" in str(caught.value)
