"""A simulated survey on disk."""

import csv
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toy_simulator import toy_simulator

from astra.errors import StorageError, UsageError
from astra.ingest.apstar import ingest_apstar
from astra.modelling.simulator import sample, survey
from astra.modelling.simulator.compact import choose_simulator
from astra.modelling.simulator.survey import write_survey
from astra.models import ApogeeCoaddedSpectrumInApStar, Source
from astra.spectra.apstar import read_header


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """A few stars at a time, so that a few chunks are soon done."""
    monkeypatch.setattr(sample, "CHUNK", 4)


@pytest.fixture
def write(tmp_path):
    """Writes a survey of the toy simulator."""

    def call(name="sim", n=3, **options):
        return write_survey(tmp_path / name, toy_simulator(), n, **options)

    return call


def _spectra(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.fits")}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_star_has_a_file_and_a_row_in_both_tables(write, tmp_path):
    written = write(n=10)

    targets, truth = (_rows(tmp_path / "sim" / name) for name in ("targets.csv", "truth.csv"))
    names = [row["apogee_id"] for row in targets]
    assert names == [row["apogee_id"] for row in truth]
    assert {f"apStar-dr17-{name}.fits" for name in names} == set(_spectra(tmp_path / "sim"))
    assert len(set(names)) == written.kinds.total() == 10
    assert written.size == sum(map(len, _spectra(tmp_path / "sim").values()))
    low, high = written.ranges["dist"]
    assert low == pytest.approx(min(float(row["dist_pc"]) for row in truth))
    assert high == pytest.approx(max(float(row["dist_pc"]) for row in truth))


def test_the_truth_agrees_with_itself(write, tmp_path):
    write(n=8)

    for row in _rows(tmp_path / "sim" / "truth.csv"):
        assert float(row["fakemag"]) == pytest.approx(10 ** (0.2 * float(row["m_ks_abs"]) + 2), rel=1e-6)
        assert (float(row["flux_ratio"]) == 0) == (float(row["separation"]) == 0)


def test_the_same_seed_gives_the_same_bytes_and_more_stars_only_add(write, tmp_path):
    write("few", n=5, seed=3)
    write("many", n=9, seed=3)
    write("other", n=5, seed=4)

    few, many = _spectra(tmp_path / "few"), _spectra(tmp_path / "many")
    assert few.items() <= many.items()
    assert not few.keys() & _spectra(tmp_path / "other").keys()
    for name in ("targets.csv", "truth.csv"):
        short, long = ((tmp_path / folder / name).read_text() for folder in ("few", "many"))
        assert long.startswith(short)


def test_the_signal_to_noise_ratio_has_a_lower_limit(write, tmp_path):
    write(n=6, min_snr=200)

    assert min(float(row["snr"]) for row in _rows(tmp_path / "sim" / "truth.csv")) > 200


def test_progress_is_told(write):
    calls = []

    write(n=5, on_progress=lambda done, total: calls.append((done, total)))

    assert calls == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_files_and_catalogue_can_be_ingested(write, tmp_path, db):
    write(n=5)
    folder = tmp_path / "sim"

    counts = ingest_apstar(folder, catalog=folder / "targets.csv")

    assert (counts.spectra_new, counts.unreadable, counts.catalog_matched, counts.catalog_unmatched) == (
        5,
        0,
        5,
        0,
    )
    for row in _rows(folder / "targets.csv"):
        source = Source.get(Source.sdss4_apogee_id == row["apogee_id"])
        spectrum = source.apogee_coadded_spectra_in_apstar.get()
        header = read_header(spectrum.absolute_path)
        for name in (
            "sdss_id",
            "ra",
            "dec",
            "l",
            "b",
            "j_mag",
            "k_mag",
            "e_k_mag",
            "ebv",
            "e_ebv",
            "plx",
            "ruwe",
        ):
            assert getattr(source, name) == float(row[name]), name
        assert source.ebv_origin == "simulated"
        assert spectrum.snr == header["SNR"]
        assert (spectrum.release, spectrum.field, spectrum.n_visits) == (
            "dr17",
            "simulated",
            header["NVISITS"],
        )
        assert spectrum.product_id == f"apstar/dr17/dr17/apo25m/simulated/{row['apogee_id']}/ap/s"


def test_the_catalogue_raises_no_warnings(write, tmp_path, db, caplog):
    write(n=2)

    ingest_apstar(tmp_path / "sim", catalog=tmp_path / "sim" / "targets.csv")

    assert not caplog.records
    assert ApogeeCoaddedSpectrumInApStar.select().count() == 2


# > Folders


def test_a_folder_that_is_not_empty_is_refused(write, tmp_path):
    (tmp_path / "sim").mkdir()
    (tmp_path / "sim" / "notes.txt").touch()

    with pytest.raises(UsageError, match=r"not empty: .*sim; give another folder, or --overwrite"):
        write()

    assert [path.name for path in (tmp_path / "sim").iterdir()] == ["notes.txt"]


def test_overwriting_replaces_the_earlier_simulation_and_nothing_else(write, tmp_path, apstar_files):
    write(n=6)
    folder = tmp_path / "sim"
    (folder / "notes.txt").write_text("mine")
    real = shutil.copyfile(apstar_files[0], folder / "apStar-dr17-2M00000000+0000000.fits")

    write(n=2, seed=1, overwrite=True)

    assert (folder / "notes.txt").read_text() == "mine"
    assert real.exists()
    assert len(_spectra(folder)) == 3
    assert len(_rows(folder / "truth.csv")) == 2


def test_a_file_from_elsewhere_is_not_overwritten(write, tmp_path):
    write(n=1)
    (path,) = (tmp_path / "sim").glob("*.fits")
    path.write_bytes(path.read_bytes().replace(b"SIMULATE", b"OBSERVED"))

    with pytest.raises(
        UsageError, match="there is a file of 2M.* already; give another folder, or another --seed"
    ):
        write(n=1, overwrite=True)

    assert b"OBSERVED" in path.read_bytes()


@pytest.mark.parametrize("name", ["targets.csv", "truth.csv"])
def test_a_table_from_elsewhere_is_not_overwritten(write, tmp_path, name):
    (tmp_path / "sim").mkdir()
    table = tmp_path / "sim" / name
    table.write_text("apogee_id,k_mag\n2M00000000+0000000,9\n")

    with pytest.raises(UsageError, match="does not come from a simulation"):
        write(overwrite=True)

    assert table.read_text().startswith("apogee_id,k_mag")


def test_a_simulation_that_was_cut_off_is_overwritten(write, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(survey, "render_apstar", _interrupted(survey.render_apstar, after=5))
        with pytest.raises(KeyboardInterrupt):
            write(n=8)
    assert len(_spectra(tmp_path / "sim")) == 5

    write(n=2, seed=9, overwrite=True)

    assert len(_spectra(tmp_path / "sim")) == 2


def _interrupted(render, after):
    def call(*arguments, **keywords):
        nonlocal after
        after -= 1
        if after < 0:
            raise KeyboardInterrupt
        return render(*arguments, **keywords)

    return call


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "cannot simulate 0 stars: give at least 1"),
        ({"seed": -1}, "a seed of -1: give 0 or more"),
        ({"min_snr": 500}, "a smallest S/N of 500: give more than 0 and less than 500"),
        ({"min_snr": 0}, "a smallest S/N of 0"),
        ({"min_snr": float("nan")}, "a smallest S/N of nan"),
    ],
)
def test_impossible_numbers_are_refused_before_anything_is_made(write, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        write(**options)

    assert not (tmp_path / "sim").exists()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_place_that_cannot_be_a_folder_is_refused(write, tmp_path, place):
    (tmp_path / "file").touch()

    with pytest.raises(
        UsageError, match=r"(not a folder|cannot use the folder): .*file|cannot use the folder"
    ):
        write(place)


def test_a_folder_without_the_right_to_write_is_refused(open_tmp_path, ordinary_user):
    closed = open_tmp_path / "closed"
    closed.mkdir(mode=0o555)
    script = (
        "import sys; from pathlib import Path; from toy_simulator import toy_simulator; "
        "from astra.errors import UsageError; from astra.modelling.simulator.survey import write_survey\n"
        "for place in sys.argv[1:]:\n"
        "    try: write_survey(Path(place), toy_simulator(), 1)\n"
        "    except UsageError as error: print(error)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", script, str(closed), str(closed / "below")]

    ran = subprocess.run(command, capture_output=True, text=True, env=environment, **ordinary_user)

    assert [line.split(": ")[0] for line in ran.stdout.splitlines()] == [
        f"cannot write in the folder {closed}",
        f"cannot use the folder {closed / 'below'}",
    ], ran.stderr


def test_more_than_fits_on_the_disk_is_refused_at_once(write, tmp_path):
    with pytest.raises(StorageError, match=r"no room in .*sim: 1,000,000,000 stars take about 1,4\d\d,\d* ?"):
        write(n=10**9)

    assert not list((tmp_path / "sim").iterdir())


def test_a_disk_that_fills_up_is_one_line(write, tmp_path, monkeypatch):
    def full(*arguments, **keywords):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "sim" / "apStar-x.fits"))

    monkeypatch.setattr(survey, "render_apstar", full)

    with pytest.raises(
        StorageError, match=r"cannot write .*apStar-x.fits: No space left on device; make room"
    ):
        write()


def test_published_models_need_both_folders(tmp_path):
    with pytest.raises(UsageError, match="--spectra-models and --isochrones go together"):
        choose_simulator(tmp_path)


def test_the_full_simulator_is_made_from_published_models(shared):
    data = shared / "data"

    simulator = choose_simulator(data / "spectra_models", data / "isochrones" / "padova_jhk")

    assert simulator.name == "published isochrones and emulators"
