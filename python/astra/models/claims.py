"""Spectra that are neither pending nor done: in hand of which worker, or withheld by the system."""

from peewee import CompositeKey

from astra.models.base import BaseModel
from astra.models.fields import (
    AutoField,
    BigIntegerField,
    BooleanField,
    DateTimeField,
    ForeignKeyField,
    IntegerField,
    TextField,
)
from astra.models.spectrum import Spectrum


class TaskWorker(BaseModel):
    """A worker that may have spectra in hand; its row goes when it ends, or when its death is noticed.

    It lives as long as it holds the lock on its key.
    """

    pk = AutoField(help_text="Primary key of the worker, and the key of its lock")
    task = TextField()
    run_pk = BigIntegerField(null=True, help_text="The run that this worker is a part of")
    host = TextField()
    pid = IntegerField()
    started = DateTimeField()


class TaskClaim(BaseModel):
    """A spectrum in hand, or one that waits to be taken alone because its worker died."""

    task = TextField()
    spectrum_pk = BigIntegerField(help_text="The spectrum that is in hand")
    worker_pk = BigIntegerField(null=True, index=True, help_text="Who has it; NULL if it waits to be taken")
    token = BigIntegerField(null=True, help_text="Of the chunk: a result is written only with its own token")
    suspect = BooleanField(
        default=False, help_text="Whether a worker died that had it, so that it is taken alone"
    )
    held_back = BooleanField(
        default=False, help_text="Whether it was tried, and waits because the system withholds its file"
    )
    attempts = IntegerField(default=0, help_text="How many workers died that had this spectrum alone")
    since = DateTimeField(help_text="When it was taken, or began to wait")

    class Meta:
        primary_key = CompositeKey("task", "spectrum_pk")


class TaskWithheld(BaseModel):
    """A spectrum whose file the system withheld when a task last tried it; later runs try it again.

    It stands apart from the results, so that a good one stays as it is.
    """

    task = TextField(help_text="Name of the task")
    spectrum_pk = ForeignKeyField(
        Spectrum,
        lazy_load=False,
        column_name="spectrum_pk",
        index=False,
        help_text="The spectrum whose file was withheld",
    )
    reason = TextField(help_text="What the system said, and the file")
    tried = DateTimeField(help_text="When it was last tried: a moment before that, by the database's clock")

    class Meta:
        primary_key = CompositeKey("task", "spectrum_pk")
