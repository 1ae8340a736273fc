"""Examples from a database: what is cut and what is not, the labels, and the scale that they lead to."""

import math

import numpy as np
import pytest
import torch
from builders import a_source, a_spectrum, write_apstar
from parallax_survey import (
    A_K_PER_EBV,
    GOOD_SPECTRUM,
    GOOD_STAR,
    insert_stars,
    luminosities,
    mostly_noise,
    observed,
)

from astra.errors import ConfigError, Interrupted
from astra.modelling.training import losses
from astra.modelling.training.parallaxes import FEWEST, Cuts, examples_from_database, labels, select
from astra.models import ApogeeCoaddedSpectrumInApStar, Source
from astra.spectra.apstar import read_combined
from astra.spectra.rectify import rectify


@pytest.fixture(scope="module")
def apstar(tmp_path_factory):
    """A good file."""
    return write_apstar(tmp_path_factory.mktemp("files") / "apStar-dr17-good.fits", stacked=False)


@pytest.fixture
def good_stars(db, apstar):
    """As many stars as a training needs at least; one file serves them all."""
    return insert_stars(FEWEST, apstar)


# > Cuts


CUT = [
    ("no_k_mag", {"k_mag": math.nan}),
    ("no_k_mag", {"k_mag": 99.999}),
    ("no_k_mag", {"k_mag": -9999.0}),
    ("no_extinction", {"ebv": math.nan}),
    ("no_extinction", {"ebv": 0.0}),
    ("no_extinction", {"ebv": -0.1}),
    ("no_parallax", {"plx": math.nan}),
    ("no_parallax", {"e_plx": math.nan}),
    ("no_parallax", {"e_plx": 0.0}),
    ("ruwe", {"ruwe": 1.4}),
    ("ruwe", {"ruwe": math.nan}),
    ("starflag", {"spectrum_flags": 1}),
    ("starflag", {"spectrum_flags": 2**25}),
    ("snr", {"snr": 200.0}),
    ("snr", {"snr": math.nan}),
]


@pytest.mark.parametrize(("name", "values"), CUT)
def test_what_is_missing_or_poor_is_left_out_and_counted(good_stars, apstar, name, values):
    star = {key: value for key, value in values.items() if key in GOOD_STAR}
    spectrum = {key: value for key, value in values.items() if key in GOOD_SPECTRUM}
    cut = a_spectrum(a_source(**(GOOD_STAR | star)), apstar, **(GOOD_SPECTRUM | spectrum))

    found = select(Cuts())

    assert cut.spectrum_pk not in found.spectrum_pk
    assert {key: count for key, count in found.removed.items() if count} == {name: 1}
    assert found.spectrum_pk.tolist() == good_stars


def test_a_spectrum_without_a_star_or_without_a_file_is_left_out(good_stars, apstar):
    a_spectrum(None, apstar, **GOOD_SPECTRUM)
    ApogeeCoaddedSpectrumInApStar.update(path=None).where(
        ApogeeCoaddedSpectrumInApStar.spectrum_pk == good_stars[0]
    ).execute()
    insert_stars(1, apstar)

    removed = select(Cuts()).removed

    assert {name: count for name, count in removed.items() if count} == {"no_source": 1, "no_file": 1}


def test_a_spectrum_counts_for_the_first_cut_that_it_fails(good_stars, apstar):
    a_spectrum(a_source(**(GOOD_STAR | {"ruwe": 9.0, "plx": math.nan})), apstar, snr=10.0)

    removed = select(Cuts()).removed

    assert list(removed) == "no_source no_file no_k_mag no_extinction no_parallax ruwe starflag snr".split()
    assert (removed["no_parallax"], sum(removed.values())) == (1, 1)


@pytest.mark.parametrize(
    ("cuts", "values"),
    [
        (Cuts(max_ruwe=None), {"ruwe": math.nan}),
        (Cuts(max_ruwe=3.0), {"ruwe": 2.9}),
        (Cuts(forbidden_starflags=0), {"spectrum_flags": 2**3 + 1}),
        (Cuts(forbidden_starflags=2**3), {"spectrum_flags": 2**9}),
        (Cuts(min_snr=0), {"snr": 1.0}),
    ],
)
def test_every_cut_can_be_loosened(db, apstar, cuts, values):
    insert_stars(FEWEST, apstar, **values)

    assert len(select(cuts).star) == FEWEST
    with pytest.raises(ConfigError):
        select(Cuts())


def test_strongly_reddened_stars_are_left_out_on_request(good_stars, apstar):
    insert_stars(3, apstar, ebv=0.7)

    assert len(select(Cuts()).star) == FEWEST + 3
    assert select(Cuts(max_ebv=0.5)).removed["ebv"] == 3


def test_no_parallax_is_left_out_for_its_sign_or_its_significance(db, apstar):
    plx = np.linspace(-2, 2, FEWEST)
    insert_stars(FEWEST, apstar, plx=plx, e_plx=5.0)

    found = select(Cuts())

    assert (found.fakemag < 0).sum() == FEWEST // 2
    assert np.array_equal(np.sign(found.fakemag), np.sign(plx))


def test_too_few_spectra_are_refused_with_what_each_cut_left_out(db, apstar):
    insert_stars(FEWEST - 1, apstar)
    insert_stars(7, apstar, ruwe=2.0)
    insert_stars(1200, apstar, plx=math.nan)

    with pytest.raises(ConfigError) as error:
        select(Cuts())

    assert str(error.value) == (
        "99 spectra are left to train on, at least 100 are needed (left out: no_parallax 1,200, ruwe 7); "
        "loosen the cuts, or ingest spectra of stars with parallaxes"
    )


def test_an_empty_database_is_refused(db):
    with pytest.raises(ConfigError, match=r"^0 spectra .*left out: nothing"):
        select(Cuts())


def test_more_spectra_than_one_query_takes_come_in_the_order_of_their_keys(db, apstar, monkeypatch):
    monkeypatch.setattr("astra.modelling.training.parallaxes.CHUNK", 7)
    keys = insert_stars(FEWEST + 3, apstar)

    assert select(Cuts()).spectrum_pk.tolist() == keys


def test_releases_are_counted(good_stars, apstar):
    insert_stars(2, apstar, gaia_release="dr2")
    insert_stars(1, apstar, gaia_release=None)

    found = select(Cuts())

    assert found.releases == {"dr17": FEWEST + 3}
    assert found.astrometry == {"dr2": 2, "dr3": FEWEST, "unknown": 1}


# > Labels


def test_a_label_is_the_parallax_at_the_magnitude_without_extinction(good_stars):
    found = select(Cuts())

    factor = 10 ** (0.2 * (10.0 - A_K_PER_EBV * 0.1))
    assert found.fakemag == pytest.approx(0.5 * factor, rel=1e-12)
    assert found.e_fakemag == pytest.approx(0.02 * factor, rel=1e-12)
    assert (found.snr == 250.0).all()


def test_a_zero_point_is_subtracted_as_gaia_defines_it():
    y, error = labels(np.array([0.5]), np.array([0.02]), np.array([10.0]), np.array([0.0]), -0.029)

    assert y == pytest.approx(0.529 * 100)
    assert error == pytest.approx(0.02 * 100)


def test_the_error_of_a_label_does_not_depend_on_the_noise_of_its_parallax():
    plx = np.array([-3.0, 0.0, 0.5, 3.0])
    _, error = labels(plx, np.full(4, 0.1), np.full(4, 9.0), np.full(4, 0.3))

    assert np.unique(error).size == 1


# > Pixels


def test_examples_hold_the_rectified_pixels(db, tmp_path):
    files = [write_apstar(tmp_path / f"apStar-dr17-{number}.fits", stacked=bool(number)) for number in (0, 1)]
    keys = insert_stars(FEWEST, files * (FEWEST // 2))

    found = examples_from_database(Cuts(), tmp_path / "work")

    examples = found.examples
    assert (len(examples.flux), found.unreadable) == (FEWEST, 0)
    assert examples.flux.dtype == np.float16
    assert isinstance(examples.flux, np.memmap)
    for number, file in enumerate(files):
        pixels = read_combined(file)
        flux, _ = rectify(pixels.flux, pixels.e_flux, pixels.pixel_flags)
        assert np.array_equal(examples.flux[number], (flux - 1).astype(np.float16))
    assert examples.star.tolist() == keys
    assert examples.fakemag.dtype == examples.e_fakemag.dtype == np.float32
    assert examples.fakemag == pytest.approx(found.labelled.fakemag, rel=1e-6)
    assert set(examples.kind) == {""}
    assert not examples.noise.any()
    assert examples.masks is None


def test_flux_that_two_bytes_cannot_hold_stays_finite(db, tmp_path):
    flux = np.full(8575, 100.0)
    flux[4000] = 1e12
    file = write_apstar(tmp_path / "apStar-dr17-spike.fits", flux, stacked=False)
    insert_stars(FEWEST, file)

    examples = examples_from_database(Cuts(), tmp_path / "work").examples

    assert np.isfinite(examples.flux).all()
    assert examples.flux.max() == np.finfo(np.float16).max


def test_a_second_time_opens_no_file(db, tmp_path):
    file = write_apstar(tmp_path / "apStar-dr17-x.fits")
    insert_stars(FEWEST, file)
    first = examples_from_database(Cuts(), tmp_path / "work")
    file.unlink()
    Source.update(plx=-0.3).execute()

    again = examples_from_database(Cuts(), tmp_path / "work")

    assert np.array_equal(again.examples.flux, first.examples.flux)
    assert (again.examples.fakemag < 0).all()
    assert again.labelled.fingerprint == first.labelled.fingerprint
    assert again.labelled.digest != first.labelled.digest


def test_other_pixels_are_read_anew(db, tmp_path):
    file = write_apstar(tmp_path / "apStar-dr17-x.fits")
    insert_stars(FEWEST, file)
    first = examples_from_database(Cuts(), tmp_path / "work")
    write_apstar(file)
    ApogeeCoaddedSpectrumInApStar.update(pixels_digest="another").execute()

    again = examples_from_database(Cuts(), tmp_path / "work")

    assert not np.array_equal(again.examples.flux, first.examples.flux)


class Killed(Exception):
    pass


@pytest.mark.parametrize("cut", [0, 1, 1000])
def test_reading_goes_on_where_it_was_killed(db, tmp_path, monkeypatch, cut):
    files = [write_apstar(tmp_path / f"apStar-dr17-{n}.fits", stacked=False) for n in range(3)]
    files.append(tmp_path / "apStar-dr17-bad.fits")
    files[3].write_bytes(b"not FITS")
    monkeypatch.setattr("astra.modelling.training.rectified.CHUNK", 10)
    insert_stars(FEWEST + 2, [*(files[:3] * 33), files[3], *files[:2]])
    insert_stars(18, [*files, *files[:3] * 4, *files[:2]])
    whole = examples_from_database(Cuts(), tmp_path / "whole")

    def kill(done, total):
        if done >= 60:
            raise Killed

    with pytest.raises(Killed):
        examples_from_database(Cuts(), tmp_path / "work", on_progress=kill)
    (part,) = (tmp_path / "work").glob("*.part")
    with (part / "flux").open("r+b") as file:  # a kill in the middle of a write
        file.truncate((part / "flux").stat().st_size - cut)
    seen = []
    again = examples_from_database(Cuts(), tmp_path / "work", on_progress=lambda *now: seen.append(now))

    assert seen[0] == ((50 if cut == 0 else 49), FEWEST + 20)
    assert np.array_equal(again.examples.flux, whole.examples.flux)
    assert np.array_equal(again.examples.star, whole.examples.star)
    assert again.unreadable == whole.unreadable == 2


# > Files that cannot be read


def test_files_without_a_spectrum_are_left_out_with_a_warning(good_stars, apstar, tmp_path, caplog):
    empty = write_apstar(tmp_path / "apStar-dr17-empty.fits", np.zeros(8575))
    truncated = tmp_path / "apStar-dr17-truncated.fits"
    truncated.write_bytes(apstar.read_bytes()[:5000])
    bad = insert_stars(3, [empty, truncated, tmp_path / "apStar-dr17-absent.fits"])

    found = examples_from_database(Cuts(), tmp_path / "work")

    assert found.unreadable == 3
    assert found.examples.star.tolist() == good_stars
    assert [record.args[0] for record in caplog.records] == bad
    assert "no usable pixel" in caplog.text

    caplog.clear()
    examples_from_database(Cuts(), tmp_path / "work")

    (record,) = caplog.records
    assert "stay left out: 1; if they are back" in record.getMessage()


def test_a_lost_disk_stops_the_work_and_costs_no_spectrum(db, tmp_path, monkeypatch):
    monkeypatch.setattr("astra.modelling.training.rectified.CHUNK", 50)
    disk = tmp_path / "disk"
    disk.mkdir()
    file = write_apstar(disk / "apStar-dr17-x.fits", stacked=False)
    insert_stars(FEWEST * 2, file)

    def lose(done, total):
        if done == 100:
            disk.rename(tmp_path / "elsewhere")

    with pytest.raises(Interrupted, match="50 of 50 files in a row.*is the disk mounted"):
        examples_from_database(Cuts(), tmp_path / "work", on_progress=lose)
    (tmp_path / "elsewhere").rename(disk)
    seen = []
    found = examples_from_database(Cuts(), tmp_path / "work", on_progress=lambda *now: seen.append(now))

    assert seen[0] == (50, FEWEST * 2)
    assert (len(found.examples.star), found.unreadable) == (FEWEST * 2, 0)


@pytest.mark.parametrize(
    ("absent", "error", "message"),
    [(True, Interrupted, "is the disk mounted"), (False, ConfigError, "hold no spectrum: replace")],
)
def test_when_more_than_a_fifth_cannot_be_read_nothing_is_trained_on(
    db, apstar, tmp_path, monkeypatch, absent, error, message
):
    monkeypatch.setattr("astra.modelling.training.rectified.CHUNK", 20)
    bad = tmp_path / "apStar-dr17-bad.fits"
    if not absent:
        bad.write_bytes(b"not FITS")
    insert_stars(FEWEST * 2, [apstar, apstar, apstar, bad] * (FEWEST // 2))

    with pytest.raises(error, match=message):
        examples_from_database(Cuts(), tmp_path / "work")


def test_relative_paths_without_their_base_are_refused_before_any_file(good_stars, apstar, tmp_path):
    ApogeeCoaddedSpectrumInApStar.update(path="dr17/x.fits").execute()

    with pytest.raises(ConfigError, match="SAS_BASE_DIR is not set"):
        examples_from_database(Cuts(), tmp_path / "work")


def test_a_work_folder_that_cannot_be_made_is_refused(good_stars, tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match="work folder .*file.*Not a directory; choose another with --work"):
        examples_from_database(Cuts(), tmp_path / "file" / "work")


def test_a_disk_without_room_is_refused_before_any_file(good_stars, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)

    with pytest.raises(ConfigError, match=r"100 spectra need 0.0 GB, 0.0 GB are free"):
        examples_from_database(Cuts(), tmp_path / "work")


# > The scale


def fitted_scale(y, error, known):
    """The factor of the known luminosities for which the loss of the training is least, with one s."""
    y, error, known = (torch.from_numpy(array / 10) for array in (y, error, known))
    scale, s = (torch.tensor(start, dtype=torch.float64, requires_grad=True) for start in (0.8, 0.0))
    optimiser = torch.optim.LBFGS([scale, s], line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = losses.linear(scale * known, s.expand(len(y)), y, error).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    return scale.item()


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)  # seconds, in which the database does nothing
def test_the_scale_is_right_to_one_per_cent_only_if_no_parallax_is_left_out_for_its_noise(db):
    # What a spectrum tells of a luminosity, to 8 %.
    known = luminosities(20_000)
    insert_stars(len(known), "/nowhere", **observed(known, mostly_noise(len(known), 7.5), scatter=0.08))

    found = select(Cuts())

    y, error = found.fakemag, found.e_fakemag
    assert 0.29 < (y < 0).mean() < 0.31
    # 1 % is nearly four standard errors of the scale.
    assert np.sum((known / error) ** 2) ** -0.5 < 0.0028
    assert fitted_scale(y, error, known) == pytest.approx(1, abs=0.01)
    for kept in (y > 0, y / error > 5):
        assert fitted_scale(y[kept], error[kept], known[kept]) > 1.01
    # Errors of Ks that grow with the noisy label instead of the true one do the opposite.
    assert fitted_scale(y, np.hypot(error, 0.46 * 0.3 * np.abs(y)), known) < 0.99
