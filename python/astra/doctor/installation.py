"""The installation: this package, its settings, and the tasks of this and other packages."""

import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import astra
from astra.config import Settings, config_file, load_settings
from astra.doctor.findings import FAIL, OK, WARN, Finding, Known
from astra.errors import ConfigError
from astra.system.version import DISTRIBUTION
from astra.tasks.contract import check_tables, comes_with_astra, installed_tasks


def check_package(known: Known) -> Iterator[Finding]:
    """Whether the imported ``astra`` is this package, and no other distribution provides it too."""
    ours = metadata.distribution(DISTRIBUTION)
    here, home = Path(astra.__file__).resolve().parent, _home(ours)
    others = sorted(set(metadata.packages_distributions().get("astra", ())) - {DISTRIBUTION})
    if others:
        names = " and ".join(f"{name} {metadata.version(name)}" for name in (*others, DISTRIBUTION))
        said = f"{names} provide the package astra, each with files in the place of the other's"
        # Uninstalling one of them removes files of the other.
        remedy = f"pip uninstall {' '.join((*others, DISTRIBUTION))}, then install {DISTRIBUTION}"
        yield Finding("package", WARN, said, remedy)
    elif here != home:
        said = f"the astra in use, {here}, is not that of {DISTRIBUTION} {ours.version}, {home}"
        yield Finding("package", WARN, said, "look at PYTHONPATH, and at which command astra it is")
    else:
        yield Finding("package", OK, f"{DISTRIBUTION} {ours.version}, {here}")


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
    file = config_file()
    if _holds_password(known.settings, file) and file.stat().st_mode & 0o077:
        yield Finding(
            "configuration", WARN, f"others may read {file}, which holds a password", f"chmod 600 {file}"
        )


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
