"""The report as a file: whether it can be drawn, where it lies, and how it is written."""

from pathlib import Path

from astra.errors import ConfigError
from astra.modelling.training.report.data import Report
from astra.modelling.training.report.sections import head, sections
from astra.modelling.training.report.svg import drawing
from astra.report.page import page
from astra.system.atomic import whole_file

_SUFFIX = ".report.html"


def check_available() -> None:
    """Refuse a training whose report could not be drawn, before it begins.

    Raises:
        ConfigError: matplotlib is missing.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"the report of a training needs matplotlib ({error}): "
            "install the extra [train] of astra-distances, or matplotlib"
        ) from error


def report_path(weights: Path) -> Path:
    """Where the report of a file of weights lies: beside it."""
    return weights.with_suffix(_SUFFIX)


def write_report(path: Path, report: Report) -> None:
    """Write the report; it is there whole or, if this fails, as it was before.

    Raises:
        ConfigError: matplotlib is missing.
        UsageError: A folder is in its place.
        StorageError: The file cannot be written.
    """
    check_available()
    with drawing():
        text = page(f"{report.name}: training report", head(report), sections(report), interactive=False)
    with whole_file(path, overwrite=True) as stream:
        stream.write(text.encode())
