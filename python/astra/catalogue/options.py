"""What a user may choose; nothing heavy is loaded for it."""

import enum
from pathlib import Path


class Format(enum.StrEnum):
    """In which form the file is written."""

    FITS = "fits"
    PARQUET = "parquet"
    VOTABLE = "votable"
    ECSV = "ecsv"
    CSV = "csv"

    @property
    def extension(self) -> str:
        """How its files' names end, without a dot."""
        return "vot" if self is Format.VOTABLE else self.value

    @classmethod
    def of(cls, path: Path) -> "Format | None":
        """The format that the name of a file says; ``None`` if it says none."""
        return next((each for each in cls if path.suffix.lower() == f".{each.extension}"), None)


class Names(enum.StrEnum):
    """How the columns are called."""

    ASTRA = "astra"
    DR19 = "dr19"
