"""The report as a file: whether it can be drawn, where it lies, and how it is written."""

from pathlib import Path

from astra.errors import ConfigError
from astra.modelling.training.report.data import Report
from astra.modelling.training.report.sections import head, sections
from astra.report.page import page
from astra.system.atomic import output_file

_SUFFIX = ".report.html"


def check_available() -> None:
    """Refuse a training whose report could not be drawn, before it begins.

    Raises:
        ConfigError: Bokeh is missing.
    """
    try:
        import bokeh  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"the report of a training needs Bokeh ({error}): "
            "install the extra [train] of astra-distances, or bokeh"
        ) from error


def report_path(weights: Path) -> Path:
    """Where the report of a file of weights lies: beside it."""
    return weights.with_suffix(_SUFFIX)


def write_report(path: Path, report: Report) -> None:
    """Write the report; it is there whole or, if this fails, as it was before.

    Raises:
        ConfigError: Bokeh is missing.
        UsageError: A folder is in its place.
        StorageError: The file cannot be written.
    """
    check_available()
    text = page(f"{report.name}: training report", head(report), sections(report))
    with output_file(path, overwrite=True) as stream:
        stream.write(text.encode())
