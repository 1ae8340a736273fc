"""The task: one row for each spectrum, with its own photometry, and flags that say what is missing."""

import math
from dataclasses import replace

import numpy as np
import pytest
from builders import ZERO_POINT, a_source, a_spectrum, slow_on_sqlite, write_apstar

from astra.database.connection import now
from astra.errors import ConfigError
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Distance, Source
from astra.pipelines.astronn_dist import astronn_dist
from astra.pipelines.astronn_dist.network.on_cpu import CpuNetwork
from astra.pipelines.astronn_dist.weights.files import Weights, load_weights, save_weights
from astra.pipelines.astronn_dist.weights.validity import Validity
from astra.running.request import Request
from astra.running.runner import run
from astra.running.runs import Report
from astra.tasks.pending import Selection, with_sources

FLAGS = ("flag_fakemag_unreliable", "flag_missing_photometry", "flag_missing_extinction", "flag_no_result")
ABSENT_K = [math.nan, math.inf, 98.0, 99.0, 99.99, 99.999, -1.0, -9999.0, -9999.99, -999999.0, 999999.0]
ABSENT_EBV = [math.nan, -math.inf, 0.0, -0.0, -0.5, -9999.99, 98.0, 99.0]


@pytest.fixture
def a_star_with_a_file(db, tmp_path):
    """Makes a spectrum with a good file and a source of its own."""

    def make(name="star", flux=None, header=None, **source):
        path = write_apstar(tmp_path / f"apStar-dr17-{name}.fits", flux, header=header)
        return a_spectrum(a_source(**source), path)

    return make


def _run(weights, overwrite=False, **request):
    report = Report("astronn_dist")
    options = {"weights": str(weights), "device": "cpu"} | request.pop("options", {})
    run(Request(Selection(astronn_dist, overwrite=overwrite), options, **request), report)
    assert report.exit_code == 0, report.error
    return report


def _row(spectrum):
    return AstroNNdist.get(AstroNNdist.spectrum_pk == spectrum.spectrum_pk)


def _flags(row):
    return {name for name in FLAGS if getattr(row, name)}


def test_a_star_with_everything_gets_a_distance(a_star_with_a_file, toy_weights):
    spectrum = a_star_with_a_file(k_mag=10.0, ebv=0.2)

    _run(toy_weights)

    row = _row(spectrum)
    assert (row.k_mag, row.ebv, row.A_k_mag) == (10.0, 0.2, 0.3517 * 0.2)
    assert row.dist == pytest.approx(10 ** (0.2 * (10.0 - row.A_k_mag) + 3) / row.L_fakemag, rel=1e-12)
    assert row.e_dist == pytest.approx(row.dist * row.e_L_fakemag / row.L_fakemag, rel=1e-12)
    assert row.e_model_dist == pytest.approx(row.dist * row.e_model_L_fakemag / row.L_fakemag, rel=1e-12)
    assert 0 < row.e_model_L_fakemag < row.e_L_fakemag
    assert not _flags(row) - {"flag_fakemag_unreliable"}
    assert row.t_elapsed > 0
    assert row.t_overhead >= 0


def test_every_star_uses_its_own_photometry(a_star_with_a_file, toy_weights):
    flux = 100 + np.random.default_rng(1).normal(0, 1, 8575)
    near = a_star_with_a_file("near", flux, k_mag=5.0, ebv=0.0)
    far = a_star_with_a_file("far", flux, k_mag=15.0, ebv=3.0)

    _run(toy_weights)

    near, far = _row(near), _row(far)
    assert (near.k_mag, far.k_mag) == (5.0, 15.0)
    assert (near.A_k_mag, far.A_k_mag) == (0.0, 0.3517 * 3.0)
    ratio = 10 ** (0.2 * (15.0 - 0.3517 * 3.0 - 5.0)) * near.L_fakemag / far.L_fakemag
    assert far.dist / near.dist == pytest.approx(ratio, rel=1e-12)


def test_missing_photometry_is_zero_and_bad(a_star_with_a_file, toy_weights, db):
    spectra = [a_star_with_a_file(f"star{n}", k_mag=k_mag, ebv=0.1) for n, k_mag in enumerate(ABSENT_K)]

    _run(toy_weights)

    for k_mag, spectrum in zip(ABSENT_K, spectra, strict=True):
        row = _row(spectrum)
        assert row.k_mag == 0, k_mag
        assert row.dist == pytest.approx(10 ** (-0.2 * row.A_k_mag + 3) / row.L_fakemag), k_mag
        assert row.flag_missing_photometry, k_mag
        assert row.flag_bad, k_mag
    flagged = "flag_missing_photometry AND flag_bad AND NOT flag_warn AND k_mag = 0"
    query = f"SELECT COUNT(*) FROM distances WHERE {flagged}"
    assert db.execute_sql(query).fetchone() == (len(spectra),)


def test_missing_extinction_is_zero_and_a_warning(a_star_with_a_file, toy_weights, db):
    spectra = [a_star_with_a_file(f"star{n}", k_mag=10.0, ebv=ebv) for n, ebv in enumerate(ABSENT_EBV)]

    _run(toy_weights)

    for ebv, spectrum in zip(ABSENT_EBV, spectra, strict=True):
        row = _row(spectrum)
        assert (row.ebv, row.A_k_mag) == (0, 0), ebv
        assert row.flag_missing_extinction, ebv
        assert row.flag_warn, ebv
        assert not row.flag_missing_photometry, ebv
    query = "SELECT COUNT(*) FROM distances WHERE flag_missing_extinction AND flag_warn AND a_k_mag = 0"
    assert db.execute_sql(query).fetchone() == (len(spectra),)


def test_a_spectrum_without_a_source_lacks_photometry_and_extinction(db, tmp_path, toy_weights):
    spectrum = a_spectrum(None, write_apstar(tmp_path / "apStar-dr17-alone.fits"))

    _run(toy_weights)

    row = _row(spectrum)
    assert row.source_pk is None
    assert _flags(row) >= {"flag_missing_photometry", "flag_missing_extinction"}
    assert row.L_fakemag > 0


@pytest.mark.parametrize(("k_mag", "ebv"), [(-0.99, 0.1), (0.0, 0.1), (97.9, 1e-6)])
def test_the_edges_of_what_counts_as_photometry(a_star_with_a_file, toy_weights, k_mag, ebv):
    spectrum = a_star_with_a_file(k_mag=k_mag, ebv=ebv)

    _run(toy_weights)

    row = _row(spectrum)
    assert (row.k_mag, row.ebv) == (k_mag, ebv)
    assert not row.flag_missing_photometry
    assert not row.flag_missing_extinction


def _changed_weights(toy_weights, path, **tensors):
    weights = load_weights(toy_weights)
    changed = dict(weights.tensors) | {name: np.asarray(value, np.float32) for name, value in tensors.items()}
    save_weights(Weights("changed", "", changed), path)
    return path


@pytest.mark.parametrize(("log_variance", "unreliable"), [(-12.0, False), (12.0, True)])
def test_a_large_relative_error_is_unreliable_and_bad(
    a_star_with_a_file, toy_weights, tmp_path, log_variance, unreliable
):
    spectrum = a_star_with_a_file()
    quiet = {
        "dense_var.weight": np.zeros((1, 64)),
        "dense_var.bias": [log_variance],
        "dense_output.weight": np.zeros((1, 64)),
    }
    path = _changed_weights(
        toy_weights, tmp_path / "changed.safetensors", **quiet, **{"dense_output.bias": [1.0]}
    )

    _run(path)

    row = _row(spectrum)
    assert row.L_fakemag > 0
    assert (row.flag_fakemag_unreliable, row.flag_bad) == (unreliable, unreliable)


def test_a_prediction_that_is_no_number_is_absent_and_flagged(a_star_with_a_file, toy_weights, tmp_path, db):
    spectrum = a_star_with_a_file()
    overflowing = {"dense_2.bias": np.full(64, 3e38), "dense_output.weight": np.ones((1, 64))}
    path = _changed_weights(toy_weights, tmp_path / "changed.safetensors", **overflowing)

    _run(path)

    row = _row(spectrum)
    assert math.isnan(row.L_fakemag)
    assert math.isnan(row.dist)
    assert row.flag_fakemag_unreliable
    assert not row.flag_no_result
    flagged = "l_fakemag IS NULL AND dist IS NULL AND flag_bad AND NOT flag_no_result"
    query = f"SELECT COUNT(*) FROM distances WHERE {flagged}"
    assert db.execute_sql(query).fetchone() == (1,)


def test_distances_beyond_ten_gigaparsecs_are_absent_each_on_its_own(
    a_star_with_a_file, toy_weights, tmp_path
):
    unsure = {"dense_var.weight": np.zeros((1, 64)), "dense_var.bias": [30.0]}
    spectrum = a_star_with_a_file(k_mag=30.0)
    path = _changed_weights(toy_weights, tmp_path / "changed.safetensors", **unsure)

    _run(path)

    row = _row(spectrum)
    assert 0 < row.dist <= 1e10
    assert math.isnan(row.e_dist)
    assert row.e_L_fakemag > row.L_fakemag


UNUSABLE = {"all NaN": math.nan, "all zero": 0.0}


@pytest.mark.parametrize("level", UNUSABLE.values(), ids=UNUSABLE)
def test_a_spectrum_without_a_usable_pixel_has_no_result(a_star_with_a_file, toy_weights, db, level):
    bad, good = a_star_with_a_file("bad", np.full(8575, level)), a_star_with_a_file("good")

    report = _run(toy_weights)

    row = _row(bad)
    assert _flags(row) == {"flag_no_result"}
    assert row.flag_bad
    assert row.no_result_reason.startswith("no usable pixel: ")
    for name in ("k_mag", "ebv", "A_k_mag", "L_fakemag", "e_L_fakemag", "dist", "e_dist", "e_model_dist"):
        assert math.isnan(getattr(row, name))
    assert _row(good).L_fakemag > 0
    assert (report.tally.measured, report.tally.no_result) == (1, 1)
    assert db.execute_sql("SELECT COUNT(*) FROM distances WHERE flag_no_result AND flag_bad").fetchone() == (
        1,
    )


@pytest.mark.parametrize("cut", ["first", "middle", "last", "all"])
def test_bad_files_are_flagged_rows_wherever_they_stand(a_star_with_a_file, toy_weights, cut):
    spectra = [a_star_with_a_file(str(number)) for number in range(4)]
    bad = {"first": spectra[:1], "middle": spectra[1:3], "last": spectra[3:], "all": spectra}[cut]
    for spectrum in bad:
        spectrum.absolute_path.write_bytes(b"not FITS")

    report = _run(toy_weights)

    assert (report.tally.measured, report.tally.no_result) == (4 - len(bad), len(bad))
    for spectrum in spectra:
        row = _row(spectrum)
        assert row.flag_no_result == (spectrum in bad)
        assert (row.dist > 0) == (spectrum not in bad)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_numbers_do_not_depend_on_how_the_work_was_cut(a_star_with_a_file, toy_weights, chunk):
    spectra = [a_star_with_a_file(str(number)) for number in range(5)]
    _run(toy_weights, chunk=5)
    together = {row.spectrum_pk: row.L_fakemag for row in AstroNNdist.select()}
    assert len(set(together.values())) == 5

    _run(toy_weights, overwrite=True, chunk=chunk, options={"batch_size": 2})
    cut = {row.spectrum_pk: row.L_fakemag for row in AstroNNdist.select()}
    (alone,) = astronn_dist([spectra[3]], weights=str(toy_weights), device="cpu")

    assert cut == pytest.approx(together, rel=1e-5)
    assert alone.L_fakemag == pytest.approx(together[alone.spectrum_pk], rel=1e-5)


@slow_on_sqlite
def test_several_workers_give_the_rows_of_one(a_star_with_a_file, toy_weights):
    for number in range(7):
        a_star_with_a_file(str(number))
    _run(toy_weights)
    one = {row.task_pk: row.L_fakemag for row in AstroNNdist.select()}

    report = _run(toy_weights, overwrite=True, workers=2, chunk=2)

    assert report.tally.processed == 7
    several = {row.task_pk: row.L_fakemag for row in AstroNNdist.select()}
    assert several == pytest.approx(one, rel=1e-5)
    assert {row.run_pk for row in AstroNNdist.select()} == {report.run_pk}


def test_another_seed_gives_other_draws_of_the_same_star(a_star_with_a_file, toy_weights):
    spectrum = a_star_with_a_file()
    first, again, other = (
        next(astronn_dist([spectrum], weights=str(toy_weights), seed=seed, device="cpu")).L_fakemag
        for seed in (0, 0, 1)
    )

    assert first == again
    assert first != other


def test_a_changed_magnitude_changes_the_distance_without_opening_the_file(
    a_star_with_a_file, toy_weights, db
):
    changed, other = a_star_with_a_file("a", k_mag=10.0), a_star_with_a_file("b", k_mag=10.0)
    _run(toy_weights)
    before, untouched = _row(changed), _row(other)
    changed.absolute_path.unlink()

    source = Source.get_by_id(changed.source_pk)
    source.k_mag = 12.5
    source.save()
    report = _run(toy_weights)

    after = _row(changed)
    assert (report.tally.rederived, report.tally.processed) == (1, 0)
    assert (after.L_fakemag, after.task_pk, after.created) == (
        before.L_fakemag,
        before.task_pk,
        before.created,
    )
    assert after.dist == pytest.approx(before.dist * 10 ** (0.2 * 2.5), rel=1e-12)
    assert (after.k_mag, after.run_pk) == (12.5, before.run_pk)
    assert after.modified > before.modified
    assert repr(_row(other).__data__) == repr(untouched.__data__)
    assert _run(toy_weights).outcome == "nothing_pending"


def test_a_magnitude_that_appears_takes_the_flag_away(a_star_with_a_file, toy_weights):
    spectrum = a_star_with_a_file(k_mag=math.nan, ebv=math.nan)
    _run(toy_weights)

    source = Source.get_by_id(spectrum.source_pk)
    source.k_mag, source.ebv = 9.0, 0.3
    source.save()
    _run(toy_weights)

    row = _row(spectrum)
    assert not _flags(row) & {"flag_missing_photometry", "flag_missing_extinction"}
    assert row.dist == pytest.approx(10 ** (0.2 * (9.0 - 0.3517 * 0.3) + 3) / row.L_fakemag)


GAIA = {"plx": 0.9, "e_plx": 0.05} | ZERO_POINT


def test_a_row_has_full_errors_and_parallaxes_of_its_own_star(a_star_with_a_file, toy_weights, db):
    spectrum = a_star_with_a_file("a", k_mag=10.0, e_k_mag=0.03, ebv=0.2, e_ebv=0.05, **GAIA)
    other = a_star_with_a_file("b", k_mag=10.0, ebv=0.2)

    _run(toy_weights)

    row, without = _row(spectrum), _row(other)
    assert row.dist_lo < row.dist < row.dist_hi
    assert row.nn_parallax == pytest.approx(1000 / row.dist, rel=1e-12)
    assert row.e_nn_parallax / row.nn_parallax > row.e_dist / row.dist
    assert row.gaia_parallax == 0.9 - row.plx_zero_point
    assert without.e_nn_parallax / without.nn_parallax == pytest.approx(without.e_dist / without.dist)
    assert math.isnan(without.gaia_parallax)
    weights = [row.e_nn_parallax**-2, row.e_gaia_parallax**-2]
    if row.flag_bad:
        weights[0] = 0
    mean = np.average([row.nn_parallax, row.gaia_parallax], weights=weights)
    assert (row.weighted_parallax, row.weighted_dist) == pytest.approx((mean, 1000 / mean), rel=1e-12)
    assert Distance.get(spectrum_pk=spectrum.spectrum_pk).weighted_dist == row.weighted_dist


def test_rows_derived_again_equal_those_of_a_new_run(a_star_with_a_file, toy_weights):
    good, bad = a_star_with_a_file("good", k_mag=10.0), a_star_with_a_file("bad", np.full(8575, math.nan))
    _run(toy_weights)
    for spectrum in (good, bad):
        values = GAIA | {"e_k_mag": 0.05, "e_ebv": 0.1}
        Source.update(modified=now(Source._meta.database), **values).where(
            Source.pk == spectrum.source_pk
        ).execute()

    report = _run(toy_weights)
    derived = [_row(spectrum) for spectrum in (good, bad)]
    again = _run(toy_weights)
    _run(toy_weights, overwrite=True)

    assert (report.tally.rederived, report.tally.processed) == (2, 0)
    assert again.outcome == "nothing_pending"
    names = set(AstroNNdist._meta.fields) - {
        "inputs_read",
        "source_read",
        "t_elapsed",
        "t_overhead",
        "run_pk",
    }
    for before, spectrum in zip(derived, (good, bad), strict=True):
        after = _row(spectrum)
        assert before.source_read > before.inputs_read
        # To the last digit, and so ``modified`` did not move.
        assert {name: repr(getattr(before, name)) for name in names} == {
            name: repr(getattr(after, name)) for name in names
        }


def test_a_spectrum_without_a_result_still_says_what_gaia_knows_of_its_star(a_star_with_a_file, toy_weights):
    spectra = [a_star_with_a_file("nan", np.full(8575, math.nan), **GAIA), a_star_with_a_file("cut", **GAIA)]
    spectra[1].absolute_path.write_bytes(b"not FITS")

    _run(toy_weights)

    for row in map(_row, spectra):
        assert _flags(row) == {"flag_no_result"}
        assert row.weighted_parallax == row.gaia_parallax == 0.9 - row.plx_zero_point
        assert math.isnan(row.nn_parallax)
        assert math.isnan(row.dist)


def test_upstreams_keywords_are_accepted_with_a_warning(a_star_with_a_file, toy_weights):
    spectrum = a_star_with_a_file()
    with pytest.warns(DeprecationWarning, match="weights|no effect") as seen:
        (row,) = astronn_dist(
            [spectrum], model_path=str(toy_weights), parallel=True, cpu_count=4, batch_size=8
        )

    assert row.L_fakemag > 0
    assert [str(warning.message).split()[0] for warning in seen] == ["model_path", "parallel", "cpu_count"]


def test_the_astronn_package_can_rectify_instead(a_star_with_a_file, toy_weights):
    pytest.importorskip("astroNN")
    spectrum = a_star_with_a_file()
    ours, theirs = (
        next(astronn_dist([spectrum], weights=str(toy_weights), device="cpu", backend=backend))
        for backend in ("astra", "astronn")
    )

    assert theirs.L_fakemag == pytest.approx(ours.L_fakemag, rel=1e-6)


def test_a_model_that_knows_its_training_widens_the_error_of_strange_spectra_alone(
    a_star_with_a_file, toy_weights, tmp_path
):
    random = np.random.default_rng(2)
    plain = a_star_with_a_file("plain", 100 + random.normal(0, 1, 8575))
    strange = a_star_with_a_file("strange", 100 + random.normal(0, 30, 8575))
    validity = Validity(
        np.zeros(7514),
        random.normal(0, 0.01, (2, 7514)),
        np.array([0.0, 0.05, 0.2]),
        np.array([0.0, 0.0, 2.0]),
    )
    aware = tmp_path / "aware.safetensors"
    save_weights(replace(load_weights(toy_weights), validity=validity), aware)
    _run(toy_weights)
    before = [_row(spectrum) for spectrum in (plain, strange)]

    _run(aware, overwrite=True)

    after = [_row(spectrum) for spectrum in (plain, strange)]
    for old, new in zip(before, after, strict=True):
        assert (new.L_fakemag, new.e_model_L_fakemag, new.dist) == (
            old.L_fakemag,
            old.e_model_L_fakemag,
            old.dist,
        )
    assert after[0].e_L_fakemag == before[0].e_L_fakemag
    assert after[1].e_L_fakemag == pytest.approx(np.hypot(before[1].e_L_fakemag, 2 * before[1].L_fakemag))
    assert after[1].e_dist == pytest.approx(after[1].dist * after[1].e_L_fakemag / after[1].L_fakemag)
    assert after[1].flag_fakemag_unreliable


@pytest.mark.parametrize("chunk", [1, 3])
def test_widened_errors_do_not_depend_on_how_the_work_was_cut(
    a_star_with_a_file, toy_weights, tmp_path, chunk
):
    random = np.random.default_rng(3)
    for number in range(5):
        a_star_with_a_file(str(number), 100 + random.normal(0, 5 + 5 * number, 8575))
    validity = Validity(
        np.zeros(7514), random.normal(0, 0.01, (3, 7514)), np.array([0.0, 0.5]), np.array([0.0, 5.0])
    )
    aware = tmp_path / "aware.safetensors"
    save_weights(replace(load_weights(toy_weights), validity=validity), aware)
    _run(aware, chunk=5)
    together = {row.spectrum_pk: row.e_L_fakemag for row in AstroNNdist.select()}

    _run(aware, overwrite=True, chunk=chunk, options={"batch_size": 2})

    assert {row.spectrum_pk: row.e_L_fakemag for row in AstroNNdist.select()} == pytest.approx(
        together, rel=1e-6
    )


def test_weights_that_cannot_be_used_fail_before_any_spectrum(a_star_with_a_file, tmp_path):
    a_star_with_a_file()
    report = Report("astronn_dist")

    run(Request(Selection(astronn_dist), {"weights": str(tmp_path / "none.pt")}), report)

    assert (report.exit_code, AstroNNdist.select().count()) == (78, 0)
    assert "none.pt" in report.error
    with pytest.raises(ConfigError, match="none.pt"):
        next(astronn_dist([], weights=str(tmp_path / "none.pt")))


def test_cuda_that_is_not_there_is_refused(a_star_with_a_file, toy_weights):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ConfigError, match="device cuda.*--device cpu"):
        next(astronn_dist([a_star_with_a_file()], weights=str(toy_weights), device="cuda"))


def test_pixels_are_read_when_they_are_asked_for(a_star_with_a_file):
    spectrum = a_star_with_a_file("lazy", np.arange(8575) + 1.0)

    assert spectrum.flux[0] == 1.0
    assert (spectrum.e_flux == 1).all()
    assert (spectrum.ivar == 1).all()
    assert spectrum.pixel_flags.sum() == 0
    assert spectrum.wavelength[0] == pytest.approx(15100.8, abs=0.1)
    assert spectrum.wavelength[-1] == pytest.approx(16999.8, abs=0.1)


def test_spectra_come_with_their_sources_in_one_query(a_star_with_a_file):
    a_star_with_a_file()
    (spectrum,) = with_sources(ApogeeCoaddedSpectrumInApStar)

    assert spectrum.__rel__["source"].k_mag == 10.0
    assert Distance.select().count() == 0
    assert now(ApogeeCoaddedSpectrumInApStar._meta.database) >= spectrum.created


def test_files_are_read_ahead_by_one_batch_and_no_more(db, a_star_with_a_file, toy_weights):
    for number in range(5):
        a_star_with_a_file(str(number))
    handed_out = []

    def spectra():
        for spectrum in with_sources(ApogeeCoaddedSpectrumInApStar):
            handed_out.append(spectrum)
            yield spectrum

    rows = astronn_dist(spectra(), weights=str(toy_weights), device="cpu", batch_size=1)
    seen = [(next(rows).spectrum_pk, len(handed_out)) for _ in range(5)]

    assert [pk for pk, _ in seen] == [spectrum.spectrum_pk for spectrum in handed_out]
    assert [count for _, count in seen] == [2, 3, 4, 5, 5]


def test_what_workers_need_compiled_is_compiled_before_they_start(toy_weights, monkeypatch):
    drawn, draw = [], CpuNetwork.draw
    monkeypatch.setattr(CpuNetwork, "draw", lambda self, *args: drawn.append(1) or draw(self, *args))

    astronn_dist.prepare(weights=str(toy_weights), device="cpu")

    assert drawn == [1]
