"""What ``--json`` prints: one name for one meaning, in all commands, and the names of before beside them."""

import json

import pytest
from builders import a_result, a_run, a_source, a_spectrum

from astra.cli.json_output import BEFORE, MEANINGS, OPEN, PRINTED, SCHEMA, keys_of, with_schema
from astra.pipelines.astronn_dist import astronn_dist
from astra.tasks.trials import entered


def printed(content, before, path=()):
    """The keys of an object as ``PRINTED`` lists them, without those of before; each with its value."""
    if isinstance(content, list):
        for each in content:
            yield from printed(each, before, path)
    elif isinstance(content, dict):
        for key, value in content.items():
            within = (*path, key)
            if ".".join(within) in before:
                continue
            yield ".".join(within), value
            if key not in OPEN:
                yield from printed(value, before, within)


def kind_of(value):
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )


@pytest.fixture
def survey(db, astra, tmp_path):
    """A result, a run, and a star that waits."""
    run = a_run(outcome="done", measured=1, weights_name="toy", weights_sha256="0" * 64)
    later = {"inputs_read": "2999-01-01 00:00:00.000000", "run_pk": run.pk}
    a_result(a_spectrum(a_source(sdss4_apogee_id="2M00000001+0000001")), **later)
    both = a_spectrum(a_source())
    a_result(both, **later)
    a_spectrum(a_source())
    assert astra("trials", "new", "astronn_dist", "trial-x")[0] == 0
    with entered(astronn_dist, "trial-x") as trial:
        trial.output_model.from_spectrum(both, L_fakemag=20.0, e_L_fakemag=1.0, dist=5000.0, **later).save()
    (tmp_path / "stars.csv").write_text("apogee_id,k_mag\n2M00000001+0000001,9.5\n")
    return tmp_path


COMMANDS = {
    "config show": ["config", "show"],
    "create": ["create", "astronn_dist", "--output", "{}/c.csv", "--format", "csv"],
    "doctor": ["doctor"],
    "explain": ["explain", "2049"],
    "ingest catalog": ["ingest", "catalog", "{}/stars.csv", "--dry-run"],
    "init": ["init"],
    "init --plan": ["init", "--plan"],
    "models list": ["models", "list"],
    "models show": ["models", "show", "simulated-6"],
    "run": ["run", "astronn_dist", "--dry-run"],
    "srun": ["srun", "astronn_dist", "--dry-run"],
    "status": ["status"],
    "status --check": [*"status --check --max-bad 50% --nights 2 --min-rate 1 --max-age 36h".split()],
    "status --why": ["status", "--why", "2M00000001+0000001"],
    "tasks list": ["tasks", "list"],
    "tasks show": ["tasks", "show", "astronn_dist"],
    "trials list": ["trials", "list"],
    "trials compare": ["trials", "compare", "trial-x"],
}


def test_a_key_means_the_same_and_holds_the_same_in_all_commands(astra, survey):
    kinds = {}
    for name, words in COMMANDS.items():
        code, out, err = astra(*(word.format(survey) for word in words), "--json")
        assert out, (name, err)
        content = json.loads(out)
        assert content.pop("schema") == SCHEMA
        before = set(BEFORE.get(name.replace(" --check", ""), ()))
        if name in ("config show", "tasks list"):  # which had names at the top
            content = {key: content[key] for key in keys_of(name) if key in content}
        if name == "trials list":
            before.add("trials.weights")
        if name == "tasks show":
            before.add("spectra")
        for key, value in printed(content, before):
            assert key in set(keys_of(name)), (name, key)
            if value is not None:
                kinds.setdefault(key.rpartition(".")[2], {}).setdefault(kind_of(value), (name, key))
    assert {key: found for key, found in kinds.items() if len(found) > 1} == {}


def test_every_key_has_a_meaning_and_every_meaning_a_key():
    used = {path.rpartition(".")[2] for name in PRINTED for path in keys_of(name)}

    assert used == MEANINGS.keys()
    for command, names in BEFORE.items():
        listed = [*keys_of(command), *(keys_of("status --check") if command == "status" else ())]
        for old, new in names.items():
            if "*" not in old and names.get(old.rpartition(".")[0]) not in OPEN:
                assert any(path.rpartition(".")[2] == new for path in listed), (command, new)


def test_names_of_before_stand_beside_the_new_ones():
    found = with_schema({"tasks": [{"task": 3, "state": "FAILED"}], "job": "7"}, "srun")

    ends = [{"task": 3, "index": 3, "state": "FAILED"}]
    assert found == {"schema": 2, "tasks": ends, "array_tasks": ends, "job": "7"}
