"""Isochrones of several groups: their file, their magnitudes, and stars drawn from all of them."""

import gzip
import hashlib
import io
import pickle
import zipfile

import h5py
import numpy as np
import pytest

from astra.errors import ConfigError, UsageError
from astra.modelling.simulator import families
from astra.modelling.simulator.bolometric import BolometricCorrections
from astra.modelling.simulator.families import FAMILIES, Families, read_families
from astra.modelling.simulator.isochrones import Isochrone
from astra.modelling.simulator.published import full_simulator
from astra.modelling.simulator.stars import Stars, Tracks

N = 61
COLUMNS = ["eep", "initial_mass", "star_mass", "log_Teff", "log_g", "log_L", "phase"]


def path_of_stars(metallicity):
    """Masses and labels of N stars, K dwarfs to giants; the last ten burn helium, fainter than the tip."""
    step = np.linspace(0, 1, N)
    mass = 0.7 + 0.6 * step
    log_teff = 3.70 - 0.02 * metallicity - 0.05 * step
    log_l = -0.5 + 3 * step
    log_l[-10:] = 1.7
    logg = np.log10(mass) + 4 * (log_teff - 3.7613) - log_l + 4.438
    return mass, log_teff, logg, log_l


def magnitudes_of(log_teff, logg, log_l):
    """J, H, Ks that are linear in the labels."""
    base = 3.3 - 2.5 * log_l + 8 * (log_teff - 3.7) + 0.02 * (logg - 4)
    return base + 0.6, base + 0.1, base


@pytest.fixture
def padova(tmp_path):
    """A folder of isochrones with magnitudes, at two metallicities and three ages."""
    folder = tmp_path / "padova"
    folder.mkdir()
    for metallicity in (-0.2, 0.0):
        mass, log_teff, logg, log_l = path_of_stars(metallicity)
        table = np.ones((N, 22))
        table[:, 1:6] = np.stack([mass, mass, log_l, log_teff, logg], axis=1)
        table[:, 13:16] = np.stack(magnitudes_of(log_teff, logg, log_l), axis=1)
        lines = [
            f"{age:.2f} " + " ".join(f"{v:.6f}" for v in row[1:]) for age in (9.0, 9.05, 9.1) for row in table
        ]
        (folder / f"padova_{metallicity}.dat.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder


def grid_file(metallicities, log_ages, change=lambda values, metallicity, log_age: values):
    """The content of a file of isochrones."""
    rows, lengths = [], []
    for metallicity in metallicities:
        for log_age in log_ages:
            mass, log_teff, logg, log_l = path_of_stars(metallicity)
            phase = np.where(np.arange(N) < N - 10, 2.0, 3.0)
            values = np.stack([np.arange(200, 200 + N), mass, mass, log_teff, logg, log_l, phase], axis=1)
            rows.append(change(values, metallicity, log_age))
            lengths.append(len(rows[-1]))
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["columns"] = np.array(COLUMNS, dtype=h5py.string_dtype())
        file["values"] = np.concatenate(rows).astype(np.float32)
        file["feh_values"], file["age_values"] = metallicities, log_ages
        file["lengths"] = np.array(lengths)
    return content.getvalue()


def isochrones_of(*metallicities):
    """With magnitudes."""
    for metallicity in metallicities:
        _, log_teff, logg, log_l = path_of_stars(metallicity)
        names = ("abs_j", "abs_h", "abs_ks")
        columns = dict(zip(names, magnitudes_of(log_teff, logg, log_l), strict=True))
        columns |= {"log_teff": log_teff, "logg": logg, "log_l": log_l}
        yield Isochrone(metallicity, 9.5, 1.0, columns)


@pytest.fixture(scope="module")
def corrections():
    """Fitted once for all tests."""
    return BolometricCorrections.fitted(list(isochrones_of(-1.0, 0.0)))


@pytest.fixture
def wheel(tmp_path, monkeypatch, corrections):
    """A function that writes a wheel with these files, and takes it for the published one."""
    monkeypatch.setattr(BolometricCorrections, "fitted", lambda isochrones: corrections)

    def write(**files):
        path = tmp_path / families.WHEEL
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(f"lachesis_grids/grids/{FAMILIES[name].file}", content)
        monkeypatch.setattr(families, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
        return path

    return write


def tracks_of(kinds, abs_ks):
    """A track of two stars, half a magnitude apart, for each of the kinds."""
    n = 2 * len(kinds)
    columns = {name: np.zeros(n) for name in Stars.__dataclass_fields__}
    columns |= {"kind": np.repeat(np.array(kinds, "U10"), 2), "abs_ks": abs_ks + np.tile([0, 0.1], n // 2)}
    return Tracks(Stars(**columns), np.arange(0, n, 2), np.ones(n // 2))


# > Magnitudes


def test_magnitudes_of_a_linear_law_are_found_again_between_the_stars_that_were_fitted(corrections):
    _, log_teff, logg, log_l = path_of_stars(-0.5)
    found = corrections.magnitudes(log_teff, logg, np.full(N, -0.5), log_l + 0.3)
    np.testing.assert_allclose(found.T, magnitudes_of(log_teff, logg, log_l + 0.3), atol=2e-3)


# > Reading


def test_isochrones_between_two_metallicities_lie_between_them_and_get_magnitudes(padova, wheel):
    path = wheel(mist=grid_file([-0.2, 0.0], [9.0, 9.05, 9.1]))

    population = read_families(padova, path, ["mist"])

    stars = population.tracks[0].stars
    assert np.unique(stars.metallicity.round(3)).tolist() == pytest.approx([-0.2, -0.1, 0.0])
    for metallicity in (-0.2, -0.1, 0.0):
        row = np.flatnonzero(np.abs(stars.metallicity - metallicity) < 0.01)[0]
        mass, log_teff, _, log_l = path_of_stars(metallicity)
        assert stars.teff[row] == pytest.approx(10 ** np.interp(stars.mass[row], mass, log_teff), rel=1e-4)
        expected = magnitudes_of(*(column[:1] for column in path_of_stars(metallicity)[1:]))[2][0]
        assert stars.abs_ks[row] == pytest.approx(expected, abs=0.01)


def test_helium_burning_is_what_the_file_calls_so(padova, wheel):
    path = wheel(mist=grid_file([-0.2, 0.0], [9.0, 9.05, 9.1]))

    stars = read_families(padova, path, ["mist"]).tracks[0].stars

    assert stars.mass[stars.kind == "red_clump"].min() > path_of_stars(0.0)[0][-11]
    assert (stars.kind == "red_clump").any()


def test_stars_that_still_contract_are_a_class_of_their_own(padova, wheel):
    path = wheel(mist=grid_file([-0.2, 0.0], [7.0, 9.0, 9.05]))

    population = read_families(padova, path, ["mist"])

    drawn = population.draw(500, np.random.default_rng(0), {"young": 1})
    assert (drawn.log_age == 7.0).all()
    assert drawn.beyond.all()
    others = population.draw(500, np.random.default_rng(0), {"dwarf": 1, "subgiant": 1})
    assert (others.log_age >= 9.0).all()


def test_where_neighbours_have_other_evolutionary_points_the_nearer_one_serves(padova, wheel):
    def shifted(values, metallicity, log_age):
        return values if metallicity < 0 else values + np.eye(1, 7)[0] * 500

    path = wheel(mist=grid_file([-0.2, 0.0], [9.0, 9.05], shifted))

    stars = read_families(padova, path, ["mist"]).tracks[0].stars

    teff = {m: stars.teff[np.abs(stars.metallicity - m) < 0.01].max() for m in (-0.2, -0.1, 0.0)}
    assert teff[-0.1] in (teff[-0.2], teff[0.0])


def test_a_row_with_the_mass_of_somewhere_else_is_left_out(padova, wheel):
    def wrong(values, metallicity, log_age):
        values[30, 1] = 60.0
        values[31, 3] = np.nan
        return values

    path = wheel(mist=grid_file([-0.2, 0.0], [9.0, 9.05], wrong))

    stars = read_families(padova, path, ["mist"]).tracks[0].stars

    assert stars.mass.max() < 2
    assert np.isfinite(stars.teff).all()


def test_what_was_drawn_does_not_change_the_digest(padova, wheel):
    population = read_families(padova, wheel(mist=grid_file([-0.2, 0.0], [9.0, 9.05])), ["mist", "padova"])
    before = pickle.dumps(population, protocol=4)

    population.draw(10, np.random.default_rng(0))

    assert pickle.dumps(population, protocol=4) == before


def test_the_simulator_says_which_families_it_is_made_from(made_models, padova, wheel):
    path = wheel(mist=grid_file([-0.2, 0.0], [9.0, 9.05]))

    simulator = full_simulator(made_models, padova, path, families=["mist", "padova"])

    assert simulator.name == "published isochrones (padova, mist) and emulators"


# > What is refused


def test_another_wheel_is_one_clear_line(padova, wheel):
    path = wheel()
    path.write_bytes(path.read_bytes() + b" ")

    with pytest.raises(
        ConfigError, match=f"{path}: its sha256 is .* not .*; give lachesis_grids-0.0.9"
    ) as caught:
        read_families(padova, path)

    assert "\n" not in str(caught.value)


def test_a_wheel_that_is_not_there_is_named(padova, tmp_path):
    with pytest.raises(ConfigError, match="nowhere.whl: No such file"):
        read_families(padova, tmp_path / "nowhere.whl")


def test_an_unknown_family_is_told_the_names_of_those_there_are(padova, wheel):
    with pytest.raises(UsageError, match="isochrones of yale: not a known family; choose from padova, mist"):
        read_families(padova, wheel(), ["yale"])


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["a.whl"], {}, "give the folder of padova"),
        (["padova", "padova"], {}, "give the folder of padova"),
        (["padova", "a.whl", "b.whl"], {}, "at most one .whl"),
        (["padova"], {"families": ["mist"]}, "give the wheel"),
    ],
)
def test_paths_that_are_no_choice_of_isochrones_are_refused(made_models, padova, names, options, message):
    with pytest.raises(UsageError, match=message):
        full_simulator(made_models, *(padova.parent / name for name in names), **options)


# > Drawing


@pytest.fixture(scope="module")
def three():
    """Two families with all the classes that a survey sees, and one of dwarfs and young stars."""
    complete = ["rgb", "red_clump", "subgiant", "dwarf"]
    parts = [tracks_of(complete, 0.0), tracks_of(complete, 10.0), tracks_of(["dwarf", "young"], 20.0)]
    return Families(("one", "two", "three"), tuple(parts))


def test_each_class_comes_from_all_families_that_have_it_alike(three):
    mix = {"rgb": 0.5, "dwarf": 0.4, "young": 0.1}

    stars = three.draw(60_000, np.random.default_rng(4), mix)

    family = np.round(stars.abs_ks / 10)
    for kind, share in mix.items():
        assert (stars.kind == kind).mean() == pytest.approx(share, abs=0.01)
    expected = {"rgb": [0.5, 0.5, 0], "dwarf": [1 / 3, 1 / 3, 1 / 3], "young": [0, 0, 1]}
    for kind, shares in expected.items():
        found = [(family[stars.kind == kind] == number).mean() for number in range(3)]
        assert found == pytest.approx(shares, abs=0.02), kind


def test_families_are_in_no_order_and_the_same_generator_draws_the_same_stars(three):
    first, second = (three.draw(1000, np.random.default_rng(5)) for _ in range(2))

    assert np.array_equal(first.abs_ks, second.abs_ks)
    family = np.round(first.abs_ks[first.kind == "rgb"] / 10)
    assert abs(family[: len(family) // 2].mean() - family[len(family) // 2 :].mean()) < 0.15


def test_what_a_survey_sees_comes_from_families_with_all_of_its_classes(three):
    stars = three.draw(500, np.random.default_rng(6), None)

    assert set(np.round(stars.abs_ks / 10)) == {0, 1}
