"""The catalogue as its writers get it: columns, facts about all rows, and the rows in batches.

A batch is a list of values for each column; FITS and VOTable write it as packed records.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import astra
from astra.catalogue.columns import Column, Kind, rows_of
from astra.catalogue.options import Names
from astra.catalogue.product import product_of
from astra.catalogue.query import Origin, Summary, is_mixed
from astra.errors import AstraError
from astra.models import APOGEE, Distance
from astra.models.fields import flags_of
from astra.tasks.contract import Task

if TYPE_CHECKING:
    import numpy as np

#: Characters of a moment: 2026-11-25T20:15:00.123456.
TIME_WIDTH = 26
#: Stands for an absent integer in a FITS file, smaller than any value.
ABSENT = {Kind.LONG: -(2**63), Kind.INT: -(2**31)}
_TRUTH = {None: b"\0", False: b"F", True: b"T"}

#: The values of each column: int, float, bool, text, and moments as text; ``None`` where absent.
Batch = list[list[Any]]

#: A fact about the catalogue: its keyword in a FITS header, its value, and its meaning.
Fact = tuple[str, str | int | bool, str]


@dataclass(frozen=True)
class Table:
    """A catalogue to be written.

    Attributes:
        task: The task whose results they are.
        columns: Its columns.
        summary: Counts of all rows.
        origins: The origins of the results, most rows first.
        names: Whose names the columns have.
        condition: The condition on the rows; empty for none.
        batches: The rows, which can be read once.
    """

    task: Task
    columns: tuple[Column, ...]
    summary: Summary
    origins: list[Origin]
    names: Names
    condition: str
    batches: Iterator[Batch]

    @property
    def pipeline(self) -> str:
        """The task that made the results; of the distances, as DR19 calls it."""
        return "AstroNNdist" if self._are_distances else self.task.name

    @property
    def title(self) -> str:
        """What it is, in a sentence."""
        what = "distances from APOGEE spectra" if self._are_distances else f"results of {self.task.name}"
        return f"{product_of(self.task)}: {what}, one row for each spectrum."

    @property
    def is_of_apogee(self) -> bool:
        """Whether the spectra are those of APOGEE, of which the file has the layout of the survey's."""
        return set(self.task.spectrum_models) <= set(APOGEE)

    @property
    def spectra(self) -> str:
        """What the table of the rows is called: the instrument, or the models of other spectra."""
        names = (model.__name__ for model in self.task.spectrum_models)
        return "APOGEE" if self.is_of_apogee else "_".join(names)

    @property
    def _are_distances(self) -> bool:
        return rows_of(self.task) is Distance

    @property
    def date(self) -> str | None:
        """When a value last changed (UTC), to the second, so that the same rows have the same date."""
        return self.summary.newest and self.summary.newest.isoformat(timespec="seconds")

    @property
    def _created(self) -> str | None:
        if self.names is not Names.DR19 or not self.summary.newest:
            return None
        return self.summary.newest.strftime("%y-%m-%d %H:%M:%S")

    @property
    def mixed(self) -> bool:
        """Whether the results come from different weights, seeds, draws, precisions, options or versions."""
        return is_mixed(self.origins)

    @property
    def origin(self) -> Origin | None:
        """What all results come from; ``None`` where that differs, or there are none."""
        return None if self.mixed or not self.origins else self.origins[0]

    def facts(self) -> list[Fact]:
        """Facts for the reader of the file; none of them is the time of writing."""
        true = self.summary.true
        facts = [
            ("PIPELINE", self.pipeline, "Pipeline name"),
            ("V_ASTRA", astra.__version__, "Version of Astra that wrote this"),
            ("DATE", self.date, "When a value of a row last changed (UTC)"),
            ("CREATED", self._created, "The same, as DR19 calls and writes it"),
            ("MIXED", self.mixed, "Whether weights, seeds or versions differ"),
        ]
        if origin := self.origin:
            facts += [
                ("WEIGHTS", origin.weights_name, "Name of the network weights"),
                ("W_SHA256", origin.weights_sha256, "SHA-256 of the weights"),
                ("SEED", origin.seed, "Seed of the dropout masks"),
                ("NDRAWS", origin.n_draws, "Monte Carlo dropout draws"),
                ("PRECISIN", origin.precision, "Arithmetic of the network"),
                ("OPTIONS", origin.options, "Other options that change numbers, as JSON"),
            ]
        facts += [
            ("NSTARS", self.summary.stars, "Stars"),
            ("NSPECTRA", self.summary.rows, "Spectra, one row each"),
            (
                "NGOOD",
                true["good"] if self._are_distances else None,
                "Spectra with a result fit for science: good",
            ),
            (
                "NCLEAN",
                true["clean"] if self._are_distances else None,
                "Spectra with one fit for single stars: clean",
            ),
            ("NBAD", true.get("flag_bad"), "Spectra with flag_bad"),
            ("NWARN", true.get("flag_warn"), "Spectra with flag_warn"),
            *(
                (f"NFLAG{bit}", true[name], f"Spectra with {name}")
                for name, bit in flag_bits(self.task).items()
            ),
            ("NAMES", self.names.value, "How the columns are called"),
            ("FILTER", self.condition or None, "Only such rows"),
        ]
        return [fact for fact in facts if fact[1] is not None]


def flag_bits(task: Task) -> dict[str, int]:
    """The flags of one bit each of ``result_flags``, and the numbers of these bits."""
    return {name: flag.bit for name, flag in flags_of(task.output_model, "result_flags").items()}


def values(rows: Sequence[tuple], columns: Sequence[Column]) -> Batch:
    """The columns of rows from the driver, with the same values on both databases."""
    turned = [list(column) for column in zip(*rows, strict=True)]
    for place, column in enumerate(columns):
        if column.kind is Kind.LOGICAL:
            turned[place] = [None if value is None else bool(value) for value in turned[place]]
        elif column.kind is Kind.TIME:
            turned[place] = [_moment(value) for value in turned[place]]
    return turned


def _moment(value: datetime | str | None) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return value and value.replace(" ", "T")


class Records:
    """The layout of packed rows: numbers big-endian, text and moments in ASCII with a fixed width."""

    def __init__(self, columns: Sequence[Column], widths: dict[str, int]) -> None:
        """Choose the layout.

        Args:
            columns: The columns in the order of the file.
            widths: The bytes that the longest text of each column needs, by its key.
        """
        import numpy as np

        self.columns = columns
        fixed = {Kind.LONG: ">i8", Kind.INT: ">i4", Kind.DOUBLE: ">f8", Kind.LOGICAL: "S1"}
        fixed[Kind.TIME] = f"S{TIME_WIDTH}"
        types = [fixed.get(column.kind) or f"S{max(1, widths[column.key])}" for column in columns]
        self.dtype = np.dtype([(column.key, one) for column, one in zip(columns, types, strict=True)])

    def width(self, column: Column) -> int:
        """The bytes of a column."""
        return self.dtype[column.key].itemsize

    def pack(self, batch: Batch) -> "np.ndarray":
        """The records of a batch."""
        import numpy as np

        packed = np.empty(len(batch[0]), self.dtype)
        for column, content in zip(self.columns, batch, strict=True):
            packed[column.key] = self._packed(column, content)
        return packed

    def _packed(self, column: Column, content: list) -> Any:
        import numpy as np

        if column.kind is Kind.DOUBLE:
            return np.array(content, dtype=float)
        if column.kind is Kind.LOGICAL:
            return [_TRUTH[value] for value in content]
        if column.kind not in ABSENT:
            return self._texts(column, [value or "" for value in content])
        absent = ABSENT[column.kind]
        if absent in content:
            raise AstraError(f"column {column.name}: a value is {absent}, which stands for absent values")
        return [absent if value is None else value for value in content] if None in content else content

    def _texts(self, column: Column, content: list[str]) -> list[str] | list[bytes]:
        together = "".join(content)
        plain = together.isascii() and together.isprintable()
        texts = content if plain else [ascii_of(value) for value in content]
        if (longest := max(map(len, texts))) > self.width(column):
            raise AstraError(
                f"column {column.name}: a text of {longest} characters, where the longest was shorter"
            )
        return texts


def ascii_of(text: str) -> bytes:
    """Text in ASCII: other characters become Python's escapes, control characters spaces."""
    if text.isascii() and text.isprintable():
        return text.encode("ascii")
    plain = "".join(" " if character < " " or character == "\x7f" else character for character in text)
    return plain.encode("ascii", "backslashreplace")
