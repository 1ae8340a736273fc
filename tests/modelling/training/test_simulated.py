"""Examples from simulated stars, on disk."""

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from toy_simulator import toy_simulator

import astra
from astra.errors import AstraError, StorageError
from astra.modelling.simulator.sample import CHUNK, NO_PATTERNS, simulate
from astra.modelling.simulator.simulator import Conditions
from astra.modelling.training import simulated
from astra.modelling.training.simulated import Recipe, mask_rows, rectified, simulated_examples
from astra.spectra.grid import N_PIXELS
from astra.spectra.rectify import rectify
from astra.system import processes

N_CHUNKS = 2
FRESH = Recipe(N_CHUNKS * CHUNK - 5, 4, Conditions(noise=False))


@pytest.fixture(scope="module", autouse=True)
def one_process():
    """A process that simulates, with one compute thread: more would round differently."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated, "cores", lambda: 1)
        patch.setattr(processes, "cores", lambda: 1)
        yield


@pytest.fixture(scope="module")
def work(one_process, tmp_path_factory):
    """A folder with the examples of one recipe."""
    folder = tmp_path_factory.mktemp("work")
    simulated_examples(toy_simulator(), FRESH, folder)
    return folder


@pytest.fixture
def examples(work):
    return simulated_examples(toy_simulator(), FRESH, work, on_progress=_nothing_is_simulated)


def _nothing_is_simulated(done, total):
    pytest.fail("simulated once more")


def _contents(work: Path) -> dict[str, bytes]:
    return {str(path.relative_to(work)): path.read_bytes() for path in work.rglob("*") if path.is_file()}


# > What is in them


def test_examples_are_whole_chunks_of_the_simulated_stars_in_their_order(examples):
    sample = simulate(toy_simulator(), len(examples), seed=4, conditions=FRESH.conditions)

    assert len(examples) == N_CHUNKS * CHUNK
    examples.check("simulated")
    assert np.array_equal(examples.fakemag, sample.fakemag.astype(np.float32))
    assert np.array_equal(examples.kind, sample.stars.kind)
    assert np.array_equal(examples.snr, sample.snr.astype(np.float32))
    assert np.allclose(examples.flux, rectified(sample, masked=False), atol=1e-3)
    assert examples.flux.dtype == np.float16
    assert not examples.e_fakemag.any()
    assert len(set(examples.star)) == len(examples)


def test_examples_without_noise_get_it_later_and_another_mask_each_time(examples):
    sample = simulate(toy_simulator(), len(examples), seed=4, conditions=FRESH.conditions)

    assert np.allclose(examples.noise, 1 / sample.snr)
    assert np.array_equal(examples.masks, mask_rows(sample.pixel_flags))
    assert examples.masks.shape == (len(examples), -(-N_PIXELS // 8))
    share = np.unpackbits(examples.masks, axis=1, count=N_PIXELS).mean()
    assert 0.1 < share < 0.3
    # Of the mask, nothing is in the flux yet.
    assert (np.asarray(examples.flux) == 0).mean() < 0.02


def test_a_row_of_the_bank_has_the_pixels_that_the_normalisation_replaces():
    sample = simulate(toy_simulator(), 3, seed=5)

    masks = np.unpackbits(mask_rows(sample.pixel_flags), axis=1, count=N_PIXELS).astype(bool)

    flux, e_flux = rectify(sample.flux, sample.e_flux, sample.pixel_flags)
    assert np.array_equal(masks, (flux == 1) & (e_flux == 1))


def test_without_its_masks_a_spectrum_keeps_what_lies_below_them():
    sample = simulate(toy_simulator(), 6, seed=5, conditions=FRESH.conditions)
    masked = np.unpackbits(mask_rows(sample.pixel_flags), axis=1, count=N_PIXELS).astype(bool)

    with_masks, without = rectified(sample, masked=True), rectified(sample, masked=False)

    assert np.array_equal(with_masks[~masked], without[~masked])
    assert (without[masked] != 0).mean() > 0.95


# > What decides them

CHANGES = {
    "mix": {"dwarf": 1.0},
    "snr": (30.0, 500.0),
    "noise": True,
    "label_jitter": (35.0, 0.04, 0.03, 0.021),
    "foreign": {"rgb": 0.26},
    "mismatch": 1.1,
    "edges": 0.021,
    "depth": (0.02, 0.051),
    "velocity": 1.6,
    "turbulence": 4.1,
    "broad": 0.1,
    "response": (1.0, 0.41),
    "wiggle": 0.009,
    "telluric": 0.016,
    "sky": 0.4,
    "persistence": 0.06,
    "natural": True,
    "lost_detector": 0.05,
    "companions": {"dwarf": 0.13},
    "warm_companions": 0.31,
    "twins": 0.26,
    "double_lined": 0.71,
}


def _name(simulator=None, recipe=FRESH, patterns=NO_PATTERNS):
    return simulated._fingerprint(simulator or toy_simulator(), recipe, patterns)


@pytest.mark.parametrize("field", [field.name for field in fields(Conditions)])
def test_each_number_of_the_recipe_makes_another_set(field):
    conditions = replace(FRESH.conditions, **{field: CHANGES[field]})

    assert _name(recipe=replace(FRESH, conditions=conditions)) != _name()


def test_another_seed_number_simulator_or_pattern_makes_another_set(monkeypatch, tmp_path):
    names = [
        _name(),
        _name(recipe=replace(FRESH, seed=5)),
        _name(recipe=replace(FRESH, n=1)),
        _name(simulator=replace(toy_simulator(), scatter=np.full(8575, 0.02, np.float32))),
        _name(patterns=np.ones((1, 8575), np.int32)),
    ]
    sources = shutil.ignore_patterns("*.safetensors", "__pycache__")
    package = Path(shutil.copytree(Path(astra.__file__).parent, tmp_path / "astra", ignore=sources))
    monkeypatch.setattr(astra, "__file__", str(package / "__init__.py"))
    assert _name() == names[0]
    for changed in ("modelling/simulator/masks.py", "spectra/rectify.py", "spectra/grid.py"):
        with (package / changed).open("a") as file:
            file.write("\n# another model\n")
        names += [_name()]

    assert len(set(names)) == len(names)


READING = """
import hashlib, pickle, sys
from pathlib import Path
from astra.modelling.simulator.published import full_simulator
print(hashlib.sha256(pickle.dumps(full_simulator(*map(Path, sys.argv[1:])), protocol=4)).hexdigest())
"""


def test_a_simulator_that_is_read_again_in_another_process_is_the_same(shared, tmp_path):
    isochrones = shared / "data" / "isochrones" / "padova_jhk"
    shutil.copy(isochrones / "padova_0.0.dat.gz", tmp_path)
    command = [sys.executable, "-c", READING, str(shared / "data" / "spectra_models"), str(tmp_path)]

    first, second = (subprocess.check_output(command, env=os.environ | {"PYTHONHASHSEED": s}) for s in "12")

    assert first == second


# > What can go wrong

SIMULATION = """
import os, sys, time
from pathlib import Path
from toy_simulator import toy_simulator
from astra.modelling.training.simulated import Recipe, simulated_examples
from astra.modelling.simulator.simulator import Conditions

if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    recipe = Recipe(int(sys.argv[1]), int(sys.argv[2]), Conditions(noise=False))

    def wait_for_the_end(done, total):
        print(done, total, flush=True)
        time.sleep(60)

    simulated_examples(toy_simulator(), recipe, Path(sys.argv[3]), on_progress=wait_for_the_end)
"""


@pytest.mark.slow
def test_a_simulation_that_was_killed_goes_on_to_the_same_bytes(work, tmp_path):
    script = tmp_path / "simulation.py"
    script.write_text(SIMULATION)
    resumed = tmp_path / "work"
    command = [sys.executable, str(script), str(FRESH.n), str(FRESH.seed), str(resumed)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout.readline() == f"{CHUNK} {N_CHUNKS * CHUNK}\n"
        children = _children(run.pid)
        run.send_signal(signal.SIGKILL)
    left = _contents(resumed)
    assert sum(name.endswith(".npz") for name in left) == 1
    # What a kill in the middle of writing leaves behind.
    (folder,) = resumed.iterdir()
    (folder / f"{N_CHUNKS - 1}.partial").write_bytes(b"half of it")

    done = []
    simulated_examples(toy_simulator(), FRESH, resumed, on_progress=lambda *numbers: done.append(numbers))

    assert _contents(resumed) == _contents(work)
    assert done == [(N_CHUNKS * CHUNK, N_CHUNKS * CHUNK)]
    assert children
    assert not any(map(_runs, children))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_process_that_is_killed_is_reported_and_what_is_done_stays(tmp_path):
    recipe = replace(FRESH, n=40 * CHUNK)

    def kill(done, total):
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(AstraError, match="a process that simulates died; run again"):
        simulated_examples(toy_simulator(), recipe, tmp_path, on_progress=kill)

    assert any(name.endswith(".npz") for name in _contents(tmp_path))


def test_a_disk_that_is_too_small_is_noticed_before_the_work(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    with pytest.raises(StorageError, match=re.escape(f"{N_CHUNKS * CHUNK} stars need 0.0 GB")):
        simulated_examples(toy_simulator(), FRESH, tmp_path, on_progress=_nothing_is_simulated)


def test_a_work_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match=re.escape(str(tmp_path / "file"))):
        simulated_examples(toy_simulator(), FRESH, tmp_path / "file")
