"""The skeleton of a package that adds a task: a model, a task, a migration and a test that passes."""

import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from astra.errors import StorageError, UsageError
from astra.tasks.installed import task_names

# Also the name of a table, and that of its history with a prefix.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,45}")


def write_skeleton(name: str, folder: Path) -> list[Path]:
    """Write a package that can be installed, run and tested as it is.

    Args:
        name: Of the task, of its module and of its table.
        folder: Where to; it is made, and must be empty if it is there.

    Returns:
        The files.

    Raises:
        UsageError: The name cannot be used, or the folder holds something.
        StorageError: The folder cannot be written.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(f"not a name of a task: {name!r}; give up to 46 of a-z, 0-9 and _, a letter first")
    if name in task_names():
        raise UsageError(f"a task {name!r} is installed already; give another name")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} is there already; name a folder that is new, or empty")
        model = "".join(part.capitalize() for part in name.split("_"))
        words = {"name": name, "model": model, "distribution": name.replace("_", "-")}
        return [
            _write(template, folder, words) for template in _templates(files(__package__) / "skeleton_files")
        ]
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}") from error


def _templates(folder: Traversable, below: str = "") -> list[tuple[str, Traversable]]:
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        path = f"{below}{entry.name}"
        found += _templates(entry, f"{path}/") if entry.is_dir() else [(path.removesuffix(".txt"), entry)]
    return found


def _write(template: tuple[str, Traversable], folder: Path, words: dict[str, str]) -> Path:
    place, source = template
    path = folder / re.sub("^package/", f"{words['name']}/", place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Template(source.read_text("utf-8")).substitute(words), "utf-8")
    return path
