"""The catalogue as its writers get it: the columns, facts about all rows, and the rows in batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import astra
from astra.catalogue.columns import Column
from astra.catalogue.options import Names
from astra.catalogue.packing import Batch
from astra.catalogue.query import Origin, Summary, is_mixed
from astra.models import AstroNNdist
from astra.models.fields import flags_of

NAME = "astraAllStarAstroNNdist"
PIPELINE = "AstroNNdist"

#: A fact about the catalogue: its keyword in a FITS header, its value, and its meaning.
Fact = tuple[str, str | int | bool, str]


@dataclass(frozen=True)
class Table:
    """A catalogue to be written.

    Attributes:
        columns: Its columns.
        summary: Counts of all rows.
        origins: The origins of the results, most rows first.
        names: Whose names the columns have.
        condition: The condition on the rows; empty for none.
        batches: The rows, which can be read once.
    """

    columns: tuple[Column, ...]
    summary: Summary
    origins: list[Origin]
    names: Names
    condition: str
    batches: Iterator[Batch]

    @property
    def date(self) -> str | None:
        """When a value last changed (UTC), to the second, so that the same rows have the same date."""
        return self.summary.newest and self.summary.newest.isoformat(timespec="seconds")

    def facts(self) -> list[Fact]:
        """Facts for the reader of the file; none of them is the time of writing."""
        facts: list[Fact] = [
            ("PIPELINE", PIPELINE, "Pipeline name"),
            ("V_ASTRA", astra.__version__, "Version of Astra that wrote this"),
        ]
        if self.date:
            facts.append(("DATE", self.date, "When a value of a row last changed (UTC)"))
        facts += [*self._of_the_weights(), *self._counts()]
        facts.append(("NAMES", self.names.value, "How the columns are called"))
        if self.condition:
            facts.append(("FILTER", self.condition, "Only such rows"))
        return facts

    def _of_the_weights(self) -> list[Fact]:
        mixed: Fact = ("MIXED", is_mixed(self.origins), "Whether weights, seeds or versions differ")
        if mixed[1] or not self.origins:
            return [mixed]
        origin = self.origins[0]
        known = [
            ("WEIGHTS", origin.weights_name, "Name of the network weights"),
            ("W_SHA256", origin.weights_sha256, "SHA-256 of the weights"),
            ("SEED", origin.seed, "Seed of the dropout masks"),
            ("NDRAWS", origin.n_draws, "Monte Carlo dropout draws"),
            ("PRECISIN", origin.precision, "Arithmetic of the network"),
        ]
        return [mixed, *(fact for fact in known if fact[1] is not None)]

    def _counts(self) -> list[Fact]:
        true = self.summary.true
        counts: list[Fact] = [
            ("NSTARS", self.summary.stars, "Stars"),
            ("NSPECTRA", self.summary.rows, "Spectra, one row each"),
            ("NGOOD", true["good"], "Spectra with a result fit for science: good"),
            ("NBAD", true["flag_bad"], "Spectra with flag_bad"),
            ("NWARN", true["flag_warn"], "Spectra with flag_warn"),
        ]
        return counts + [
            (f"NFLAG{bit}", true[name], f"Spectra with {name}") for name, bit in flag_bits().items()
        ]


def flag_bits() -> dict[str, int]:
    """The flags of one bit each, and the numbers of these bits."""
    return {name: flag.bit for name, flag in flags_of(AstroNNdist).items()}
