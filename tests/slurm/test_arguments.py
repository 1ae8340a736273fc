"""Profiles and the command line of ``astra srun``, and what it hands on to its workers."""

import os
from pathlib import Path

import pytest

from astra.config import SlurmSettings, load_settings
from astra.errors import ConfigError, UsageError
from astra.running.arguments import RunArguments, SharedArguments
from astra.slurm.arguments import SrunArguments

PROFILES = {
    "default": SlurmSettings(account="A", time="48:00:00", mem="4000"),
    "gpu": SlurmSettings(gres="gpu:v100", mem="16000"),
}


def _asked(**arguments):
    return SrunArguments(task="astronn_dist", **arguments)


def test_the_command_line_beats_the_profile_and_this_the_default():
    chosen = _asked(profile="gpu", account="B").options_in_force(PROFILES)

    assert (chosen.account, chosen.mem, chosen.gres, chosen.time) == ("B", "16000", "gpu:v100", "48:00:00")
    assert (chosen.nodes, chosen.procs, str(chosen.logs)) == (1, 1, "astra-logs")
    assert _asked().options_in_force(PROFILES).mem == "4000"
    assert _asked().options_in_force({}).mem is None


def test_an_unknown_profile_is_wrong_usage_that_names_those_there_are():
    with pytest.raises(UsageError, match=r"no profile 'cpu' under 'slurm' .*; there are: default, gpu"):
        _asked(profile="cpu").options_in_force(PROFILES)


def test_an_empty_option_is_wrong_usage():
    with pytest.raises(UsageError, match="--account: string should have at least 1 character"):
        _asked(account="").options_in_force({})


@pytest.fixture
def settings_file():
    return Path(os.environ["ASTRA_CONFIG"]).write_text


def test_profiles_are_settings_with_their_origin(settings_file):
    settings_file('slurm: {default: {account: A, time: "48:00:00"}, gpu: {mem: 16000, logs: ~/logs}}')

    settings = load_settings()
    shown = {name: (str(value), origin) for name, value, origin in settings.flat()}

    assert settings.slurm["gpu"].mem == "16000"
    assert shown["slurm.default.time"] == ("48:00:00", f"file {os.environ['ASTRA_CONFIG']}")
    assert shown["slurm.gpu.logs"][0] == f"{os.environ['HOME']}/logs"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("slurm: {gpu: {memory: 1}}", "'slurm.gpu.memory'.*known settings: .*slurm.PROFILE.mem"),
        ("slurm: {gpu: 16}", "'slurm' must hold profiles"),
        ("slurm: gpu", "'slurm' must hold profiles"),
        ("slurm: {gpu: {time: 48:00:00}}", "'slurm.gpu.time' .file .*put it in quotes"),
        ("slurm: {gpu: {nodes: 0}}", "'slurm.gpu.nodes'"),
    ],
)
def test_a_wrong_profile_is_one_line_that_names_it(settings_file, content, says):
    settings_file(content)

    with pytest.raises(ConfigError, match=says):
        load_settings()


def test_a_worker_is_asked_the_same_of_the_rows_from_before_one_time():
    shared = {"weights": "my w", "seed": 3, "overwrite": True}
    asked = _asked(what=["2M1"], nodes=3, limit=9, max_runtime=60.0, shared=SharedArguments(**shared))

    assert asked.of_worker("2026-01-01T00:00:00") == RunArguments(
        task="astronn_dist",
        what=["2M1"],
        shared=SharedArguments(**shared, before="2026-01-01T00:00:00"),
        max_runtime=60.0,
    )
