"""The formats and names that a user can choose; the command line loads nothing else of this room."""

import enum
from pathlib import Path


class Format(enum.StrEnum):
    """The format of the file."""

    FITS = "fits"
    PARQUET = "parquet"
    VOTABLE = "votable"
    ECSV = "ecsv"
    CSV = "csv"

    @property
    def extension(self) -> str:
        """The extension of its files, without a dot."""
        return "vot" if self is Format.VOTABLE else self.value

    @classmethod
    def of(cls, path: Path) -> "Format | None":
        """The format that the name of a file stands for, or ``None``."""
        return next((each for each in cls if path.suffix.lower() == f".{each.extension}"), None)


class Names(enum.StrEnum):
    """Whose names the columns have."""

    ASTRA = "astra"
    DR19 = "dr19"
