"""What is installed: this package, and the tasks, those of other packages among them."""

import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import astra
from astra.doctor.findings import FAIL, OK, WARN, Finding
from astra.doctor.known import Known
from astra.errors import ConfigError
from astra.system.version import DISTRIBUTION
from astra.tasks.registry import check_tables, comes_with_astra, installed_tasks


def check_package(known: Known) -> Iterator[Finding]:
    """Whether what is imported as ``astra`` is this package, and no other one provides it, too."""
    ours = metadata.distribution(DISTRIBUTION)
    here, home = Path(astra.__file__).resolve().parent, _home(ours)
    others = sorted(set(metadata.packages_distributions().get("astra", ())) - {DISTRIBUTION})
    if others:
        names = " and ".join(f"{name} {metadata.version(name)}" for name in (*others, DISTRIBUTION))
        said = f"{names} provide the package astra, each with files in the place of the other's"
        # Whichever is uninstalled takes files of the other along.
        remedy = f"pip uninstall {' '.join((*others, DISTRIBUTION))}, then install {DISTRIBUTION}"
        yield Finding("package", WARN, said, remedy)
    elif here != home:
        said = f"the astra in use, {here}, is not that of {DISTRIBUTION} {ours.version}, {home}"
        yield Finding("package", WARN, said, "look at PYTHONPATH, and at which command astra it is")
    else:
        yield Finding("package", OK, f"{DISTRIBUTION} {ours.version}, {here}")


def _home(distribution: metadata.Distribution) -> Path:
    """Where an installed distribution has its package ``astra``; of an editable one, in its checkout."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        return (Path(unquote(urlsplit(origin["url"]).path)) / "python" / "astra").resolve()
    return Path(distribution.locate_file("astra")).resolve()


def check_tasks(known: Known) -> Iterator[Finding]:
    """Which tasks can be loaded and have their tables; the others are left out of all further checks."""
    for name, task in installed_tasks().items():
        try:
            if isinstance(task, ConfigError):
                raise task
            if known.schema:
                check_tables(task)
        except ConfigError as error:
            if comes_with_astra(name):
                yield Finding("tasks", FAIL, str(error), exit_code=error.exit_code)
            else:
                yield Finding("tasks", WARN, str(error), "other tasks can run")
        else:
            known.tasks[name] = task
    if known.tasks:
        yield Finding("tasks", OK, f"usable: {', '.join(known.tasks)}")
