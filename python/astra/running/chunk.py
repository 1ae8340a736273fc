"""A chunk of spectra, and what became of it."""

from collections import Counter
from dataclasses import dataclass, field

from astra.models.pipeline import PipelineOutputModel
from astra.tasks.withheld import Withheld


@dataclass(frozen=True)
class Chunk:
    """Spectra to be worked on by one worker.

    Attributes:
        keys: Their keys, ascending.
        token: With which they are claimed, and their results are written.
        alone: One spectrum whose worker died: nothing else may be in hand meanwhile.
    """

    keys: list[int]
    token: int
    alone: bool = False


@dataclass
class Tally:
    """What was done: measured + no_result = processed; flags are counted beside it.

    ``withheld`` is how many files the system withheld twice, by what it said; ``kept`` how many of their
    spectra keep an earlier result, and so are not among those processed.
    """

    measured: int = 0
    no_result: int = 0
    rederived: int = 0
    kept: int = 0
    bad: int = 0
    warn: int = 0
    flags: Counter = field(default_factory=Counter)
    withheld: Counter = field(default_factory=Counter)

    @property
    def processed(self) -> int:
        """Spectra that went through the task, with or without a result."""
        return self.measured + self.no_result

    @property
    def done(self) -> int:
        """All spectra that were dealt with, one way or the other."""
        return self.processed + self.rederived + self.kept

    def add(self, other: "Tally") -> None:
        """Add the counts of another tally to this one."""
        for name in ("measured", "no_result", "rederived", "kept", "bad", "warn"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.flags.update(other.flags)
        self.withheld.update(other.withheld)

    def count(self, row: PipelineOutputModel) -> None:
        """Count one row that the task gave."""
        failed = bool(getattr(row, "flag_no_result", False))
        self.no_result += failed
        self.measured += not failed
        self.bad += bool(getattr(row, "flag_bad", False))
        self.warn += bool(getattr(row, "flag_warn", False))
        self.flags.update(name for name in row.flag_names() if getattr(row, name))


@dataclass
class ChunkResult:
    """What became of one chunk.

    Attributes:
        chunk: The chunk.
        tally: Counts of the rows that were written.
        lost: In the order of the spectra, for each whether the system withheld its file (it stays claimed,
            and nothing was written), else ``None``; without those of which that was noted before.
    """

    chunk: Chunk
    tally: Tally
    lost: list[Withheld | None]
