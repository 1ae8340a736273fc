"""What all tasks share: runs, workers and their claims, and the base of every model of results."""

from datetime import datetime
from typing import Any, Self

import peewee
from playhouse.hybrid import hybrid_property

from astra.models import fields
from astra.models.apogee import Spectrum
from astra.models.base import BaseModel
from astra.models.source import Source
from astra.system.version import V_ASTRA, V_ASTRA_MAJOR_MINOR


class TaskRun(BaseModel):
    """One run of a task by one worker: with what, where, when, and how it ended."""

    #: What the numbers of a run depend on, after the name of its weights.
    IDENTITY = ("weights_name", "weights_sha256", "seed", "n_draws", "precision", "options")

    pk = fields.AutoField()

    # > What
    task = fields.TextField(index=True)
    version = fields.TextField()
    v_astra_major_minor = fields.IntegerField(
        help_text="Major and minor version of Astra: major * 1000 + minor"
    )
    weights_name = fields.TextField(null=True)
    weights_sha256 = fields.TextField(null=True)
    weights_origin = fields.TextField(null=True)
    weights_range = fields.TextField(null=True)
    seed = fields.BigIntegerField(null=True)
    n_draws = fields.IntegerField(null=True)
    precision = fields.TextField(null=True)
    options = fields.TextField(null=True)
    arguments = fields.TextField(null=True)

    # > Where and when
    host = fields.TextField()
    pid = fields.IntegerField()
    started = fields.StampField()
    finished = fields.DateTimeField(null=True)

    # > How it went
    processed = fields.IntegerField(default=0)
    measured = fields.IntegerField(default=0)
    rederived = fields.IntegerField(default=0)
    no_result = fields.IntegerField(default=0)
    outcome = fields.TextField(null=True)


class TaskWorker(BaseModel):
    """A worker that may have claimed spectra; its row is removed when it ends, or is reaped.

    It lives as long as it holds the lock on its key.
    """

    pk = fields.AutoField(help_text="Primary key of the worker, and the key of its lock")
    task = fields.TextField()
    run_pk = fields.BigIntegerField(null=True, help_text="The run that this worker is a part of")
    host = fields.TextField()
    pid = fields.IntegerField()
    started = fields.DateTimeField()


class TaskClaim(BaseModel):
    """A spectrum that a worker has claimed, or one that waits to be claimed alone because its worker died."""

    task = fields.TextField()
    spectrum_pk = fields.BigIntegerField(help_text="The spectrum that is in hand")
    worker_pk = fields.BigIntegerField(
        null=True, index=True, help_text="Who has it; NULL if it waits to be taken"
    )
    token = fields.BigIntegerField(
        null=True, help_text="Of the chunk: a result is written only with its own token"
    )
    suspect = fields.BooleanField(
        default=False, help_text="Whether a worker died that had it, so that it is taken alone"
    )
    held_back = fields.BooleanField(
        default=False, help_text="Whether it was tried, and waits because the system withholds its file"
    )
    attempts = fields.IntegerField(default=0, help_text="How many workers died that had this spectrum alone")
    since = fields.DateTimeField(help_text="When it was taken, or began to wait")

    class Meta:
        primary_key = peewee.CompositeKey("task", "spectrum_pk")


class TaskWithheld(BaseModel):
    """A spectrum whose file the system withheld when a task last tried it; later runs try it again.

    It stands apart from the results, so that a good one stays as it is.
    """

    task = fields.TextField(help_text="Name of the task")
    spectrum_pk = fields.ForeignKeyField(
        Spectrum,
        lazy_load=False,
        column_name="spectrum_pk",
        index=False,
        help_text="The spectrum whose file was withheld",
    )
    reason = fields.TextField(help_text="What the system said, and the file")
    tried = fields.DateTimeField(
        help_text="When it was last tried: a moment before that, by the database's clock"
    )
    spectrum_modified = fields.DateTimeField(null=True, help_text="`modified` of the spectrum that was tried")

    class Meta:
        primary_key = peewee.CompositeKey("task", "spectrum_pk")


class TaskTrial(BaseModel):
    """A set of results of a task beside those of production, in a table of its own.

    While it is promoted, production has its results, and its table holds what production had.
    """

    #: The states.
    OPEN, PROMOTED = "open", "promoted"

    task = fields.TextField()
    name = fields.TextField(help_text="Name of the trial: `trial-NAME`")
    table_name = fields.TextField(help_text="Table of its results")
    ebv_from = fields.TextField(
        null=True, help_text="Where E(B-V) comes from if not from `source.ebv`: `column NAME` or `table FILE`"
    )
    state = fields.TextField(help_text="`open`, or `promoted`: then its table holds what production had")
    created = fields.StampField(help_text="When it was made (UTC)")
    made_by = fields.TextField(help_text="Who made it")
    promoted = fields.DateTimeField(null=True, help_text="When it was promoted last (UTC)")
    promoted_version = fields.IntegerField(null=True, help_text="`v_astra_major_minor` of what was promoted")
    rolled_back = fields.DateTimeField(null=True, help_text="When that was rolled back (UTC)")

    class Meta:
        primary_key = peewee.CompositeKey("task", "name")


class TaskTrialEbv(BaseModel):
    """What a trial takes for the E(B-V) of a source, if it has that from a table; the first row counts."""

    pk = fields.AutoField()
    task = fields.TextField()
    name = fields.TextField(help_text="Name of the trial")
    source_pk = fields.ForeignKeyField(Source, lazy_load=False, column_name="source_pk", help_text="The star")
    ebv = fields.FloatField()
    e_ebv = fields.FloatField()


_UNIQUE = (("spectrum_pk", "v_astra_major_minor"), True)


class PipelineOutputModel(BaseModel):
    """A result of one task for one spectrum under one minor version of Astra.

    A spectrum has one row under one version: a model of results that declares ``class Meta: indexes`` of its
    own names ``PipelineOutputModel.UNIQUE`` among them.
    """

    UNIQUE = _UNIQUE
    #: Whether there is no result because the system withheld the file; a task sets it on such rows.
    file_lost = False
    #: Fields that say how a row was made, not what was found: they change without moving ``modified``.
    PROVENANCE = (
        *("run_pk", "v_astra", "inputs_read", "source_read", "spectrum_modified", "source_modified"),
        *("t_elapsed", "t_overhead"),
    )

    # > Identifiers
    task_pk = fields.AutoField()
    source_pk = fields.ForeignKeyField(Source, null=True, lazy_load=False, column_name="source_pk")
    # No index of its own: UNIQUE starts with it.
    spectrum_pk = fields.ForeignKeyField(Spectrum, lazy_load=False, column_name="spectrum_pk", index=False)
    run_pk = fields.ForeignKeyField(TaskRun, null=True, lazy_load=False, column_name="run_pk")

    # > Provenance
    v_astra = fields.IntegerField(default=V_ASTRA)
    v_astra_major_minor = fields.GeneratedField("v_astra / 1000")
    created = fields.StampField()
    modified = fields.StampField()
    inputs_read = fields.DateTimeField(null=True, index=True)
    source_read = fields.DateTimeField(null=True)
    spectrum_modified = fields.DateTimeField(null=True)
    source_modified = fields.DateTimeField(null=True)
    t_elapsed = fields.FloatField()
    t_overhead = fields.FloatField()
    tag = fields.TextField(null=True)

    class Meta:
        indexes = (_UNIQUE,)

    @classmethod
    def from_spectrum(cls, spectrum: Any, **kwargs: Any) -> Self:
        """A new, unsaved row for one spectrum.

        Args:
            spectrum: A spectrum of any kind, with ``spectrum_pk`` and ``source``.
            **kwargs: Further values of the row.

        Raises:
            TypeError: A keyword is not an attribute of this model.
            ValueError: ``spectrum_pk`` or ``source_pk`` is given, and is not that of the spectrum.
        """
        keys = {"spectrum_pk": spectrum.spectrum_pk, "source_pk": spectrum.source_pk}
        for name in keys.keys() & kwargs.keys():
            theirs, mine = (getattr(value, "pk", value) for value in (kwargs[name], keys[name]))
            if theirs != mine:
                raise ValueError(
                    f"{cls.__name__}.from_spectrum: {name}={theirs}, but that of the spectrum is {mine}: "
                    "leave it out"
                )
        return cls(**keys | kwargs)

    def made_from(self, spectrum: Any, moment: datetime) -> None:
        """Keep the versions of what this row was made from, and a moment before that was read."""
        self.inputs_read, self.spectrum_modified = moment, spectrum.modified
        self.derived_from(spectrum.source, moment)

    def derived_from(self, source: Source | None, moment: datetime) -> None:
        """Keep the version of the source of this row, and a moment before that was read."""
        self.source_read, self.source_modified = moment, None if source is None else source.modified

    @classmethod
    def flag_names(cls) -> list[str]:
        """The names of the flags that are counted, in the order of their bits."""
        return list(cls.counted_flags())

    @classmethod
    def counted_flags(cls) -> dict[str, fields.Flag]:
        """The flags of one bit each that runs, status and reports count, by their names."""
        return fields.flags_of(cls)


#: What newer versions of upstream call it.
PipelineOutputMixin = PipelineOutputModel


class FlaggedOutputModel(PipelineOutputModel):
    """A result with flags, one of which says that there is none.

    A model that inherits from this names its flags, and which of them make a row bad or worth a second look:

        flag_weak = FlaggedOutputModel.result_flags.flag(2**0, "The signal is below 3 sigma")
        WARN = 2**0

    Bits are never renumbered and never used again.
    """

    # > Quality
    result_flags = fields.BitField(default=0)
    flag_no_result = result_flags.flag(2**11, "The spectrum could not be read or used")
    no_result_reason = fields.TextField(null=True)

    #: Bits that make a row unfit for science, and bits that ask to look twice.
    BAD = 2**11
    WARN = 0

    @hybrid_property
    def flag_bad(self) -> Any:
        """Whether to discard the row; works on an instance and in a query."""
        return (self.result_flags & self.BAD) != 0

    @hybrid_property
    def flag_warn(self) -> Any:
        """Whether to look twice at the row; works on an instance and in a query."""
        return (self.result_flags & self.WARN) != 0

    @classmethod
    def summaries(cls) -> dict[str, tuple[int, str]]:
        """The bits that make ``flag_warn`` and ``flag_bad``, and what these mean."""
        own, found = fields.flags_of(cls, "result_flags").items(), {}
        for name, word, bits in (("flag_warn", "Look twice", cls.WARN), ("flag_bad", "Discard", cls.BAD)):
            made_by = ", ".join(flag for flag, each in own if each.value & bits)
            found[name] = bits, f"{word}: any of {made_by}" if made_by else f"{word}: no flag asks for it"
        return found


def of_this_version(rows: type[BaseModel]) -> peewee.Expression:
    """Whether a result, or a run, is of this minor version of Astra, in a query."""
    return rows.v_astra_major_minor == V_ASTRA_MAJOR_MINOR


def is_newest(results: type[PipelineOutputModel]) -> peewee.Expression:
    """Whether a spectrum has no result under a later minor version, in a query."""
    newer = results.alias()
    later = newer.v_astra_major_minor > results.v_astra_major_minor
    return ~peewee.fn.EXISTS(
        newer.select(peewee.Value(1)).where(newer.spectrum_pk == results.spectrum_pk, later)
    )


def has_result(results: type[PipelineOutputModel]) -> peewee.Expression | peewee.SQL:
    """Whether a row has a result, in a query; true of all rows of a model without flags."""
    return ~results.flag_no_result if issubclass(results, FlaggedOutputModel) else peewee.SQL("1 = 1")
