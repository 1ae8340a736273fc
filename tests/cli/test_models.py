"""``astra models``: what there is, what is known of it, and how another model gets a name."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from builders import a_result, a_run, a_source, a_spectrum

from astra.models import AstroNNdist
from astra.pipelines.astronn_dist.weights.calibration import Calibration
from astra.pipelines.astronn_dist.weights.files import SHAPES, load_weights, save_weights
from astra.pipelines.astronn_dist.weights.formats import to_safetensors
from astra.pipelines.astronn_dist.weights.missing import MissingPixels


@pytest.fixture
def models_dir(monkeypatch, tmp_path, embedded_folder):
    """An empty folder of models, and nothing embedded."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("ASTRA_MODELS_DIR", str(folder))
    return folder


def a_model(path, **details):
    tensors = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    path.write_bytes(to_safetensors(tensors | {"labels_std": np.ones(1, np.float32)}, details))
    return path


# > list


def test_the_list_marks_what_is_in_force_and_says_why(astra, models_dir, embedded_folder, monkeypatch):
    a_model(embedded_folder / "sim1.safetensors", range="giants and dwarfs")
    a_model(models_dir / "mine.safetensors")
    (models_dir / "bad.pt").write_bytes(b"no model")
    monkeypatch.setenv("ASTRA_WEIGHTS", "mine")

    code, out, err = astra("models", "list")

    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == "name format place size sha256 range of validity".split()
    assert lines[1].split()[:2] == ["sim1", "safetensors"]
    assert lines[1].endswith("giants and dwarfs")
    assert "bad " in lines[2]
    assert "cannot be used: damaged, or" in lines[2]
    assert lines[3].split()[:2] == ["*", "mine"]
    assert load_weights(models_dir / "mine.safetensors").sha256[:12] in lines[3]
    assert lines[4:] == [
        "* in force: mine (weights in the configuration)",
        f"models folder: {models_dir}",
    ]


def test_the_list_of_nothing_says_that_nothing_is_in_force(astra, models_dir):
    code, out, _ = astra("models", "list")

    assert code == 0
    assert out.startswith("in force: none (no weights are named, and this package embeds no default model;")


def test_the_list_as_json(astra, models_dir, embedded_folder):
    a_model(embedded_folder / "sim1.safetensors", range="giants")
    (models_dir / "bad.pt").write_bytes(b"no model")

    found = json.loads(astra("models", "list", "--json")[1])

    assert (found["models_dir"], found["problem"]) == (str(models_dir), None)
    default, bad = found["models"]
    assert (default["name"], default["range"], default["fault"]) == ("sim1", "giants", None)
    assert (default["chosen_by"], bad["chosen_by"]) == ("embedded default", None)
    assert "damaged" in bad["fault"]


def test_a_long_range_is_not_cut_off_in_a_pipe(astra, models_dir):
    text = "giants, " * 60 + "and no others"
    a_model(models_dir / "mine.safetensors", range=text)

    assert text in astra("models", "list")[1]


# > show


def test_show_tells_all_in_words(astra, models_dir):
    metrics = {"rgb": {"median": 0.0123456789, "n": 5000}, "seeds": [1, 2, 3]}
    path = a_model(
        models_dir / "mine.safetensors",
        range="giants",
        trained_on={"simulated_stars": 100_000},
        seed=3,
        version="0.2.0",
        metrics=metrics,
        runs=[{"seed": 1}, {}],
    )

    code, out, err = astra("models", "show", "mine")

    assert (code, err) == (0, "")
    assert f"sha256: {load_weights(path).sha256}\n" in out
    assert "range of validity: giants\n" in out
    assert "labels_std: 1 mas\n" in out
    assert "parameters: 1,455,064\n" in out
    assert "  trained on:\n    simulated stars: 100000\n" in out
    assert "  metrics:\n    rgb:\n      median: 0.0123457\n      n: 5000\n    seeds: 1, 2, 3\n" in out
    assert "  runs:\n    1:\n      seed: 1\n    2: none\n" in out
    assert out.endswith("to use it: astra run astronn_dist --weights mine\n")


def test_show_says_what_a_model_knows_of_its_own_errors_and_its_tables_are_for_json(astra, models_dir):
    plain = load_weights(a_model(models_dir / "plain.safetensors"))
    curve = np.array([0.7, 1.0]), np.array([0.0, 0.31])
    table = Calibration(np.array([-1.0, 1.0]), np.array([50.0]), np.zeros((2, 1)), np.ones((2, 1)))
    knowing = dataclasses.replace(plain, missing=MissingPixels(curve, curve, curve), calibration=table)
    save_weights(knowing, models_dir / "knowing.safetensors")

    out, without = (astra("models", "show", name)[1] for name in ("knowing", "plain"))

    assert "adds for a lost detector: blue 31%, green 31%, red 31%\n" in out
    assert "calibrated by luminosity and S/N: yes (at 2 nodes)\n" in out
    assert "factor" not in out
    assert "adds for a lost detector: nothing\n" in without
    assert "calibrated by luminosity and S/N: no\n" in without
    told = json.loads(astra("models", "show", "knowing", "--json")[1])
    assert told["details"]["calibration"]["factor"] == [[1.0], [1.0]]
    assert told["cost_of_a_detector"] == {"blue": 0.31, "green": 0.31, "red": 0.31}


def test_show_without_a_name_is_the_model_in_force(astra, models_dir, embedded_folder):
    assert astra("models", "show")[0] == 78
    a_model(embedded_folder / "sim1.safetensors")

    assert "name: sim1 (in force: embedded default)\n" in astra("models", "show")[1]
    assert json.loads(astra("models", "show", "--json")[1])["name"] == "sim1"


def test_no_text_in_a_file_reaches_the_terminal_as_a_command(astra, models_dir):
    a_model(models_dir / "mine.safetensors", description="\x1b[2J\x07gone", **{"a\rb": ["\x9b31m"]})

    out = astra("models", "show", "mine")[1] + astra("models", "list")[1]

    assert all(line.isprintable() for line in out.split("\n"))
    assert "description: \\x1b[2J\\x07gone" in out


@pytest.mark.parametrize("value", ["none", "./none.pt"])
def test_a_model_that_is_not_there_is_one_line(astra, models_dir, value):
    code, out, err = astra("models", "show", value)

    assert (code, out) == (78, "")
    assert err.startswith("astra: error: model: not found: ")
    assert len(err.splitlines()) == 1


# > import


def test_an_imported_model_is_ready_to_use(astra, models_dir, toy_weights):
    code, out, err = astra("models", "import", toy_weights, "--name", "mine")

    target = models_dir / "mine.safetensors"
    assert code == 0
    assert err == "its range of validity is not stated; --range TEXT --overwrite states one\n"
    assert out.splitlines() == [
        f"imported: {target} (sha256 {load_weights(target).sha256[:12]})",
        "to use it: astra run astronn_dist --weights mine",
    ]
    assert "file: toy.safetensors" in astra("models", "show", "mine")[1]


def test_a_taken_name_is_wrong_usage(astra, models_dir, toy_weights):
    astra("models", "import", toy_weights, "--name", "mine")

    code, _, err = astra("models", "import", toy_weights, "--name", "mine")

    assert code == 2
    assert "there is a model mine already" in err
    assert astra("models", "import", toy_weights, "--name", "mine", "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--name", "a/b"], 2, "cannot name a model 'a/b'"),
        (["--name", "x.pt"], 2, "leave out .safetensors and .pt"),
        (["--name", ""], 2, "cannot name a model ''"),
        ([], 2, "--name"),
        (["--name", "mine"], 78, "gone.pt: No such file or directory; nothing was imported"),
    ],
)
def test_what_cannot_be_imported_is_one_line(astra, models_dir, arguments, code, says):
    found, out, err = astra("models", "import", "gone.pt", *arguments)

    assert (found, out) == (code, "")
    assert says in err.splitlines()[0]
    assert list(models_dir.iterdir()) == []


def test_none_of_it_loads_torch_for_a_safetensors_file(models_dir, toy_weights):
    code = (
        "import sys; from astra.cli import main; main(['models', 'import', sys.argv[1], '--name', 'mine']); "
        "main(['models', 'list']); main(['models', 'show', 'mine']); "
        "print([name for name in ('torch', 'astropy') if name in sys.modules])"
    )

    ran = subprocess.run([sys.executable, "-c", code, str(toy_weights)], capture_output=True, text=True)

    assert ran.stdout.splitlines()[-1] == "[]", ran.stderr


def test_whoever_imports_a_model_states_what_it_is_and_is_good_for(astra, models_dir, tmp_path):
    path = a_model(tmp_path / "theirs.safetensors", range="all stars", description="theirs")

    stated = ("--describe", "ours", "--range", "giants")
    code, _, err = astra("models", "import", path, "--name", "mine", *stated)

    assert (code, err) == (0, "")
    out = astra("models", "show", "mine")[1]
    assert "range of validity: giants (stated at import)\n" in out
    assert "giants (stated by whoever imported it)" in astra("models", "card", "mine")[1]
    details = load_weights(models_dir / "mine.safetensors").details
    assert details["description"] == "ours"
    assert details["imported_from"]["range"] == "all stars"
    assert details["imported_from"]["description"] == "theirs"


@pytest.mark.parametrize("text", ["", "  ", "two\nlines"])
def test_a_range_that_is_not_a_line_of_text_is_refused(astra, models_dir, toy_weights, text):
    code, _, err = astra("models", "import", toy_weights, "--name", "mine", "--range", text)

    assert code == 2
    assert "--range" in err
    assert list(models_dir.iterdir()) == []


# > remove


def test_a_model_is_removed_and_the_file_that_it_came_from_stays(astra, models_dir, toy_weights):
    astra("models", "import", toy_weights, "--name", "mine")

    code, out, err = astra("models", "remove", "mine")

    assert (code, err) == (0, "")
    assert out.startswith(f"removed: {models_dir / 'mine.safetensors'} (sha256 ")
    assert list(models_dir.iterdir()) == []
    assert toy_weights.exists()


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("sim1", 2, "cannot remove sim1: it is the default, and comes with the package"),
        ("nothing", 78, "not found"),
        ("./mine.safetensors", 2, "give the name of a model"),
        ("mine", 2, "cannot remove mine: the setting weights names it"),
    ],
)
def test_what_others_need_is_not_removed(astra, models_dir, embedded_folder, monkeypatch, name, code, says):
    a_model(embedded_folder / "sim1.safetensors")
    mine = a_model(models_dir / "mine.safetensors")
    monkeypatch.setenv("ASTRA_WEIGHTS", "mine")

    found, out, err = astra("models", "remove", name, "--force")

    assert (found, out) == (code, "")
    assert says in err.splitlines()[0]
    assert mine.exists()


def test_a_model_with_results_is_removed_by_force_alone_and_they_stay(astra, db, models_dir, toy_weights):
    astra("models", "import", toy_weights, "--name", "mine")
    sha256 = load_weights(models_dir / "mine.safetensors").sha256
    run = a_run(weights_name="mine", weights_sha256=sha256)
    a_result(a_spectrum(a_source()), run_pk=run.pk)

    refused, forced = astra("models", "remove", "mine"), astra("models", "remove", "mine", "--force")

    assert refused[0] == 2
    assert "results are from it (1 in astro_nn_dist)" in refused[2]
    assert forced[0] == 0
    assert "its results stay: 1 in astro_nn_dist" in forced[1]
    assert AstroNNdist.select().count() == 1
