"""Where files lie: stored relative to ``SAS_BASE_DIR`` where they are under it, absolute elsewhere."""

from pathlib import Path

from astra.config import sas_base_dir
from astra.errors import ConfigError, UnreadableSpectrum


def absolute(path: str | None) -> Path:
    """The place of a stored path on this machine.

    Raises:
        UnreadableSpectrum: There is no path.
        ConfigError: The path is relative, and ``SAS_BASE_DIR`` is not set.
    """
    if not path:
        raise UnreadableSpectrum("no file is known for this spectrum; ingest it with `astra ingest apstar`")
    if Path(path).is_absolute():
        return Path(path)
    return usable_base_dir() / path


def usable_base_dir() -> Path:
    """The folder that relative paths start from.

    Raises:
        ConfigError: ``SAS_BASE_DIR`` is not set, or names no folder with anything in it.
    """
    base = sas_base_dir()
    if base is None:
        raise ConfigError(
            "SAS_BASE_DIR is not set, and the paths of some spectra are relative to it: "
            "set it to the folder that holds the data releases"
        )
    return base


def check_base_dir() -> None:
    """Refuse to start on relative paths when their folder is not there, or is empty (not mounted).

    Raises:
        ConfigError: ``SAS_BASE_DIR`` is not set, missing or empty.
    """
    base = usable_base_dir()
    try:
        empty = next(base.iterdir(), None) is None
    except OSError as error:
        raise ConfigError(f"SAS_BASE_DIR cannot be read: {base} ({error.strerror})") from error
    if empty:
        raise ConfigError(f"SAS_BASE_DIR is an empty folder: {base}; is the disk mounted?")


def stored(path: Path) -> str:
    """The form of a path that goes into the database."""
    path = path.absolute()
    base = sas_base_dir()
    if base is not None and path.is_relative_to(base.absolute()):
        return str(path.relative_to(base.absolute()))
    return str(path)
