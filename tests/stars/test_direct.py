"""Without a database: the numbers of the database, with units, and one clear line for what is wrong."""

import csv
import math
import subprocess
import sys

import numpy as np
import pytest
from astropy import units
from astropy.nddata import InverseVariance, StdDevUncertainty, VarianceUncertainty
from builders import ZERO_POINT, write_apstar

import astra
from astra.cli import main
from astra.errors import AstraWarning, ConfigError, SpectrumError, UsageError
from astra.ingest.headers import read_record
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Distance
from astra.models.fields import FloatField
from astra.spectra.apstar import read_combined
from astra.spectra.grid import wavelength
from astra.stars.star_distance import StarDistance

RESULTS = [
    field.name
    for field in AstroNNdist._meta.sorted_fields
    if field.name in StarDistance.__dataclass_fields__ and isinstance(field, FloatField)
]


@pytest.fixture
def spectrum():
    """Flux, error and mask of one spectrum."""
    random = np.random.default_rng(3)
    return 100 + random.normal(0, 1, 8575), np.ones(8575), np.zeros(8575, np.int16)


@pytest.fixture
def estimate(toy_weights):
    """``astra.distance`` with small weights."""

    def call(*arguments, **keywords):
        return astra.distance(*arguments, weights=str(toy_weights), device="cpu", **keywords)

    return call


# > The numbers


def _numbers(result, index=None):
    values = {name: getattr(result, name) for name in RESULTS}
    plain = {name: getattr(value, "value", value) for name, value in values.items()}
    return plain if index is None else {name: value[index] for name, value in plain.items()}


def _agree(found, expected):
    """Whether numbers are as good as the same, and texts are the same."""
    texts = [name for name, value in expected.items() if value is None or isinstance(value, str)]
    assert {name: found.pop(name) for name in texts} == {name: expected.pop(name) for name in texts}
    assert found == pytest.approx(expected, rel=1e-5, nan_ok=True)


def _rows(folder, catalog, weights):
    """The rows of a run, by the names of their files."""
    assert main(["ingest", "apstar", str(folder), "--catalog", str(catalog)]) == 0
    assert main(["run", "astronn_dist", "--weights", weights]) == 0
    query = AstroNNdist.select(AstroNNdist, ApogeeCoaddedSpectrumInApStar.path).join(
        ApogeeCoaddedSpectrumInApStar,
        on=(AstroNNdist.spectrum_pk == ApogeeCoaddedSpectrumInApStar.spectrum_pk),
    )
    return {row.apogeecoaddedspectruminapstar.path.split("/")[-1]: row for row in query}


def _catalogued(targets):
    names = ("k_mag", "ebv", "e_ebv", "plx", "e_plx", "ra", "dec", "j_mag", "e_j_mag", "h_mag", "e_h_mag")
    names += ("e_k_mag", "ruwe")
    for row in csv.DictReader(targets.read_text().splitlines()):
        file = row.get("file") or f"apStar-dr17-{row['apogee_id']}.fits"
        yield file, {name: float(row[name]) for name in names if row.get(name)}


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_the_spectra_of_a_survey_have_the_numbers_of_their_rows(db, apstars, toy_weights):
    folder, weights = apstars[0].parent, str(toy_weights)
    rows = _rows(folder, folder / "targets.csv", weights)
    assert len(rows) == len(apstars)

    for name, star in _catalogued(folder / "targets.csv"):
        result = astra.distance_from_apstar(folder / name, weights=weights, **star)

        expected = {column: getattr(rows[name], column) for column in RESULTS}
        _agree(_numbers(result), expected)
        assert result.result_flags == rows[name].result_flags
        reasons = (result.not_clean, result.not_checked)
        assert reasons == (rows[name].not_clean, rows[name].not_checked)
        assert result.clean is Distance.get(Distance.spectrum_pk == rows[name].spectrum_pk).clean


@pytest.mark.parametrize(
    ("release", "starflag", "clean"),
    [
        ("dr17", 0, True),
        ("dr17", 2**17, True),
        ("dr17", 2**21, False),
        ("dr17", 2**3, False),
        ("r8", 2**21, True),
    ],
)
def test_starflag_of_a_file_counts_in_clean_by_its_release(
    tmp_path, toy_weights, monkeypatch, release, starflag, clean
):
    path = tmp_path / f"apStar-{release}-2M00000001+0000001.fits"
    write_apstar(path, header={"STARFLAG": starflag})
    monkeypatch.setattr("astra.pipelines.astronn_dist.distances.distance.UNRELIABLE", np.inf)
    star = {"j_mag": 10.66, "h_mag": 10.09, "k_mag": 10.0, "e_k_mag": 0.02, "ebv": 0.01}

    result = astra.distance_from_apstar(path, weights=str(toy_weights), device="cpu", **star)

    assert (result.not_clean, result.clean) == (0, clean)


def test_an_array_has_the_numbers_of_its_stars_one_by_one(estimate, spectrum):
    random = np.random.default_rng(4)
    flux = 100 + random.normal(0, 1, (40, 8575))
    k_mag, plx = random.uniform(8, 12, 40), random.uniform(-0.1, 2, 40)
    names = [f"star {number}" for number in range(40)]
    arrays = np.ones_like(flux), np.zeros(flux.shape, int)

    together = estimate(flux, *arrays, k_mag, 0.1, identity=names, plx=plx, e_plx=0.1)

    assert together.dist.shape == together.flag_bad.shape == (40,)
    for index in (0, 31, 32, 39):
        of_one = (flux[index], spectrum[1], spectrum[2], k_mag[index], 0.1)
        alone = estimate(*of_one, identity=names[index], plx=plx[index], e_plx=0.1)
        _agree(_numbers(alone), _numbers(together, index))


def test_without_a_name_equal_pixels_have_equal_numbers_and_others_other_draws(estimate, spectrum):
    first, again = (estimate(*spectrum, 10.0, 0.1) for _ in range(2))
    flux, e_flux, pixel_flags = spectrum
    named = estimate(*spectrum, 10.0, 0.1, identity="some star")

    assert first.L_fakemag == again.L_fakemag
    assert named.L_fakemag != first.L_fakemag
    assert estimate(*spectrum, 10.0, 0.1, seed=1).L_fakemag != first.L_fakemag
    assert estimate(flux.tolist(), e_flux.tolist(), pixel_flags.tolist(), 10, 0.1).dist == first.dist


def test_results_have_units_flags_and_say_what_they_rest_on(estimate, spectrum):
    result = estimate(*spectrum, 10.0, 0.1, e_k_mag=0.03, n_draws=20)

    assert result.dist.to(units.kpc).value == pytest.approx(result.dist.value / 1000)
    assert result.nn_parallax.to(units.pc, units.parallax()).value == pytest.approx(result.dist.value)
    assert result.dist_lo < result.dist < result.dist_hi
    assert {type(result.flag_bad), type(result.flag_no_result), type(result.result_flags)} <= {bool, int}
    assert result.meta["weights"] == "toy"
    assert (result.meta["seed"], result.meta["n_draws"]) == (0, 20)
    with pytest.raises(AttributeError):
        result.dist = 1 * units.pc


def test_a_result_is_named_like_the_columns_of_the_view():
    names = set(StarDistance.__dataclass_fields__)
    fields = AstroNNdist._meta.sorted_fields
    start = [field.name for field in fields].index("k_mag")

    assert names - {"identity", "draws", "spectrum", "j_mag", "meta"} <= {*Distance._meta.fields}
    assert {field.name for field in fields[start:]} <= names
    assert {*AstroNNdist.flag_names(), "flag_bad", "flag_warn", "gaia_checked", "clean", "good"} <= names


def test_a_result_becomes_a_table_with_units_and_descriptions(estimate, spectrum, tmp_path):
    from astropy.table import QTable

    with pytest.warns(AstraWarning, match="of 1 of 2 stars is missing"):
        stars = estimate(*(np.stack([array] * 2) for array in spectrum), [10.0, math.nan], 0.1)
    table = stars.to_table()
    table.write(tmp_path / "stars.ecsv")

    again = QTable.read(tmp_path / "stars.ecsv")
    assert again["dist"].unit == units.pc
    assert again["flag_missing_photometry"].tolist() == [False, True]
    assert again["L_fakemag"].info.description == AstroNNdist.L_fakemag.help_text
    assert again.meta["weights"] == "toy"


@pytest.mark.parametrize("k_mag", [None, math.nan, math.inf, 99.0, -9999.0])
def test_missing_photometry_is_a_flag_and_not_an_error(estimate, spectrum, k_mag):
    with pytest.warns(AstraWarning, match="the Ks magnitude is missing: its distance means nothing"):
        result = estimate(*spectrum, k_mag, 0.1, plx=2.0, e_plx=0.1, **ZERO_POINT)

    assert result.flag_missing_photometry
    assert result.flag_bad
    assert result.weighted_parallax == result.gaia_parallax == 2.0 * units.mas - result.plx_zero_point


def test_of_a_star_with_gaia_it_says_which_distance_to_use_and_what_the_zero_point_is_made_from(
    estimate, spectrum
):
    alone = estimate(*spectrum, 10.0, 0.1)
    near = {"plx": 1000 / alone.dist.value, "e_plx": 0.05, "gaia_release": "dr2"}
    both = estimate(*spectrum, 10.0, 0.1, **near)
    noisy = estimate(*spectrum, 10.0, 0.1, **near, ruwe=2.0)
    table = alone.to_table()

    assert (alone.best_dist_from, alone.best_dist, alone.best_dist_lo) == (
        "spectrum",
        alone.dist,
        alone.dist_lo,
    )
    assert (both.best_dist_from, both.plx_zero_point_origin) == ("weighted", "dr2")
    assert both.best_dist == both.weighted_dist
    assert both.best_dist_lo < both.best_dist < both.best_dist_hi
    assert noisy.best_dist_from == "spectrum"
    assert (table["best_dist_from"].tolist(), table["plx_zero_point_origin"].tolist()) == (
        ["spectrum"],
        [None],
    )


def test_a_spectrum_without_a_usable_pixel_has_no_result(estimate, spectrum):
    result = estimate(np.full(8575, math.nan), *spectrum[1:], 10.0, 0.1)

    assert (result.flag_no_result, result.flag_bad, result.result_flags) == (True, True, 2**11)
    assert np.isnan(result.dist)


def test_values_may_have_units_of_their_own_and_be_masked(estimate, spectrum):
    flux, e_flux, pixel_flags = spectrum
    unit = units.Unit("1e-17 erg / (s cm2 Angstrom)")
    alone = estimate(flux, e_flux, pixel_flags, 10.0, 0.1, identity="x")
    plain = estimate(flux, e_flux, pixel_flags, 10.0, 0.1, identity="x", plx=2.0, e_plx=0.1, **ZERO_POINT)

    with_units = estimate(
        (flux * unit).to("W / (m2 um)"), e_flux * unit, pixel_flags, 10 * units.mag, 0.1,
        identity="x", plx=2000 * units.uas, e_plx=0.1 * units.mas, **ZERO_POINT,
    )  # fmt: skip
    with pytest.warns(AstraWarning):
        hidden = estimate(*spectrum, np.ma.masked_array([10.0], [True]), 0.1)

    assert plain.weighted_parallax != alone.weighted_parallax
    assert with_units.weighted_parallax.value == pytest.approx(plain.weighted_parallax.value, rel=1e-5)
    assert hidden.flag_missing_photometry


# > Spectra of specutils


@pytest.fixture
def made(spectrum):
    """Makes a ``Spectrum`` of specutils."""
    specutils = pytest.importorskip("specutils")

    def make(kind=StdDevUncertainty, mask=None, axis=None, factor=1.0):
        flux, e_flux, _ = spectrum
        unit = units.Unit("1e-17 erg / (s cm2 Angstrom)")
        error = {StdDevUncertainty: e_flux, VarianceUncertainty: e_flux**2, InverseVariance: e_flux**-2.0}
        return specutils.Spectrum(
            flux=flux * factor * unit,
            spectral_axis=(wavelength() if axis is None else axis) * units.AA,
            uncertainty=None if kind is None else kind(error[kind]),
            mask=np.zeros(8575, bool) if mask is None else mask,
        )

    return make


@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance])
def test_a_spectrum_of_specutils_has_the_numbers_of_its_arrays(estimate, spectrum, made, kind):
    assert estimate(made(kind), k_mag=10.0, ebv=0.1).dist == estimate(*spectrum, 10.0, 0.1).dist


def test_what_a_spectrum_masks_counts_as_a_bad_pixel(estimate, spectrum, made):
    flux, e_flux, pixel_flags = spectrum
    mask = np.arange(8575) % 7 == 0

    masked = estimate(made(mask=mask), k_mag=10.0, ebv=0.1, identity="x")

    assert masked.dist == estimate(flux, e_flux, np.where(mask, 1, 0), 10.0, 0.1, identity="x").dist
    assert masked.dist != estimate(*spectrum, 10.0, 0.1, identity="x").dist


def test_a_file_read_by_specutils_has_the_numbers_of_the_file(apstars, estimate, toy_weights):
    specutils = pytest.importorskip("specutils")
    path = apstars[5]
    read = specutils.Spectrum.read(path, format="APOGEE apStar")
    identity = read_record(path).product.product_id

    of_file = astra.distance_from_apstar(path, 9.0, 0.1, weights=str(toy_weights))
    of_object = estimate(read, None, read_combined(path).pixel_flags, 9.0, 0.1, identity=identity)

    assert of_object.L_fakemag == of_file.L_fakemag


def test_a_spectrum_on_another_grid_or_without_error_or_mask_is_refused(estimate, made, spectrum):
    shifted = made(axis=wavelength() * (1 + 1e-5))
    without_mask = made()
    without_mask.mask = None

    with pytest.raises(ValueError, match="not on the apStar grid"):
        estimate(shifted, k_mag=10.0, ebv=0.1)
    with pytest.raises(ValueError, match="no uncertainty, and no e_flux"):
        estimate(made(None), k_mag=10.0, ebv=0.1)
    with pytest.raises(ValueError, match="no mask, and no pixel_flags"):
        estimate(without_mask, k_mag=10.0, ebv=0.1)
    assert estimate(without_mask, None, spectrum[2], 10.0, 0.1).dist > 0


# > Files


def test_a_file_gives_what_its_header_knows_and_keywords_go_before_it(toy_weights, tmp_path):
    path = write_apstar(tmp_path / "apStar-dr17-2M00000001+0000001.fits", header={"K": 9.5, "K_ERR": 0.02})

    of_header, of_keyword, blank, with_unit = (
        astra.distance_from_apstar(path, k_mag, 0.2, weights=str(toy_weights))
        for k_mag in (None, 8.0, math.nan, 8.0 * units.mag)
    )

    assert (of_header.k_mag.value, of_keyword.k_mag.value) == (9.5, 8.0)
    assert (blank.k_mag.value, with_unit.k_mag.value) == (9.5, 8.0)
    assert of_header.L_fakemag == of_keyword.L_fakemag
    assert of_header.dist_hi - of_header.dist_lo == 2 * of_header.e_dist_full


def test_files_that_cannot_be_used_are_one_clear_error(toy_weights, tmp_path):
    weights = {"weights": str(toy_weights)}
    broken = tmp_path / "apStar-dr17-2M00000001+0000001.fits"
    broken.write_bytes(b"not FITS")
    other = write_apstar(tmp_path / "spectrum.fits")
    unknown = write_apstar(tmp_path / "apStar-1.3-apo25m-2M00000001+0000001.fits")

    with pytest.raises(SpectrumError, match="apStar-dr17"):
        astra.distance_from_apstar(broken, **weights)
    with pytest.raises(SpectrumError, match="No such file"):
        astra.distance_from_apstar(tmp_path / "apStar-dr17-nobody.fits", **weights)
    with pytest.raises(UsageError, match="not named like an apStar"):
        astra.distance_from_apstar(other, **weights)
    with pytest.raises(UsageError, match="does not tell its data release"):
        astra.distance_from_apstar(unknown, **weights)
    assert astra.distance_from_apstar(unknown, release="dr19", **weights).L_fakemag > 0


# > What is wrong


WRONG = {
    "flux, e_flux, pixel_flags: shapes": lambda f, e, m: (f[:100], e, m, 10.0, 0.1),
    "all \\(8575,\\) or all": lambda f, e, m: (f[None, None], e[None, None], m[None, None], 10.0, 0.1),
    "flux is not made of numbers": lambda f, e, m: (f.astype("U"), e, m, 10.0, 0.1),
    "e_flux is not made of numbers": lambda f, e, m: (f, e + 1j, m, 10.0, 0.1),
    "pixel_flags hold float64, not integers": lambda f, e, m: (f, e, m.astype(float), 10.0, 0.1),
    "pixel_flags hold more than 32 bits": lambda f, e, m: (f, e, m + 2**40, 10.0, 0.1),
    "k_mag is not made of numbers": lambda f, e, m: (f, e, m, "bright", 0.1),
    "k_mag has shape \\(3,\\); give one value": lambda f, e, m: (f, e, m, [1.0, 2.0, 3.0], 0.1),
    "k_mag is in pc, and not in mag": lambda f, e, m: (f, e, m, 10 * units.pc, 0.1),
    "flux is in Jy, and not in": lambda f, e, m: (f * units.Jy, e, m, 10.0, 0.1),
    "e_flux is missing": lambda f, e, m: (f,),
    "pixel_flags is missing": lambda f, e, m: (f, e),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_no_spectrum_and_no_number_is_one_clear_line(estimate, spectrum, message):
    arguments = WRONG[message](*spectrum[:2], spectrum[2].astype(np.int64))

    with pytest.raises(ValueError, match=message) as raised:
        estimate(*arguments)

    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("seed", [None, 1.5, -1, 2**63, True])
def test_a_seed_that_no_run_could_have_is_refused(estimate, spectrum, seed):
    with pytest.raises(ValueError, match="seed: .*; give a whole number from 0 to"):
        estimate(*spectrum, 10.0, 0.1, seed=seed)


def test_a_release_that_is_no_text_is_refused(estimate, spectrum):
    with pytest.raises(ValueError, match="gaia_release: 3; give a text, e.g. 'dr3'"):
        estimate(*spectrum, 10.0, 0.1, gaia_release=3)


@pytest.mark.parametrize("identity", [7, ["a", "b"], [7], [], [["a"]]])
def test_a_name_that_is_none_is_refused(estimate, spectrum, identity):
    with pytest.raises(ValueError, match="identity: give a text"):
        estimate(*spectrum, 10.0, 0.1, identity=identity)


def test_a_misspelt_keyword_is_an_error_that_names_those_that_there_are(estimate, spectrum):
    with pytest.raises(TypeError, match="unknown keyword 'parallax'; of a star, give any of k_mag, .*plx"):
        estimate(*spectrum, 10.0, 0.1, parallax=2.0)


def test_weights_draws_and_devices_that_are_not_there_are_refused(spectrum, estimate, tmp_path):
    with pytest.raises(ConfigError, match=r"none\.pt"):
        astra.distance(*spectrum, 10.0, 0.1, weights=str(tmp_path / "none.pt"))
    with pytest.raises(UsageError, match="1 draws are too few"):
        estimate(*spectrum, 10.0, 0.1, n_draws=1)
    with pytest.raises(UsageError, match="unknown weights"):
        estimate(*spectrum, 10.0, 0.1, weights_from="me")


def test_importing_astra_stays_cheap_and_no_database_is_opened():
    code = (
        "import sys, astra; before = [n for n in ('numpy', 'peewee', 'astropy') if n in sys.modules]; "
        "from astra import distance; from astra.models.base import database; print(before, database.obj)"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (ran.stdout, ran.stderr) == ("[] None\n", "")
