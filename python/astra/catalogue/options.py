"""What a user may choose; nothing heavy is loaded for it."""

import enum


class Format(enum.StrEnum):
    """In which form the file is written."""

    FITS = "fits"
    PARQUET = "parquet"
    VOTABLE = "votable"
    ECSV = "ecsv"
    CSV = "csv"


class Names(enum.StrEnum):
    """How the columns are called."""

    ASTRA = "astra"
    DR19 = "dr19"
