"""The main job as an operator runs it: from files and a table to distances, on SQLite and on PostgreSQL."""

import csv
import gzip
import json
import math
import shutil
import sqlite3
import subprocess
import sys

import numpy as np
import plain_network
import pytest
from astropy.io import fits
from weights_files import write_checkpoint, write_folder

from astra.cli import main
from astra.models import ApogeeCoaddedSpectrumInApStar, AstroNNdist, Distance, Source
from astra.pipelines.astronn_dist.network.bcnn import ApogeeDistBCNN
from astra.pipelines.astronn_dist.weights.files import load_weights
from astra.spectra.apstar import read_combined
from astra.spectra.rectify import rectify


@pytest.fixture
def astra(capsys):
    """Runs a command line that must succeed; gives stdout."""

    def call(*arguments, exit_code=0):
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert code == exit_code, err
        return out

    return call


@pytest.fixture
def copies(simulated, tmp_path):
    """Simulated files and their table, in a folder where they may be changed."""
    return shutil.copytree(simulated, tmp_path / "apstar")


@pytest.fixture(scope="module")
def upstream(reference, reference_weights, targets):
    """The weights, the folder of real files, the numbers of the upstream network by file, its draws."""
    numbers = np.load(reference / "parity.npz")
    names = ("mc_fakemag", "A_k_mag", "k_mag", "ebv")
    expected = {
        str(name): {key: float(numbers[key][index]) for key in names}
        for index, name in enumerate(numbers["apstar_file"])
    }
    return reference_weights, targets.parent, expected, 2000


@pytest.fixture(scope="module")
def plain(simulated, toy_weights):
    """The same of the simulated files: normalised by astroNN, and 400 draws in plain torch."""
    pytest.importorskip("astroNN")
    n_draws = 400
    network = ApogeeDistBCNN.from_weights(load_weights(toy_weights))
    expected = {}
    for star in csv.DictReader((simulated / "targets.csv").read_text().splitlines()):
        name = f"apStar-dr17-{star['apogee_id']}.fits"
        read = read_combined(simulated / name)
        flux, _ = rectify(read.flux, read.e_flux, read.pixel_flags, backend="astronn")
        mean = plain_network.draws(network, flux, n_draws)[0].mean() * network.labels_std.item()
        k_mag, ebv = float(star["k_mag"]), float(star["ebv"])
        expected[name] = {"mc_fakemag": mean, "A_k_mag": 0.3517 * max(ebv, 0.0), "k_mag": k_mag, "ebv": ebv}
    return toy_weights, simulated, expected, n_draws


def _rows_by_file():
    query = AstroNNdist.select(AstroNNdist, ApogeeCoaddedSpectrumInApStar.path).join(
        ApogeeCoaddedSpectrumInApStar,
        on=(AstroNNdist.spectrum_pk == ApogeeCoaddedSpectrumInApStar.spectrum_pk),
    )
    return {row.apogeecoaddedspectruminapstar.path.split("/")[-1]: row for row in query}


def _ingest(astra, folder):
    return astra("ingest", "apstar", folder, "--catalog", folder / "targets.csv", "--json")


@pytest.mark.parametrize("oracle", ["plain", pytest.param("upstream", marks=pytest.mark.real)])
def test_spectra_give_the_numbers_of_others(db, astra, oracle, request):
    weights, folder, numbers, n_draws = request.getfixturevalue(oracle)
    _ingest(astra, folder)

    out = astra("run", "astronn_dist", "--weights", weights, "--limit", 10000)

    assert out.startswith(f"{len(numbers)} measured + 0 no_result = {len(numbers)} processed")
    rows = _rows_by_file()
    assert rows.keys() == numbers.keys()
    for name, row in rows.items():
        expected = numbers[name]
        standard_error = row.e_model_L_fakemag * math.sqrt(1 / 100 + 1 / n_draws)
        assert abs(row.L_fakemag - expected["mc_fakemag"]) < 5 * standard_error
        assert row.A_k_mag == expected["A_k_mag"]
        assert row.k_mag == expected["k_mag"]
        dist = 10 ** (0.2 * (row.k_mag - row.A_k_mag) + 3) / row.L_fakemag
        assert row.dist == pytest.approx(dist, rel=1e-9)
        assert row.e_dist == pytest.approx(dist * row.e_L_fakemag / row.L_fakemag, rel=1e-9)
        assert row.flag_missing_extinction == (not expected["ebv"] > 0)
        assert not row.flag_missing_photometry
    assert Distance.select().count() == len(numbers)
    assert astra("run", "astronn_dist", "--weights", weights) == "nothing is pending for astronn_dist\n"


def test_a_limit_of_five_leaves_the_others(db, astra, copies, toy_weights):
    _ingest(astra, copies)

    astra("run", "astronn_dist", "--weights", toy_weights, "--limit", 5)

    assert astra("run", "astronn_dist", "--weights", toy_weights, "--dry-run") == "11 pending\n"


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_changed_magnitude_in_the_catalogue_changes_that_star_alone(
    db, astra, copies, toy_weights, is_alone
):
    _ingest(astra, copies)
    astra("run", "astronn_dist", "--weights", toy_weights)
    before = _rows_by_file()
    table = copies / "targets.csv"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    star, magnitude = rows[3], float(rows[3]["k_mag"]) - 1
    file = f"apStar-dr17-{star['apogee_id']}.fits"
    star["k_mag"] = str(magnitude)
    with table.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        writer.writerows(rows)

    if is_alone:
        astra("ingest", "catalog", table)
    else:
        _ingest(astra, copies)
    for path in copies.glob("*.fits"):
        path.unlink()
    found = json.loads(astra("run", "astronn_dist", "--weights", toy_weights, "--json"))

    assert (found["rederived"], found["processed"]) == (1, 0)
    for name, row in _rows_by_file().items():
        if name == file:
            assert row.k_mag == magnitude
            assert row.dist == pytest.approx(before[name].dist * 10**-0.2, rel=1e-9)
            assert row.L_fakemag == before[name].L_fakemag
        else:
            assert repr(row.__data__) == repr(before[name].__data__)


def test_all_three_formats_of_the_same_weights_give_the_same_rows(db, astra, copies, toy_weights, tmp_path):
    _ingest(astra, copies)
    tensors = load_weights(toy_weights).tensors
    checkpoint = write_checkpoint(tmp_path / "a.pt", tensors)
    found = []
    for weights in (checkpoint, write_folder(tmp_path / "astroNN", tensors), toy_weights):
        astra("run", "astronn_dist", "--weights", weights, "--overwrite")
        found.append(
            {name: (row.L_fakemag, row.e_L_fakemag, row.dist) for name, row in _rows_by_file().items()}
        )

    for name, values in found[0].items():
        assert found[1][name] == pytest.approx(values, rel=1e-5)
        assert found[2][name] == pytest.approx(values, rel=1e-5)


@pytest.mark.postgres
def test_sqlite_and_postgresql_hold_the_same_numbers(
    astra, copies, toy_weights, tmp_path, postgres, monkeypatch
):
    query = (
        "SELECT product_id, l_fakemag, e_l_fakemag, dist, e_dist, a_k_mag FROM distances ORDER BY product_id"
    )
    monkeypatch.setenv("ASTRA_DATABASE_PATH", str(tmp_path / "a.db"))
    astra("init")
    _ingest(astra, copies)
    astra("run", "astronn_dist", "--weights", toy_weights)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.create_function("log10", 1, lambda value: value and math.log10(value))
        ours = connection.execute(query).fetchall()

    import psycopg2

    monkeypatch.delenv("ASTRA_DATABASE_PATH")
    with postgres.database() as dbname:
        monkeypatch.setenv("ASTRA_DATABASE_URL", postgres.url(dbname))
        astra("init")
        _ingest(astra, copies)
        astra("run", "astronn_dist", "--weights", toy_weights, "--batch-size", 5)
        connection = psycopg2.connect(postgres.url(dbname))
        cursor = connection.cursor()
        cursor.execute(query.replace("FROM distances", "FROM astra.distances"))
        theirs = sorted(cursor.fetchall())
        connection.close()

    assert len(ours) == 16
    for one, other in zip(sorted(ours), theirs, strict=True):
        assert one[0] == other[0]
        assert one[1:] == pytest.approx(other[1:], rel=1e-5)


# > Damage, before and after the files were registered


def _first_hdu_with_data(path, number):
    with fits.open(path) as hdus:
        return hdus[number].fileinfo()


def _empty(path):
    path.write_bytes(b"")


def _text(path):
    path.write_text("hello")


def _truncated(number):
    def damage(path):
        path.write_bytes(path.read_bytes()[: _first_hdu_with_data(path, number)["datLoc"] + 100])

    return damage


def _rewritten(change):
    def damage(path):
        with fits.open(path) as hdus:
            hdus = fits.HDUList([hdu.copy() for hdu in hdus])
        change(hdus)
        hdus.writeto(path, overwrite=True)

    return damage


def _all_nan(hdus):
    hdus[1].data[:] = np.nan


def _all_masked(hdus):
    hdus[3].data[:] = 1


def _wrong_shape(hdus):
    hdus[1].data = np.ones((3, 100), np.float32)


def _folder(path):
    path.unlink()
    path.mkdir()


def _claims_100_gb(path):
    content = path.read_bytes()
    (axis,) = {content[i : i + 30] for i in [content.index(b"NAXIS2  =")]}
    path.write_bytes(content.replace(axis, b"NAXIS2  =              3000000", 1))


DAMAGES = {
    "empty": _empty,
    "text": _text,
    **{f"truncated in HDU {number}": _truncated(number) for number in range(1, 10)},
    "all NaN": _rewritten(_all_nan),
    "all masked": _rewritten(_all_masked),
    "wrong shape": _rewritten(_wrong_shape),
    "a directory": _folder,
    "100 GB": _claims_100_gb,
}
GZIP = "a gzip of a good file"


def _victims(folder):
    files = sorted(path for path in folder.glob("apStar-*.fits") if fits.getval(path, "NVISITS") > 1)
    assert len(files) >= 10
    return files


@pytest.mark.parametrize("when", ["before ingest", "after ingest"])
@pytest.mark.parametrize("kinds", [list(DAMAGES)[:8], list(DAMAGES)[8:]], ids=["1", "2"])
def test_each_damage_gives_one_row_with_its_reason_and_the_run_goes_on(
    db, astra, copies, toy_weights, when, kinds
):
    victims = dict(zip([*kinds, GZIP], _victims(copies), strict=False))
    if when == "after ingest":
        _ingest(astra, copies)
    for kind, path in victims.items():
        if kind == GZIP:
            path.write_bytes(gzip.compress(path.read_bytes()))
        else:
            DAMAGES[kind](path)
    if when == "before ingest":
        _ingest(astra, copies)

    out = astra("run", "astronn_dist", "--weights", toy_weights)

    rows = _rows_by_file()
    assert len(rows) == AstroNNdist.select().count() == 16
    for kind, path in victims.items():
        row = rows.pop(path.name)
        if kind == GZIP:
            assert row.L_fakemag > 0
        else:
            assert row.flag_no_result, kind
            assert row.flag_bad
            assert str(path) in row.no_result_reason
            assert math.isnan(row.dist)
    assert all(row.L_fakemag > 0 for row in rows.values())
    assert f"{len(kinds)} no_result = 16 processed" in out


def test_a_missing_file_is_a_row_that_the_next_run_tries_again(db, astra, copies, toy_weights):
    path = _victims(copies)[0]
    _ingest(astra, copies)
    path.rename(copies / "away")
    astra("run", "astronn_dist", "--weights", toy_weights)
    row = _rows_by_file()[path.name]
    assert row.no_result_reason == f"No such file or directory: {path}"

    (copies / "away").rename(path)
    astra("run", "astronn_dist", "--weights", toy_weights)

    again = _rows_by_file()[path.name]
    assert (again.task_pk, again.created) == (row.task_pk, row.created)
    assert again.L_fakemag > 0
    assert not again.flag_no_result
    assert again.no_result_reason is None


def test_repaired_pixels_are_analysed_again_after_the_next_ingest(db, astra, copies, toy_weights):
    path = _victims(copies)[0]
    _ingest(astra, copies)
    astra("run", "astronn_dist", "--weights", toy_weights)
    before = _rows_by_file()[path.name]
    with fits.open(path, mode="update") as hdus:
        hdus[1].data[0] *= 1 + 0.1 * np.sin(np.arange(8575) / 50)

    _ingest(astra, copies)
    out = astra("run", "astronn_dist", "--weights", toy_weights)

    assert "1 processed" in out
    assert _rows_by_file()[path.name].L_fakemag != before.L_fakemag


def test_ingesting_the_same_again_leaves_nothing_pending(db, astra, copies, toy_weights):
    first = json.loads(_ingest(astra, copies))
    astra("run", "astronn_dist", "--weights", toy_weights)
    modified = [row.modified for row in Source.select().order_by(Source.pk)]

    again = json.loads(_ingest(astra, copies))

    assert first != again
    assert [row.modified for row in Source.select().order_by(Source.pk)] == modified
    assert astra("run", "astronn_dist", "--weights", toy_weights, "--dry-run") == "0 pending\n"


def test_a_file_that_an_ordinary_user_may_not_read_is_a_row_with_its_reason(
    simulated, toy_weights, ordinary_user, open_tmp_path
):
    files = sorted(simulated.glob("apStar-*.fits"))[:2]
    for path in (*files, simulated / "targets.csv"):
        shutil.copyfile(path, open_tmp_path / path.name)
    closed = open_tmp_path / files[0].name
    weights = shutil.copyfile(toy_weights, open_tmp_path / "weights.safetensors")
    environment = {"ASTRA_DATABASE_PATH": str(open_tmp_path / "astra.db"), "HOME": str(open_tmp_path)}

    def astra(*arguments):
        command = [sys.executable, "-m", "astra", *map(str, arguments)]
        ran = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd="/", **ordinary_user
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    astra("init")
    astra("ingest", "apstar", open_tmp_path, "--catalog", open_tmp_path / "targets.csv")
    closed.chmod(0)
    out = astra("run", "astronn_dist", "--weights", weights)

    assert out.startswith("1 measured + 1 no_result = 2 processed")
    with sqlite3.connect(open_tmp_path / "astra.db") as connection:
        reasons = connection.execute("SELECT no_result_reason FROM astro_nn_dist ORDER BY 1").fetchall()
    assert reasons == [(None,), (f"Permission denied: {closed}",)]
