"""Where nobody names weights, a run goes on with those of the rows so far, whatever the default is by now."""

import json
import os
import shlex
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import guests
import pytest
from builders import a_result, a_run, a_source, a_spectrum, made_from, on_sqlite, write_apstar

from astra.database.connection import database, now
from astra.models import AstroNNdist, FlaggedOutputModel, Source, TaskRun
from astra.pipelines.astronn_dist import astronn_dist
from astra.pipelines.astronn_dist.weights import library
from astra.pipelines.astronn_dist.weights.files import identify, load_weights, save_weights
from astra.running.going_on import OF_THE_ROWS
from astra.system.version import V_ASTRA_MAJOR_MINOR

NUMBERS = (AstroNNdist.spectrum_pk, AstroNNdist.L_fakemag, AstroNNdist.dist, AstroNNdist.modified)


@pytest.fixture
def model(toy_weights):
    """Writes weights that differ from others by a factor; gives the path."""
    toy = load_weights(toy_weights)

    def write(path: Path, factor: float = 1.0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {**toy.tensors, "labels_std": toy.tensors["labels_std"] * factor}
        save_weights(replace(toy, tensors=tensors), path)
        return path

    return write


@pytest.fixture
def new_spectra(tmp_path):
    """Registers more pending spectra."""

    def register(count: int = 1) -> list:
        folder = tmp_path / "spectra"
        folder.mkdir(exist_ok=True)
        there = len(list(folder.iterdir()))
        paths = [write_apstar(folder / f"apStar-dr17-{there + n}.fits") for n in range(count)]
        return [a_spectrum(a_source(), path) for path in paths]

    return register


@pytest.fixture
def models_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("ASTRA_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def night(db, embedded_folder, models_dir, model, new_spectra):
    """Two rows, as a run with the default sim1 makes them."""
    model(embedded_folder / "sim1.safetensors")
    found = asdict(astronn_dist.provenance({}))
    del found["weights_path"]
    run = a_run(v_astra_major_minor=V_ASTRA_MAJOR_MINOR, arguments="{}", **found)
    for spectrum in new_spectra(2):
        made_from(a_result(spectrum, run_pk=run.pk, inputs_read=now(database)), spectrum)


@pytest.fixture
def release(embedded_folder, model, monkeypatch):
    """Another default comes: sim2, and sim1 is an earlier one."""

    def come() -> None:
        model(embedded_folder / "sim2.safetensors", 1.01)
        monkeypatch.setattr(library, "DEFAULT", "sim2")

    return come


@pytest.fixture
def next_release(night, release):
    """Two rows with sim1, and then the default is sim2."""
    release()


def weights_of_rows() -> list[str]:
    query = AstroNNdist.select(TaskRun.weights_name).join(TaskRun, on=AstroNNdist.run_pk == TaskRun.pk)
    return sorted(name for (name,) in query.order_by(AstroNNdist.spectrum_pk).tuples())


def rows() -> list[tuple]:
    return list(AstroNNdist.select(*NUMBERS).order_by(AstroNNdist.spectrum_pk).tuples())


def newest_run() -> TaskRun:
    return TaskRun.select().order_by(TaskRun.pk.desc()).get()


def the_error(stderr: str) -> str:
    (line,) = [line for line in stderr.splitlines() if line.startswith("astra: error: ")]
    return line


# > The night after


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.heavy)])
def test_the_night_after_a_newer_default_only_new_spectra_are_measured_and_with_the_old_weights(
    db, astra, embedded_folder, model, release, new_spectra, workers
):
    model(embedded_folder / "sim1.safetensors")
    new_spectra(2)
    assert astra("run", "astronn_dist")[0] == 0
    before = rows()
    release()
    (added,) = new_spectra()

    code, out, err = astra("run", "astronn_dist", "--workers", workers)

    assert code == 0
    assert out.startswith("1 measured + 0 no_result = 1 processed")
    assert [row for row in rows() if row[0] != added.spectrum_pk] == before
    assert weights_of_rows() == ["sim1"] * 3
    assert newest_run().weights_origin == OF_THE_ROWS
    (said,) = [line for line in err.splitlines() if "the default is now" in line]
    assert "the default is now sim2 (sha256 " in said
    assert "`astra run astronn_dist --weights sim2 --overwrite` makes all rows anew" in said
    assert "`astra run astronn_dist --into trial-NAME --weights sim2`" in said


@on_sqlite
def test_all_that_speak_of_the_next_run_agree_with_it(astra, next_release, embedded_folder):
    old = str(embedded_folder / "sim1.safetensors")
    listed = json.loads(astra("models", "list", "--json")[1])["models"]
    found = json.loads(astra("doctor", "--json")[1])["findings"]
    script = astra("srun", "astronn_dist", "--dry-run")[1]

    facts = [(each["name"], each["chosen_by"], each["earlier_default"]) for each in listed]
    assert facts == [("sim2", None, False), ("sim1", OF_THE_ROWS, True)]
    assert json.loads(astra("models", "show", "--json")[1])["path"] == old
    assert "earlier default; not stated" in astra("models", "list")[1]
    said = [each["said"] for each in found if each["check"] == "weights"]
    assert said[0].startswith("astronn_dist: sim1 (sha256 ")
    assert said[0].endswith(OF_THE_ROWS)
    assert said[1].startswith("astronn_dist: the default is now sim2 (sha256 ")
    (words,) = [shlex.split(line) for line in script.splitlines() if "-m astra run" in line]
    assert {f"--weights={old}", f"--weights-origin={OF_THE_ROWS}"} <= set(words)


@on_sqlite
def test_what_a_job_on_slurm_hands_down_is_on_record_as_the_choice_that_it_was(
    astra, next_release, new_spectra, embedded_folder
):
    new_spectra()

    astra(
        *("run", "astronn_dist", "--weights", embedded_folder / "sim1.safetensors"),
        *("--weights-origin", OF_THE_ROWS),
    )

    assert (newest_run().weights_name, newest_run().weights_origin) == ("sim1", OF_THE_ROWS)


@on_sqlite
@pytest.mark.parametrize("one_star", [False, True])
def test_taking_all_or_one_star_anew_does_not_change_weights(astra, next_release, one_star):
    star = Source.select().get().sdss_id

    assert astra("run", "astronn_dist", *([star] if one_star else []), "--overwrite")[0] == 0

    assert newest_run().processed == (1 if one_star else 2)
    assert weights_of_rows() == ["sim1", "sim1"]


@on_sqlite
def test_weights_that_are_named_change_all_rows_and_are_gone_on_with(astra, next_release, new_spectra):
    assert astra("run", "astronn_dist", "--weights", "sim2")[0] == 78
    assert astra("run", "astronn_dist", "--weights", "sim2", "--overwrite")[0] == 0
    new_spectra()

    code, _, err = astra("run", "astronn_dist")

    assert (code, weights_of_rows()) == (0, ["sim2"] * 3)
    assert "the default is now" not in err


@on_sqlite
def test_the_configuration_names_weights_as_the_option_does(astra, next_release, new_spectra, monkeypatch):
    new_spectra()
    monkeypatch.setenv("ASTRA_WEIGHTS", "sim2")

    code, _, err = astra("run", "astronn_dist")

    assert code == 78
    assert "come from weights sim1" in the_error(err)
    assert "this run would use sim2" in the_error(err)


def test_of_a_mixture_the_newest_run_that_rows_are_left_of_decides(astra, next_release, new_spectra):
    new_spectra(2)
    assert astra("run", "astronn_dist", "--weights", "sim2", "--allow-mixed", "--limit", 1)[0] == 0
    assert astra("run", "astronn_dist", "--allow-mixed")[0] == 0
    assert weights_of_rows() == ["sim1", "sim1", "sim2", "sim2"]

    newest = newest_run()
    AstroNNdist.delete().where(AstroNNdist.run_pk << [newest.pk, newest.pk - 1]).execute()
    assert astra("run", "astronn_dist")[0] == 0

    assert weights_of_rows() == ["sim1"] * 4


@on_sqlite
def test_without_rows_of_this_version_that_have_a_result_the_default_is_taken(astra, next_release):
    AstroNNdist.update(result_flags=FlaggedOutputModel.BAD).execute()

    assert astra("run", "astronn_dist", "--retry", "no_result")[0] == 0

    assert weights_of_rows() == ["sim2", "sim2"]
    assert newest_run().weights_origin == "embedded default"


@on_sqlite
def test_before_an_upgrade_the_doctor_says_which_weights_the_next_run_takes(db, astra, next_release):
    db.execute_sql("ALTER TABLE task_run DROP COLUMN options")
    db.execute_sql("DELETE FROM schema_migration WHERE name = '0008_options_of_runs'")

    _, out, _ = astra("doctor")

    assert "0008_options_of_runs" in out
    assert f"; {OF_THE_ROWS}" in out
    assert "the default is now sim2" in out


# > Where they are found again


@on_sqlite
def test_a_model_that_left_the_package_is_found_in_the_folder_of_models(
    astra, next_release, new_spectra, models_dir, embedded_folder
):
    models_dir.mkdir()
    (embedded_folder / "sim1.safetensors").rename(models_dir / "sim1.safetensors")
    new_spectra()

    assert astra("run", "astronn_dist")[0] == 0
    assert weights_of_rows() == ["sim1"] * 3


@on_sqlite
@pytest.mark.filterwarnings("ignore:model_path is now called weights")
@pytest.mark.parametrize("option", ["--weights", "--model-path"])
def test_a_file_is_found_where_a_run_had_it_even_by_a_relative_path(
    db, astra, embedded_folder, model, new_spectra, tmp_path, monkeypatch, option
):
    model(embedded_folder / "sim1.safetensors")
    path = model(tmp_path / "mine.safetensors", 1.02)
    monkeypatch.chdir(tmp_path)
    for words in ((option, "mine.safetensors"), (), ()):  # the third run knows it from the second
        new_spectra()
        assert astra("run", "astronn_dist", *words)[0] == 0
        monkeypatch.chdir("/")

    assert weights_of_rows() == ["mine"] * 3
    assert json.loads(newest_run().arguments)["weights_path"] == str(path)


@on_sqlite
def test_a_file_of_the_survey_that_was_replaced_is_found_under_its_name_or_missed(
    db, astra, model, new_spectra, tmp_path, models_dir, monkeypatch
):
    published = tmp_path / library.MWM_ASTRA_FILE
    monkeypatch.setattr(
        library, "MWM_ASTRA_FILE", published.relative_to(tmp_path).with_suffix(".safetensors")
    )
    monkeypatch.setenv("MWM_ASTRA", str(tmp_path))
    former = model(published.with_suffix(".safetensors"))
    new_spectra()
    assert astra("run", "astronn_dist")[0] == 0
    kept = shutil.copy(former, tmp_path / "kept")
    _, sha256 = identify(former)
    model(former, 1.03)
    new_spectra()

    code, _, err = astra("run", "astronn_dist")

    assert code == 78
    error = the_error(err)
    assert f"astroNN_dist_model_parameter (sha256 {sha256[:12]}), which cannot be found" in error
    assert f"with other content: {former}" in error
    assert "put them back, or name their file with --weights" in error
    assert f"--weights {former} --overwrite to change to others" in error
    assert AstroNNdist.select().count() == 1
    assert astra("doctor")[0] == 78
    assert "in force: none (rows of astronn_dist" in astra("models", "list")[1]

    models_dir.mkdir()
    shutil.copy(kept, models_dir / former.name)
    code, _, err = astra("run", "astronn_dist")
    assert (code, AstroNNdist.select().count()) == (0, 2)
    assert newest_run().weights_sha256 == sha256
    assert f"--weights {former} --overwrite" in err

    os.remove(former)
    assert "MWM_ASTRA: not found" in the_error(astra("run", "astronn_dist")[2])


@on_sqlite
def test_a_name_with_other_content_is_not_enough(astra, next_release, embedded_folder, models_dir, model):
    os.remove(embedded_folder / "sim1.safetensors")
    other = model(models_dir / "sim1.safetensors", 1.04)

    code, _, err = astra("run", "astronn_dist", "--overwrite", "--allow-mixed")

    assert (code, weights_of_rows()) == (78, ["sim1", "sim1"])
    assert f"(in the package (sim2), {models_dir} by name" in the_error(err)
    assert f"with other content: {other}" in the_error(err)
    assert "--weights sim2 --overwrite" in the_error(err)


# > Other tasks

CONTINUED = (
    guests.GOOD.replace(
        "spectra: Iterable[ApogeeCoaddedSpectrumInApStar])",
        "spectra: Iterable[ApogeeCoaddedSpectrumInApStar], *, weights: str = 'new')",
    )
    + """
from astra.tasks.contract import GoingOn, Provenance

@count_pixels.identified_by
def identify(weights="new"):
    return Provenance(weights_name=weights, weights_sha256=weights * 8, weights_origin="given")

@count_pixels.continued_by
def go_on(run, weights=None):
    if weights is None:
        return GoingOn({"weights": run.weights_name}, f"newer than {run.weights_name} is new")
"""
)


@pytest.mark.parametrize("registers", [True, False])
def test_a_guest_that_registers_how_is_gone_on_with_and_another_is_refused(
    db, astra, tmp_path, monkeypatch, registers
):
    code = CONTINUED if registers else CONTINUED.replace("@count_pixels.continued_by", "")
    guests.install(tmp_path / "guest", monkeypatch, code, "count_pixels")
    guests.make_table(db)
    a_spectrum()
    assert astra("run", "count_pixels", "--weights", "old")[0] == 0
    a_spectrum()

    code, _, err = astra("run", "count_pixels")

    run = newest_run()
    if registers:
        assert (code, run.weights_name, run.weights_origin) == (0, "old", OF_THE_ROWS)
        assert err.count("newer than old is new") == 1
    else:
        assert (code, run.weights_name) == (78, "old")
