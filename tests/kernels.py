"""Run the tests of numbers with other kernels than those that the libraries choose for this processor.

    python tests/kernels.py [OPTION OF PYTEST...]

OpenBLAS, NumPy, numba and torch compute with code for the processor at hand, and each code rounds in its own
way. The tests run in child processes: first as the machine is set up, then with other code for one library at
a time. Of each run there is one line, with the tests that failed below it. A setting that changes nothing
here, or that the processor cannot run, is said to be so and does not count as passed.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Where numbers are computed; what else there is in the tests does not depend on kernels.
TESTS = (
    "tests/pipelines",
    "tests/modelling",
    "tests/report/test_compute.py",
    "tests/report/test_star.py",
    "tests/spectra/test_rectify.py",
    "tests/test_default_model.py",
    "tests/test_default_model_benchmark.py",
    "tests/test_default_model_dr12.py",
    "tests/test_main_job.py",
)
PYTEST = ("-q", "-rfE", "--color=no", "-m", "not slow and not postgres")

# Computes something with each library, and dies of code that the processor cannot run.
PROBE = """
import numpy as np, scipy.linalg, torch
from numba.core.registry import cpu_target
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

scipy.linalg.solve(np.eye(99), np.eye(99) @ np.eye(99))
print("NumPy", *[name for name in __cpu_dispatch__ if __cpu_features__[name]] or ["baseline"])
print("numba", cpu_target.target_context.codegen().magic_tuple()[1])
print("torch", torch.backends.cpu.get_cpu_capability(), flush=True)
torch.conv1d(torch.ones(2, 1, 99), torch.ones(2, 1, 8))
"""

# What it says, or the libraries themselves: OpenBLAS once for NumPy and once for SciPy, oneDNN within torch.
SAID = {
    "OpenBLAS": "^Core: (.+)$",
    "NumPy": "^NumPy (.+)$",
    "numba": "^numba (.+)$",
    "torch": "^(?:torch |onednn_verbose,v1,info,cpu,isa:)(.+)$",
}
VERBOSE = {"OPENBLAS_VERBOSE": "2", "ONEDNN_VERBOSE": "1"}

Kernels = dict[str, list[str]]


def settings() -> Iterator[tuple[str, dict[str, str]]]:
    """A library, and the environment variables that make it compute with other code."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    for name in ("Nehalem", "Sandybridge", "Haswell", "SkylakeX"):
        yield "OpenBLAS", {"OPENBLAS_CORETYPE": name}
    disabled = os.environ.get("NPY_DISABLE_CPU_FEATURES", "").split()
    found = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
    yield "NumPy", {"NPY_DISABLE_CPU_FEATURES": ",".join(disabled + found)}
    yield "numba", {"NUMBA_CPU_NAME": "generic"}
    yield "torch", {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}


def in_effect(variables: dict[str, str]) -> Kernels | None:
    """What each library computes with in a process with these variables; ``None`` if it cannot run."""
    command, environment = [sys.executable, "-c", PROBE], os.environ | variables | VERBOSE
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode < 0:  # killed by the signal of an illegal instruction
        return None
    ran.check_returncode()
    said = ran.stdout + ran.stderr
    return {library: re.findall(pattern, said, re.MULTILINE) for library, pattern in SAID.items()}


def passed(variables: dict[str, str], options: Sequence[str]) -> bool:
    """Run the tests with these variables, and end the line with what came of it."""
    command = [sys.executable, "-m", "pytest", *PYTEST, *options, *TESTS]
    ran = subprocess.run(
        command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    lines = ran.stdout.splitlines() or [ran.stderr]
    print("passed" if ran.returncode == 0 else "FAILED", f"({lines[-1]})", flush=True)
    for line in lines:
        if re.match(r"(FAILED|ERROR) \S", line):  # logs have more spaces after the word
            print(f"    {line}", flush=True)
    return ran.returncode == 0


def main(options: Sequence[str]) -> int:
    """Run all, with these options of pytest; 0 if every run passed."""
    own = in_effect({})
    print("own kernels,", "; ".join(f"{name} {_words(own, name)}" for name in own), end=": ", flush=True)
    outcomes = [passed({}, options)]
    for library, variables in settings():
        print(*(f"{name}={value}" for name, value in variables.items()), end=", ", flush=True)
        found = in_effect(variables)
        if found is None:
            print("not tested: this processor cannot run it")
        # All of it has to be other code: of OpenBLAS NumPy's and SciPy's, of torch its own and oneDNN's.
        elif not found[library] or set(found[library]) & set(own[library]):
            print(f"not tested: no effect, {library} computes with {_words(found, library)}")
        else:
            print(library, _words(found, library), end=": ", flush=True)
            outcomes.append(passed(variables, options))
    return 0 if all(outcomes) else 1


def _words(kernels: Kernels, library: str) -> str:
    return ", ".join(dict.fromkeys(kernels[library])) or "nothing that it names"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
