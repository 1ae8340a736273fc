"""The formats and names that a user can choose; the command line loads nothing else of this room."""

import enum
from pathlib import Path

#: The name of a file that stands for standard output.
STDOUT = Path("-")
_GZIP = ".gz"


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


#: What the endings of names stand for; the first of two is taken unless the user says the other.
ENDINGS = {
    ".fits": (Format.FITS,),
    ".fit": (Format.FITS,),
    ".parquet": (Format.PARQUET,),
    ".vot": (Format.VOTABLE,),
    ".votable": (Format.VOTABLE,),
    ".xml": (Format.VOTABLE,),
    ".ecsv": (Format.ECSV,),
    ".csv": (Format.CSV,),
    ".txt": (Format.ECSV, Format.CSV),
}


def formats_of(path: Path) -> tuple[Format, ...]:
    """The formats that the name of a file can stand for; none if its ending is unknown."""
    return ENDINGS.get(Path(path.name.lower().removesuffix(_GZIP)).suffix, ())


def is_compressed(path: Path) -> bool:
    """Whether the name of a file says that it is compressed with gzip."""
    return path.name.lower().endswith(_GZIP)


class Names(enum.StrEnum):
    """Whose names the columns have."""

    ASTRA = "astra"
    DR19 = "dr19"
