"""The installation: this package, its settings, the tasks, and what a run computes with."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import astra
from astra.config import Settings, config_file, load_settings
from astra.doctor.findings import FAIL, OK, WARN, Finding, Known, guarded
from astra.errors import ConfigError
from astra.running.going_on import Settled, settle, settle_on
from astra.running.runs import weights_of
from astra.schema.packages import absent_packages, check_task
from astra.status.text import absent
from astra.system import control_groups, processes
from astra.system.plugins import entry_points
from astra.system.version import DISTRIBUTION
from astra.tasks.contract import Task
from astra.tasks.installed import comes_with_astra, installed_tasks, without_effect

#: What a worker takes of memory with the usual batches, and half as much again [bytes].
MEMORY_OF_WORKER = 512 * 2**20


def check_memory(known: Known) -> Iterator[Finding]:
    """Whether this process may have the memory that a run takes."""
    processes.check_memory()
    known.memory = True
    limit = control_groups.memory_limit()
    if limit is None:
        yield Finding("memory", OK, "no limit of a control group")
    elif limit < MEMORY_OF_WORKER:
        needed = MEMORY_OF_WORKER / 2**20
        said = f"the control group has {limit / 2**20:.0f} MiB, and a worker takes up to {needed:.0f}"
        yield Finding("memory", WARN, said, "allow more, or its process may be killed")
    else:
        workers = limit // MEMORY_OF_WORKER
        yield Finding(
            "memory", OK, f"{limit / 2**30:.1f} GiB for this control group, enough for {workers} workers"
        )


def check_package(known: Known) -> Iterator[Finding]:
    """Whether the imported ``astra`` is this package, and no other distribution provides it too."""
    ours = metadata.distribution(DISTRIBUTION)
    here, home = Path(astra.__file__).resolve().parent, _home(ours)
    # An editable one lists no files of the package; upstream's has the command.
    commands = [point.dist for point in entry_points("console_scripts").select(name="astra")]
    providing = [*commands, *filter(_lists_astra, metadata.distributions())]
    # What is left of one that was half removed has no name.
    others = sorted({each.name for each in providing if _has_name(each)} - {DISTRIBUTION})
    if others:
        names = " and ".join(f"{name} {metadata.version(name)}" for name in (*others, DISTRIBUTION))
        said = (
            f"{names} provide the package astra or its command, each with files in the place of the other's"
        )
        # Uninstalling one of them removes files of the other.
        remedy = f"pip uninstall {' '.join((*others, DISTRIBUTION))}, then install {DISTRIBUTION}"
        yield Finding("package", WARN, said, remedy)
    elif here != home:
        said = f"the astra in use, {here}, is not that of {DISTRIBUTION} {ours.version}, {home}"
        yield Finding("package", WARN, said, "look at PYTHONPATH, and at which command astra it is")
    else:
        yield Finding("package", OK, f"{DISTRIBUTION} {ours.version}, {here}")


def _lists_astra(distribution: metadata.Distribution) -> bool:
    # packages_distributions() also looks for every file of every distribution: 0.1 s, more on a network disk.
    if declared := distribution.read_text("top_level.txt"):
        return "astra" in declared.split()
    return "\nastra/" in "\n" + (distribution.read_text("RECORD") or "")


def _has_name(distribution: metadata.Distribution) -> bool:
    return any(map(distribution.read_text, ("METADATA", "PKG-INFO")))


def _home(distribution: metadata.Distribution) -> Path:
    """The folder of ``astra`` in a distribution; of an editable one, in its checkout."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        return (Path(unquote(urlsplit(origin["url"]).path)) / "python" / "astra").resolve()
    return Path(distribution.locate_file("astra")).resolve()


def check_settings(known: Known) -> Iterator[Finding]:
    """Whether the settings can be read, and their origins."""
    known.settings = load_settings()
    origins = sorted({origin for _, _, origin in known.settings.flat()} - {"default"})
    said = f"astra {astra.__version__}; {', '.join(origins) or f'defaults (no file {config_file()})'}"
    yield Finding("configuration", OK, said)
    if (encoding := sys.getfilesystemencoding()) != "utf-8":
        said = f"names of files are {encoding} here, and UTF-8 elsewhere: one with other letters is not found"
        yield Finding("configuration", WARN, said, "set LC_ALL=C.UTF-8, or PYTHONUTF8=1")
    file = config_file()
    if _holds_password(known.settings, file) and file.stat().st_mode & 0o077:
        said = f"others may read {file}, which holds a password"
        yield Finding("configuration", WARN, said, f"chmod 600 {file}")


def _holds_password(settings: Settings, file: Path) -> bool:
    url = settings.database.url.get_secret_value() if settings.database.url else ""
    login = url.partition("://")[2].rpartition("@")[0]
    held = {"database.password": settings.database.password is not None, "database.url": ":" in login}
    return any(is_set and settings.origins.get(name) == f"file {file}" for name, is_set in held.items())


def check_tasks(known: Known) -> Iterator[Finding]:
    """Which tasks can be loaded and have their tables; further checks leave out the others."""
    for name, task in installed_tasks().items():
        try:
            if isinstance(task, ConfigError):
                raise task
            if known.schema:
                check_task(task)
            known.tasks[name] = task
        except ConfigError as error:
            if comes_with_astra(name):
                yield Finding("tasks", FAIL, str(error), exit_code=error.exit_code)
            else:
                yield Finding("tasks", WARN, str(error), "other tasks can run")
    for said in without_effect():
        yield Finding("tasks", WARN, said)
    if known.tasks:
        yield Finding("tasks", OK, f"usable: {', '.join(known.tasks)}")
    for task in known.tasks.values():
        yield from guarded("tasks", _examined(known, task), task.name)
    if known.schema:
        for said in absent(absent_packages(known.database)):
            yield Finding("tasks", OK, said)


def _examined(known: Known, task: Task) -> Iterator[Finding]:
    """What a task itself finds."""
    if task.examinations and not known.schema:
        yield Finding("tasks", WARN, f"{task.name}: not examined, for that needs the schema")
        return
    for examine in task.examinations:
        for finding in examine() or ():
            if (
                not isinstance(finding, tuple)
                or finding[0] not in (OK, WARN, FAIL)
                or len(finding) not in (2, 3)
            ):
                raise ConfigError(
                    f"{examine.__name__} yields {finding!r}: yield a level (ok, warn or fail), a text and "
                    "perhaps what to do about it"
                )
            level, said, *remedy = finding
            exit_code = ConfigError.exit_code if level == FAIL else 0
            yield Finding("tasks", level, f"{task.name}: {said}", *remedy, exit_code=exit_code)


def check_weights(known: Known) -> Iterator[Finding]:
    """Whether each task finds its weights, and can use them."""
    for task in known.tasks.values():
        yield from guarded("weights", _weights(known, task), task.name)


def _weights(known: Known, task: Task) -> Iterator[Finding]:
    if known.database is None:
        settled = Settled({}, task.provenance({}))
    else:
        # Before an upgrade, too: what is asked of the tables was in them from the beginning.
        settled = settle(task, {}) if known.schema else settle_on(task, known.settings)
    known.provenance[task.name] = found = settled.provenance
    task.prepare(**settled.options)
    if found.weights_name is not None:
        yield Finding("weights", OK, f"{task.name}: {weights_of(found)}; {found.weights_origin}")
    if settled.note:
        yield Finding("weights", OK, f"{task.name}: {settled.note}")


def check_device(known: Known) -> Iterator[Finding]:
    """The device on which the network computes."""
    from astra.pipelines.astronn_dist.network.sampling import DRIVERS, choose_device

    if choose_device("auto") == "cuda":
        import torch

        yield Finding("device", OK, f"CUDA: {torch.cuda.get_device_name(0)}")
        return
    threads, mine, machine = os.environ.get("OMP_NUM_THREADS", ""), processes.cores(), os.cpu_count() or 1
    said = f"CPU, {mine} cores" + (f" of {machine}" if mine < machine else "")
    said += f", OMP_NUM_THREADS={threads}" if threads else ""
    if threads.isdecimal() and int(threads) > mine:
        yield Finding("device", WARN, f"{said}: more threads than cores wait for each other", "unset it")
        return
    if any(map(os.path.exists, DRIVERS)):
        remedy = "install a build of torch for it, or give --device cpu"
        yield Finding("device", WARN, f"{said}; there is a GPU that torch cannot use", remedy)
    else:
        yield Finding("device", OK, said)


def check_compiled(known: Known) -> Iterator[Finding]:
    """Whether compiled functions are kept from earlier processes, and can be for later ones."""
    from astra.system.compiled import what_is_kept

    import_module("astra.pipelines.astronn_dist.network.on_cpu")
    for kept in what_is_kept():
        for name, why in kept.damaged.items():
            said = f"what is kept of {name} in {kept.folder} cannot be used ({why}); it will be compiled anew"
            yield Finding("compiled", WARN, said)
        if (kept.damaged or kept.absent) and (kept.folder is None or kept.unwritable):
            why = (
                f"nothing can be kept in {kept.folder} ({kept.unwritable})"
                if kept.folder
                else "no folder is there"
            )
            said = f"{why} for compiled code: each process compiles for itself, which takes seconds"
            remedy = "set NUMBA_CACHE_DIR to a folder that can be written"
            yield Finding("compiled", WARN, said, remedy)
        elif not kept.damaged:
            there = f"{kept.ready} compiled functions"
            said = (
                there
                if not kept.absent
                else f"{there} of {kept.ready + kept.absent}; a run compiles the others"
            )
            yield Finding("compiled", OK, f"{said}, kept in {kept.folder}")


def check_slurm(known: Known) -> Iterator[Finding]:
    """Whether Slurm jobs can be submitted from here, which only ``astra srun`` needs."""
    yield Finding("slurm", OK, shutil.which("sbatch") or "no sbatch here: runs are local")
