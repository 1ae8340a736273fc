"""Results of one minor version are comparable: its numbers are on record, and stay as they are."""

import json

import pytest
import reference_numbers

from astra.models import AstroNNdist
from astra.system.version import V_ASTRA_MAJOR_MINOR

#: What says how a row was made, for which spectrum and when.
NOT_NUMBERS = {"task_pk", "source_pk", "spectrum_pk", "created", "tag", "result_flags", "no_result_reason"}


@pytest.fixture(scope="module")
def found():
    return reference_numbers.computed()


@pytest.fixture(scope="module")
def recorded():
    return json.loads(reference_numbers.FILE.read_text())


def test_the_numbers_of_this_version_are_as_they_were_recorded(found, recorded):
    assert recorded["version"] == V_ASTRA_MAJOR_MINOR, (
        "a new minor version: python tests/reference_numbers.py"
    )

    assert reference_numbers.differences(recorded["numbers"], found) == []


def test_every_stored_number_and_every_flag_is_on_record_and_set_once(recorded):
    stored = {name for name in AstroNNdist._meta.fields if name not in NOT_NUMBERS}
    stored -= {"v_astra_major_minor", "modified", *AstroNNdist.PROVENANCE}
    for columns in recorded["numbers"].values():
        assert set(columns) == stored | set(AstroNNdist.flag_names())
    for name in (*stored, *AstroNNdist.flag_names()):
        assert any(any(columns[name]) for columns in recorded["numbers"].values()), name


@pytest.mark.parametrize("version", [V_ASTRA_MAJOR_MINOR, V_ASTRA_MAJOR_MINOR - 1])
def test_only_a_new_minor_version_writes_other_numbers(
    found, recorded, version, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(reference_numbers, "computed", lambda: found)
    file = tmp_path / "numbers.json"
    (model, *_) = recorded["numbers"]
    former = json.loads(json.dumps(recorded)) | {"version": version}
    former["numbers"][model]["dist"][0] *= 1.001
    file.write_text(json.dumps(former))

    refused = reference_numbers.main(file)

    assert bool(refused) == (version == V_ASTRA_MAJOR_MINOR)
    written = json.loads(file.read_text())
    if refused:
        assert written == former
    else:
        assert written["version"] == V_ASTRA_MAJOR_MINOR
        assert reference_numbers.differences(written["numbers"], found) == []
    assert (f"{model}, dist: " in capsys.readouterr().err) == bool(refused)
