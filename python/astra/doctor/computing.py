"""What a run computes with: weights, a device, compiled code, Slurm."""

import os
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from astra.doctor.findings import FAIL, OK, WARN, Finding, Known
from astra.errors import AstraError
from astra.system.processes import cores


def check_weights(known: Known) -> Iterator[Finding]:
    """Whether each task finds its weights, and can use them."""
    for name, task in known.tasks.items():
        try:
            known.provenance[name] = found = task.identify()
            task.prepare()
        except AstraError as error:
            yield Finding("weights", FAIL, f"{name}: {error}", exit_code=error.exit_code)
            continue
        if found.weights_name is not None:
            checksum = (found.weights_sha256 or "none")[:12]
            said = f"{name}: {found.weights_name} (sha256 {checksum}); {found.weights_origin}"
            yield Finding("weights", OK, said)


def check_device(known: Known) -> Iterator[Finding]:
    """The device on which the network computes."""
    from astra.pipelines.astronn_dist.network.sampling import DRIVERS, choose_device

    if choose_device("auto") == "cuda":
        import torch

        yield Finding("device", OK, f"CUDA: {torch.cuda.get_device_name(0)}")
        return
    threads = os.environ.get("OMP_NUM_THREADS")
    said = f"CPU, {cores()} cores" + (f", OMP_NUM_THREADS={threads}" if threads else "")
    if any(map(os.path.exists, DRIVERS)):
        remedy = "install a build of torch for it, or give --device cpu"
        yield Finding("device", WARN, f"{said}; there is a GPU that torch cannot use", remedy)
    else:
        yield Finding("device", OK, said)


def check_compiled(known: Known) -> Iterator[Finding]:
    """Whether compiled functions can be kept for later processes."""
    from astra.system.compiled import cache_folders

    import_module("astra.pipelines.astronn_dist.network.on_cpu")
    folders = cache_folders()
    if None in folders:
        remedy = "set NUMBA_CACHE_DIR to a folder that can be written"
        said = "no folder for compiled code can be written: each process compiles anew, which takes seconds"
        yield Finding("compiled", WARN, said, remedy)
        return
    for folder in sorted(folders):
        kept = len(list(Path(folder).glob("*.nbc")))
        said = f"{kept} compiled functions" if kept else "nothing yet; the first run compiles"
        yield Finding("compiled", OK, f"{said}, kept in {folder}")


def check_slurm(known: Known) -> Iterator[Finding]:
    """Whether Slurm jobs can be submitted from here, which only ``astra srun`` needs."""
    found = shutil.which("sbatch")
    yield Finding("slurm", OK, found or "no sbatch here: runs are local")
