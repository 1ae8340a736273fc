"""The tool behind `make test-kernels` tells runs that passed from those that failed or tested nothing."""

import pytest

import kernels

OWN = {"OpenBLAS": ["Haswell"], "NumPy": ["X86_V3"], "numba": ["znver3"], "torch": ["AVX2", "Intel AVX2"]}
GENERIC = ("numba", {"NUMBA_CPU_NAME": "generic"})

TESTS = """
import os

def test_one():
    assert "NUMBA_CPU_NAME" not in os.environ

def test_other():
    pass
"""


@pytest.fixture
def lines_of(monkeypatch, capsys):
    """Run the tool with one setting that changes the kernels; its exit code, and the lines that it prints."""
    monkeypatch.delenv("NUMBA_CPU_NAME", raising=False)

    def lines(setting, changes):
        found = None if changes is None else OWN | changes
        monkeypatch.setattr(kernels, "settings", lambda: iter([setting]))
        monkeypatch.setattr(kernels, "in_effect", lambda variables: found if variables else OWN)
        code = kernels.main(["-p", "no:cacheprovider"])
        return code, capsys.readouterr().out.splitlines()

    return lines


def test_every_test_of_numbers_is_there():
    assert [path for path in kernels.TESTS if not (kernels.ROOT / path).exists()] == []


def test_each_run_is_a_line_with_what_is_in_effect_and_one_that_fails_names_its_tests(
    lines_of, monkeypatch, tmp_path
):
    (tmp_path / "test_toy.py").write_text(TESTS)
    monkeypatch.setattr(kernels, "TESTS", (str(tmp_path),))

    code, (own, other, failed) = lines_of(GENERIC, {"numba": ["generic"]})

    assert code == 1
    assert own.startswith("own kernels, OpenBLAS Haswell; NumPy X86_V3; numba znver3; torch AVX2, Intel AVX2")
    assert ": passed (2 passed in " in own
    assert other.startswith("NUMBA_CPU_NAME=generic, numba generic: FAILED (1 failed, 1 passed in ")
    assert failed.startswith("    FAILED ")
    assert "test_toy.py::test_one" in failed


@pytest.mark.parametrize(
    ("setting", "changes", "said"),
    [
        (GENERIC, {}, "no effect, numba computes with znver3"),
        (GENERIC, {"numba": []}, "no effect, numba computes with nothing that it names"),
        (GENERIC, None, "this processor cannot run it"),
        (
            ("torch", {"ATEN_CPU_CAPABILITY": "default"}),
            {"torch": ["DEFAULT", "Intel AVX2"]},
            "no effect, torch computes with DEFAULT, Intel AVX2",
        ),
    ],
)
def test_a_setting_without_full_effect_or_that_cannot_run_is_not_tested(
    lines_of, monkeypatch, setting, changes, said
):
    tested = []
    monkeypatch.setattr(kernels, "passed", lambda variables, options: not tested.append(variables))

    code, lines = lines_of(setting, changes)

    assert (code, tested) == (0, [{}])
    assert lines[-1].endswith(f", not tested: {said}")


@pytest.mark.slow
def test_every_library_says_what_it_computes_with_and_some_setting_changes_each():
    own = kernels.in_effect({})

    assert all(own.values())
    changed = {
        library
        for library, variables in kernels.settings()
        if (found := kernels.in_effect(variables)) and found[library] != own[library]
    }
    assert changed == set(own)
